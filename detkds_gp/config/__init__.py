"""What an experiment depends on: the schema of its config, files of it, a first one for one's own data."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.config.schema import ExperimentConfig, load_config, parse_config
    from detkds_gp.config.settings import DataSettings, VerdictSettings

__all__ = ["DataSettings", "ExperimentConfig", "VerdictSettings", "load_config", "parse_config"]

import_lazily(__name__)
