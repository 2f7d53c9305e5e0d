"""Published distillers as formulas: what a zoo holds, and how a config names one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import NAME, RESERVED
from detkds_gp.language.distiller import Distiller, parse_distiller
from detkds_gp.language.loading import load_named
from detkds_gp.language.primitive_set import PrimitiveSet

Stages = Literal["one", "two"]


@dataclass(frozen=True)
class Published:
    """A distiller with a name, as a rule a published one.

    Attributes:
        name: what users write for it.
        formula: the distiller's text, ``1 * scale * tree``: the scale carries the paper's weight, its
            sum over pyramid levels (ours is a mean) and whatever constant its own means leave out. A scale that is
            ``calibrated`` is measured where it is trained.
        paper: where it was published.
        weights: what the paper uses, and how the scale follows from it.
        note: how the formula differs from what was published; empty where it does not.
        stages: ``one`` or ``two``: of the detectors that the weights are for; None for all.
    """

    name: str
    formula: str
    paper: str
    weights: str
    note: str = ""
    stages: Stages | None = None

    def distiller(self, primitive_set: PrimitiveSet) -> Distiller:
        """Read the formula, with the paper's weights.

        Raises:
            FormulaError: if the set lacks what it names.
        """
        return parse_distiller(self.formula, primitive_set)


class Zoo(dict[str, Published]):
    """Published distillers by name, in their order.

    Args:
        entries: the published distillers.
        recommended: what to train with where nothing is searched. It has a name, and is no part of the whole zoo.

    Raises:
        DeclarationError: if two have one name, or a name is none that a user can write.
    """

    def __init__(self, *entries: Published, recommended: Published | None = None) -> None:
        for entry in entries:
            self[self._free(entry)] = entry
        if recommended is not None:
            self._free(recommended)
        self.recommended = recommended

    def _free(self, entry: Published) -> str:
        """Return the name of an entry, if it can be used."""
        if not NAME.fullmatch(entry.name) or entry.name in (*RESERVED, WHOLE):
            raise DeclarationError(f"a distiller of the zoo is called {entry.name!r}, wanted letters, digits and _")
        if entry.name in self:
            raise DeclarationError(f"two distillers of the zoo are called {entry.name!r}; rename one")
        return entry.name

    @property
    def named(self) -> dict[str, Published]:
        """All that has a name, the recommended distiller last."""
        return {**self, self.recommended.name: self.recommended} if self.recommended else {**self}


WHOLE = "zoo"
"""What stands for all distillers of the zoo."""


def load_zoo(reference: str) -> Zoo:
    """Import a zoo named ``module:NAME``.

    Raises:
        DeclarationError: if the module or the name does not exist, or is no zoo.
    """
    found: Zoo = load_named(reference, Zoo, "zoo")
    return found
