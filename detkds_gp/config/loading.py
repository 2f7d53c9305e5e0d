"""From a Python file read by mmengine to a checked config, and mistakes in words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from detkds_gp.config.schema import ExperimentConfig
from detkds_gp.errors import ConfigError, nearest
from detkds_gp.settings import Settings


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> ExperimentConfig:
    """Read a config file.

    Args:
        path: a Python, json or yaml file.
        options: dotted keys that replace its values, as ``--cfg-options`` gives them.

    Raises:
        ConfigError: if the file is missing or broken, a key unknown or a value of the wrong type.
    """
    if not os.path.isfile(path):
        shipped = Path(__file__).parents[2] / "configs"
        raise ConfigError(
            f"no config file {path}; give a path such as configs/quickstart.py (shipped ones are in {shipped})"
        )
    from mmengine.config import Config

    try:
        config = Config.fromfile(path)
        config.merge_from_dict(dict(options or {}))
        values = config.to_dict()
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise ConfigError(f"cannot read {path}: {type(error).__name__}: {lines[-1] if lines else ''}") from error
    return parse_config(values, str(path))


def parse_config(values: Mapping[str, Any], where: str = "config") -> ExperimentConfig:
    """Check plain values against the schema.

    Raises:
        ConfigError: naming the first offending key, what is wrong and what is known.
    """
    try:
        return ExperimentConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_in_words(error)}") from None


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the config"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(path[-1], _known_keys(path[:-1]))}"
    if first["type"] == "missing":
        return f"key {key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return message if first["type"] == "value_error" else f"{key} is {first['input']!r:.80}: {message}"


def _known_keys(path: list[str]) -> list[str]:
    model: type[Settings] = ExperimentConfig
    for part in path:
        annotation = model.model_fields[part].annotation
        choices = (annotation, *getattr(annotation, "__args__", ()))
        model = next(a for a in choices if isinstance(a, type) and issubclass(a, Settings))
    return list(model.model_fields)
