"""What an experiment tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detkds_gp.score import Score


class Listener:
    """Told what happens; every method may be overridden, none has to."""

    def say(self, message: str) -> None:
        """Take a line of news."""

    def phase(self, name: str, total: int, known: int, besides: int = 0) -> None:
        """Take the start of a group of trainings.

        Args:
            name: of the group.
            total: trainings in it.
            known: how many of them were answered before.
            besides: trainings of groups that began earlier and still go on.
        """

    def expected(self, name: str, seconds: float) -> None:
        """Take the estimated time of a phase that is still to start."""

    def asked(self, candidates: Sequence[tuple[str, str]]) -> None:
        """Take the candidates of a phase: (niche, text of the distiller)."""

    def waiting(self, texts: Sequence[str]) -> None:
        """Take the first of the distillers still to be trained, those at work before all; told with every answer."""

    def time_left(self, seconds: float) -> None:
        """Take the estimated time to the end of all that is planned."""

    def answered(self, niche: str, score: Score | None) -> None:
        """Take the score of one training of the phase; None where a training has none."""

    def generation(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the DEAP log records of a finished generation, one per niche."""
