"""Who leads, who is the best of a knowledge, who wins: the one rule of a run, of what is shown and of its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Protocol, TypeVar

from detkds_gp.results.expected import Expected
from detkds_gp.score import MIX, Score
from detkds_gp.store import Birth


class Scored(Protocol):
    """A distiller of the search after the whole training of a candidate."""

    @property
    def birth(self) -> Birth:
        """Where it came from."""

    @property
    def ap(self) -> float | None:
        """On the selection split, on the search's seed; None for a failure."""

    @property
    def expected(self) -> Expected | None:
        """What the search expects of it; None where it takes APs for what they are, or for one not of the best."""

    @property
    def operations(self) -> int:
        """What a training step computes for the loss."""

    @property
    def terms(self) -> int:
        """How many trees it adds."""


Entry = TypeVar("Entry", bound=Scored)


def ranked(found: Iterable[Entry]) -> list[Entry]:
    """Sort those with an AP, best first; fewer operations decide between equals, then who was born first.

    Those of whom the search expects an AP come first, by that.
    """
    return sorted((one for one in found if one.ap is not None), key=_place)


def _place(one: Scored) -> tuple[bool, float, int]:
    ap = one.expected.ap if one.expected is not None else one.ap or 0.0
    return one.expected is None, -ap, one.operations


def champions(ranking: Iterable[Entry]) -> dict[str, Entry]:
    """Return the best formula of every knowledge: of one tree, and found while knowledges evolve by themselves.

    Args:
        ranking: best first.
    """
    best: dict[str, Entry] = {}
    for one in ranking:
        if one.terms == 1 and one.birth.niche != MIX:
            best.setdefault(one.birth.niche, one)
    return best


def winner(scores: Mapping[str, Sequence[Score | None]], *, raced: bool = False) -> str | None:
    """Return who has the highest mean AP on selection in the final round, of those whom no training failed.

    Args:
        scores: by finalist, in the order invited (it decides between equals); one for each seed, None while it is
            to come.
        raced: other seeds have decided: the first one wins, if no training failed it.

    Returns:
        its text; None until every training is answered, or if each finalist failed in one.
    """
    if any(score is None for found in scores.values() for score in found):
        return None
    aps = {text: [score.ap for score in found if score and score.ap is not None] for text, found in scores.items()}
    means = {text: fmean(known) for text, known in aps.items() if known and len(known) == len(scores[text])}
    if raced:
        return next(iter(means), None)
    return max(means, key=lambda text: means[text]) if means else None
