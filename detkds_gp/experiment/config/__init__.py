"""What an experiment depends on: settings, their schema, files of them, a first one for one's own data."""

from detkds_gp.experiment.config.schema import DataSettings, ExperimentConfig, load_config, parse_config

__all__ = [
    "DataSettings",
    "ExperimentConfig",
    "load_config",
    "parse_config",
]
