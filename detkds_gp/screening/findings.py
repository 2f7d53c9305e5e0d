"""What a search is told of formulas before they are trained, and what it remembers of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from detkds_gp.language import Distiller
from detkds_gp.score import Score

DIRECTION = 64
"""Numbers that a formula's direction is told in."""


@dataclass(frozen=True)
class Finding:
    """What screening found of one formula.

    Attributes:
        rejection: why it is not worth a training; None if it is.
        twin: a formula screened before that is the same loss up to a positive factor; None if there is none.
        direction: `DIRECTION` numbers of length 1, near those of formulas that pull the student the same way; None
            where that is not known.
    """

    rejection: Score | None = None
    twin: str | None = None
    direction: tuple[float, ...] | None = None


Screener: TypeAlias = Callable[[Sequence[str]], Sequence[Finding]]
"""Gives a finding for each of some formulas, in that order; the same for the same formulas, always."""


def pass_all(formulas: Sequence[str]) -> Sequence[Finding]:
    """Screen nothing: every formula is new and worth a training."""
    return [Finding()] * len(formulas)


@dataclass
class ScreeningCache:
    """Asks the screener about every formula once, and remembers.

    Attributes:
        screen: what is asked.
    """

    screen: Screener = pass_all
    _findings: dict[str, Finding] = field(default_factory=dict)

    def look_at(self, distillers: Sequence[Distiller]) -> None:
        """Have the trees of some distillers screened, all that are new at once."""
        formulas = [term.formula for distiller in distillers for term in distiller.terms]
        new = [formula for formula in dict.fromkeys(formulas) if formula not in self._findings]
        if new:
            self._findings.update(zip(new, self.screen(new), strict=True))

    def rejection(self, distiller: Distiller) -> Score | None:
        """Return the rejection of the first tree that has one."""
        found = (self._findings[term.formula].rejection for term in distiller.terms)
        return next((rejection for rejection in found if rejection is not None), None)

    def losses(self, distiller: Distiller) -> tuple[str, ...]:
        """Return the loss of every term, whatever its weight: the first formula known that is the same."""
        return tuple(self._findings[term.formula].twin or term.formula for term in distiller.terms)

    def direction(self, formula: str) -> tuple[float, ...] | None:
        """Return the direction of a formula that was looked at; None where it is not known."""
        return self._findings[formula].direction
