"""What an experiment tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detkds_gp.score import Score


class Listener:
    """Hears what happens; every method may be overridden, none has to."""

    def say(self, message: str) -> None:
        """Take a line of news."""

    def phase(self, name: str, total: int, known: int) -> None:
        """Take the start of a group of trainings: how many, and how many of them were answered before."""

    def answered(self, niche: str, score: Score | None) -> None:
        """Take the score of one training of the phase; None where a training has none."""

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the DEAP log records of a finished generation, one per niche."""
