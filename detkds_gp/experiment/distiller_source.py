"""A distiller as a user names it: a formula, a file, a work directory, ``none``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detkds_gp.errors import FormulaError
from detkds_gp.experiment.summary import opened
from detkds_gp.export import distiller_from_json
from detkds_gp.language import NONE, Distiller, PrimitiveSet, load_primitive_set, parse_distiller

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

    @property
    def grammar(self) -> PrimitiveSet:
        """The set itself."""
        return load_primitive_set(self.primitive_set)


def read_distiller(source: str, primitive_set: str) -> Named:
    """Read a distiller.

    Args:
        source: ``none``; a work directory, whose best counts; a JSON file; or a formula.
        primitive_set: ``module:NAME``; what it does not know is looked for in OMNI.

    Raises:
        FormulaError: if the formula cannot be read in either set.
        StoreError: if the work directory holds no run.
    """
    if source.strip() == NONE:
        return Named(NONE, Distiller(), primitive_set)
    path = Path(source)
    if path.is_dir():
        with opened(path, primitive_set) as summary:
            ranking = summary.ranking()
        if not ranking:
            raise FormulaError(f"the run {source} has no scored distiller yet; give a formula, or let it go on")
        return Named(path.resolve().name, ranking[0].distiller, primitive_set)
    is_file = path.suffix == ".json"
    if is_file and not path.is_file():
        raise FormulaError(f"got distiller {source!r}, but there is no such file")
    text = path.read_text() if is_file else source
    for reference in dict.fromkeys((primitive_set, EVERYTHING)):
        grammar = load_primitive_set(reference)
        try:
            return Named(path.stem if is_file else "formula", _parsed(text, grammar, is_file), reference)
        except FormulaError as error:
            fault = error
    raise fault


def _parsed(text: str, grammar: PrimitiveSet, is_json: bool) -> Distiller:
    return distiller_from_json(text, grammar) if is_json else parse_distiller(text, grammar)
