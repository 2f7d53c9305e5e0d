"""A guide: how good an individual counts as, and which of a brood are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detkds_gp.search.individual import Individual


@dataclass(frozen=True)
class Brood:
    """What a niche offers for a generation.

    Attributes:
        given: individuals that are trained in any case.
        bred: what was made beside them.
        size: how many of those shall be trained.
    """

    given: list[Individual]
    bred: list[Individual]
    size: int


class Guide:
    """Takes an AP for what it is worth, and has all trained that is bred; `Believing` goes by a belief."""

    fresh: float = 0.0
    """Share of a brood that is drawn anew where others could be bred from."""
    revises: bool = False
    """Whether an individual's fitness may change after it was told."""

    @property
    def brood(self) -> int:
        """Individuals that are made for each that is trained."""
        return 1

    def learn(self, scored: Sequence[Individual]) -> None:
        """Take all individuals whose AP is known, in the order told; the fitness of the last ones is that AP so far."""

    def choose(self, broods: Sequence[Brood]) -> list[Individual]:
        """Return the bred individuals that are trained, in the order of the broods."""
        return [one for brood in broods for one in brood.bred]

    def foreseen(self, told: Sequence[Individual]) -> dict[str, Any]:
        """Return, as part of a logbook's record, what was expected of individuals before they were trained."""
        return {}
