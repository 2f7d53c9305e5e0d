"""What a user may write for a distiller: a published one's name, a file, a work directory, or its formula."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from detkds_gp.errors import ConfigError, FormulaError, nearest
from detkds_gp.language import (
    NONE,
    Distiller,
    PrimitiveSet,
    Zoo,
    distiller_from_json,
    load_primitive_set,
    load_zoo,
    parse_distiller,
)

if TYPE_CHECKING:
    from detkds_gp.config import ExperimentConfig

EVERYTHING = "detkds_gp.primitives:OMNI"
FORMULA_MARKS = "(*+"
"""A text with one of these is a formula, if it has no slash and is no file or folder that is there."""

Sort = Literal["formula", "published", "file", "run"]


def is_formula(text: str) -> bool:
    """Return whether a text is a formula, or ``none``, whether or not it can be read."""
    marked = any(mark in text for mark in FORMULA_MARKS)
    return text.strip() == NONE or (marked and os.sep not in text and not os.path.exists(text))


def sort_of(text: str, zoo: Zoo, also: Iterable[str] = ()) -> Sort:
    """Say what a text stands for; what is there by this name is no formula, but a published name comes first.

    Args:
        text: what a user wrote for a distiller.
        zoo: the published distillers.
        also: what else has a name where it was written, for the remedy.

    Raises:
        ConfigError: if it is nothing, with the nearest names.
    """
    if is_formula(text):
        return "formula"
    if text in zoo.named:
        return "published"
    if os.path.isdir(text):  # the functions of os.path call a name that no system can have one that is not there
        return "run"
    if os.path.exists(text):
        return "file"
    wanted = "neither the name of a published distiller, nor a file, nor a work directory, nor a formula"
    raise ConfigError(f"got {text!r}, {wanted}{nearest(text, [*zoo.named, *also, NONE])}")


def named_distiller(text: str, primitive_set: PrimitiveSet, zoo: Zoo, *, bare: float | None = 1.0) -> Distiller:
    """Return the distiller that a text stands for.

    Args:
        text: ``none``; the name of a distiller of the zoo (with its paper's weights); a file that holds
            one distiller, such as a run's ``distiller.json``; a work directory, whose winner counts; or a formula.
        primitive_set: whose primitives formulas name.
        zoo: the published distillers.
        bare: the scale of a tree of a formula without any number before it, as `parse_distiller` takes it.

    Raises:
        ConfigError: if nothing has this name, the file cannot be read, it holds several distillers, or the work
            directory holds none.
        FormulaError: if the formula is broken, or names what the set does not have.
    """
    found = named_distillers(text, primitive_set, zoo, bare=bare)
    if len(found) != 1 and sort_of(text, zoo) == "file":
        raise ConfigError(f"{text} holds {len(found)} distillers, wanted one; give the formula of one of them")
    return found[0]


def named_distillers(
    text: str, primitive_set: PrimitiveSet, zoo: Zoo, also: Iterable[str] = (), *, bare: float | None = 1.0
) -> list[Distiller]:
    """Return the distillers that a text stands for: as `named_distiller`, or all of a file or work directory.

    A file is what ``gp_search export --to json`` or ``gp_search show --json`` wrote, ``distiller.json``, or a list of
    formulas. A work directory's winner comes first, then the best formula of every knowledge. ``also`` as `sort_of`
    takes it.

    Raises:
        ConfigError: if nothing has this name, the file cannot be read, or it or the work directory holds no distiller.
        FormulaError: if a formula is broken, or names what the set does not have.
    """
    sort, path = sort_of(text, zoo, also), Path(text)
    if sort == "formula":
        return [parse_distiller(text, primitive_set, bare=bare)]
    if sort == "published":
        try:
            return [zoo.named[text].distiller(primitive_set)]
        except FormulaError as error:
            wanted = f"cannot be written with the primitives of {primitive_set.name}"
            raise FormulaError(f"{text!r} {wanted}: {error}") from None
    values = _json(path) if sort == "file" else _of_run(path)
    found = {distiller.text: distiller for distiller in _within(values, primitive_set)}
    if found:
        return list(found.values())
    if sort == "run":
        raise ConfigError(f"{path} has no scored distiller yet; go on with its search by gp_search run")
    raise ConfigError(f"{path} holds no distiller, wanted what gp_search export --to json or show --json writes")


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
        source: as `named_distiller` takes it.
        config: names set and zoo.
        bare: the scale of a tree without any number before it.

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
        try:
            return read(EVERYTHING)
        except FormulaError:
            raise error from None  # what its own set says is nearer to what was meant


def _name(source: str, sort: Sort, distiller: Distiller) -> str:
    """Return a name for folders: one for each formula, so that two do not meet in one."""
    if sort == "published":
        return source
    if sort != "formula":
        path = Path(source).resolve()
        return path.name if sort == "run" else path.stem
    return f"formula-{hashlib.sha256(distiller.text.encode()).hexdigest()[:6]}" if distiller.terms else NONE


def read_captions(path: Path) -> dict[str, str]:
    """Return by formula what a JSON file of distillers says of its origin and worth; formulas without are left out.

    Raises:
        ConfigError: if the file cannot be read.
    """
    values = _json(path)
    objects = [value for value in (values if isinstance(values, list) else [values]) if isinstance(value, Mapping)]
    return {
        one["formula"]: one["caption"] for one in objects if isinstance(one.get("caption"), str) and "formula" in one
    }


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}: {error}; give the JSON of distillers") from None


def _within(values: Any, primitive_set: PrimitiveSet, *, top: bool = True) -> Iterator[Distiller]:
    """Yield the distillers that JSON values hold: objects with a ``formula``, and formulas in a list at the top."""
    if isinstance(values, Mapping):
        if isinstance(values.get("formula"), str):
            yield distiller_from_json(values, primitive_set)
            return
        for value in values.values():
            if isinstance(value, Mapping | list):
                yield from _within(value, primitive_set, top=False)
    elif isinstance(values, Sequence):
        for value in values:
            if isinstance(value, str) and top:  # within an object they are sentences
                yield parse_distiller(value, primitive_set)
            elif isinstance(value, Mapping):
                yield from _within(value, primitive_set, top=False)


def _of_run(work_dir: Path) -> list[Any]:
    """Return what a work directory tells of its winner and of the best formula of every knowledge."""
    from detkds_gp.results import opened

    with opened(work_dir) as summary:
        values = summary.to_json()
    return [values["best"], *values["niches"].values()]
