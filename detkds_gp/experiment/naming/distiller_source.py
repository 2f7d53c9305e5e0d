"""The distiller of a full training as a user names it, with the set that its text is written in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from detkds_gp.errors import FormulaError
from detkds_gp.experiment.config import ExperimentConfig
from detkds_gp.experiment.naming.named import named_distiller, named_distillers
from detkds_gp.language import Distiller, load_primitive_set, load_zoo

EVERYTHING = "detkds_gp.primitives:OMNI"


@dataclass(frozen=True)
class Named:
    """A distiller and how it is called.

    Attributes:
        name: for folders and tables.
        distiller: what is trained.
        primitive_set: ``module:NAME`` of the set whose names its text uses.
    """

    name: str
    distiller: Distiller
    primitive_set: str


def read_distiller(source: str, config: ExperimentConfig) -> Named:
    """Read a distiller with the config's set, or with OMNI where that lacks a primitive.

    Args:
        source: ``none``; the name of a published distiller; a work directory, whose winner counts; a JSON file; or a
            formula.
        config: names set and zoo.

    Raises:
        ConfigError: if nothing has this name, or a file cannot be read.
        FormulaError: if the formula cannot be read in either set.
    """
    zoo, path = load_zoo(config.zoo), Path(source)
    a_run = path.is_dir() and source not in zoo

    def read(reference: str) -> Named:
        grammar = load_primitive_set(reference)
        found = named_distillers(source, grammar, zoo)[0] if a_run else named_distiller(source, grammar, zoo)
        return Named(_name(source, found, published=source in zoo), found, reference)

    try:
        return read(config.primitive_set)
    except FormulaError:
        if config.primitive_set == EVERYTHING:
            raise
        return read(EVERYTHING)


def _name(source: str, distiller: Distiller, *, published: bool) -> str:
    """Return a name for folders: one for each formula, so that two do not meet in one."""
    if published or not distiller.terms:
        return source.strip()
    if Path(source).exists():
        return Path(source).resolve().with_suffix("").name
    return f"formula-{hashlib.sha256(distiller.text.encode()).hexdigest()[:6]}"
