"""The distiller of a full training as a user names it, with the set that its text is written in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from detkds_gp.config import ExperimentConfig
from detkds_gp.errors import FormulaError
from detkds_gp.language import NONE, Distiller, load_primitive_set, load_zoo
from detkds_gp.naming.named import Sort, named_distiller, sort_of

EVERYTHING = "detkds_gp.primitives:OMNI"


@dataclass(frozen=True)
class Named:
    """A distiller and how it is called.

    Attributes:
        name: for folders and tables; however long the formula, it is short.
        distiller: what is trained.
        primitive_set: ``module:NAME`` of the set whose names its text uses.
    """

    name: str
    distiller: Distiller
    primitive_set: str


def read_distiller(source: str, config: ExperimentConfig, *, bare: float | None = 1.0) -> Named:
    """Read a distiller with the config's set, or with OMNI where that lacks a primitive.

    Args:
        source: ``none``; the name of a published distiller; a work directory, whose winner counts; a JSON file; or a
            formula.
        config: names set and zoo.
        bare: the scale of a tree without any number before it, as `parse_distiller` takes it.

    Raises:
        ConfigError: if nothing has this name, or a file cannot be read.
        FormulaError: if the formula cannot be read in either set.
    """
    zoo = load_zoo(config.zoo)
    sort = sort_of(source, zoo)

    def read(reference: str) -> Named:
        found = named_distiller(source, load_primitive_set(reference), zoo, bare=bare)
        return Named(_name(source, sort, found), found, reference)

    try:
        return read(config.primitive_set)
    except FormulaError as error:
        if config.primitive_set == EVERYTHING:
            raise
        try:
            return read(EVERYTHING)
        except FormulaError:
            raise error from None  # what its own set says is nearer to what was meant


def _name(source: str, sort: Sort, distiller: Distiller) -> str:
    """Return a name for folders: one for each formula, so that two do not meet in one."""
    if sort == "published":
        return source
    if sort == "run":
        return Path(source).resolve().name
    if sort == "file":
        return Path(source).resolve().stem
    return f"formula-{hashlib.sha256(distiller.text.encode()).hexdigest()[:6]}" if distiller.terms else NONE
