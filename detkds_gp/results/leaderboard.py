"""Who leads, who is the best of a knowledge, who wins: the one rule of a run, of what is shown and of its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol, TypeVar

from detkds_gp.score import MIX, Score
from detkds_gp.store import Birth, Store


@dataclass(frozen=True)
class Expected:
    """The AP on selection, over seeds, that a search expected when last told, and the standard deviation of that."""

    ap: float
    deviation: float


def expected_aps(store: Store) -> Mapping[str, Expected]:
    """Return by text what is expected of the best; nothing where the strategy takes APs for what they are."""
    generations = store.generations()
    told = generations[-1].statistics.get("expected", {}) if generations else {}
    return {text: Expected(*values) for text, values in told.items()}


class _Scored(Protocol):
    """A distiller of the search after the whole training of a candidate.

    It has no AP where it failed, and nothing is expected of it where the search takes APs for what they are, or others
    are the best. Operations are what a training step computes for the loss, terms how many trees it adds.
    """

    @property
    def birth(self) -> Birth: ...
    @property
    def ap(self) -> float | None: ...
    @property
    def expected(self) -> Expected | None: ...
    @property
    def operations(self) -> int: ...
    @property
    def terms(self) -> int: ...


Entry = TypeVar("Entry", bound=_Scored)


def ranked(found: Iterable[Entry]) -> list[Entry]:
    """Sort those with an AP, best first; fewer operations decide between equals, then who was born first.

    Those of whom the search expects an AP come first, by that.
    """

    def place(one: Entry) -> tuple[bool, float, int]:
        ap = one.expected.ap if one.expected is not None else one.ap or 0.0
        return one.expected is None, -ap, one.operations

    return sorted((one for one in found if one.ap is not None), key=place)


def champions(ranking: Iterable[Entry]) -> dict[str, Entry]:
    """Return the first formula of every knowledge: of one tree, and found while knowledges evolve by themselves."""
    best: dict[str, Entry] = {}
    for one in ranking:
        if one.terms == 1 and one.birth.niche != MIX:
            best.setdefault(one.birth.niche, one)
    return best


def complete_mean(aps: Sequence[float | None]) -> float | None:
    """Return the mean AP; None while one is missing, or of none."""
    known = [ap for ap in aps if ap is not None]
    return fmean(known) if known and len(known) == len(aps) else None


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
    aps = {text: [score.ap if score else None for score in found] for text, found in scores.items()}
    means = {text: mean for text, each in aps.items() if (mean := complete_mean(each)) is not None}
    if raced:
        return next(iter(means), None)
    return max(means, key=lambda text: means[text]) if means else None
