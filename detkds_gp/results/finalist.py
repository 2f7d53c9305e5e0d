"""Who is judged in a final round."""

from __future__ import annotations

from dataclasses import dataclass

MIX = "mix of the best"
"""The role of the best formula of every knowledge, added up as they were searched: what conquering has to beat."""

LEFT = 2
"""Finalists whom a race leaves: the winner, and the best of the other side, published or found."""

LEAST_JUDGED = 2
"""Seeds below which a difference has no interval."""


@dataclass(frozen=True)
class Finalist:
    """A formula that is judged.

    Attributes:
        text: as the store calls it.
        role: ``leader`` (the highest AP of the search), ``best of <knowledge>``, ``<name>`` of a rival,
            ``mix of the best``, or ``contender``.
        weighed: of a rival, which weight it has, and why; empty for what the search weighed.
        weight: of a rival, its first term's in calibrated units.
    """

    text: str
    role: str
    weighed: str = ""
    weight: float | None = None

    @property
    def title(self) -> str:
        """Its role, of a rival with its weight."""
        return f"{self.role} ({self.weighed})" if self.weighed else self.role


def same_loss(text: str, other: str) -> bool:
    """Tell whether two distillers, in canonical texts, differ in nothing but weights and scales.

    >>> same_loss("8.8 * 2.85 * l2(global)", "1 * 25 * l2(global)")
    True
    """
    one, two = (sorted(term.split(" * ", 2)[2] for term in each.split(" + ")) for each in (text, other))
    return one == two
