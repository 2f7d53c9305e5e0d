"""The race of a final round: many finalists on few seeds, the better half on one more, until two are left.

Who wins is decided by the race's seeds alone; the winner, the best of the other side and the student alone are then
trained on seeds of their own, with the trainings that the others save. So being chosen flatters no reported interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

from detkds_gp.results import Finalist
from detkds_gp.results.finalist import LEFT
from detkds_gp.results.leaderboard import complete_mean

FIRST = 2
"""Seeds on which everyone is trained before the first drop out."""
_BESIDE = LEFT + 1
"""Trainings of one more seed of those who are left: the student alone needs it too."""


@dataclass(frozen=True)
class Race:
    """How a race is held.

    Attributes:
        sizes: how many are trained on each of its seeds, falling.
        seeds: on which nobody is trained but in the race.
        judging: on which those who are left, and the student alone, are trained; as many as a round without a race has,
            or more.
    """

    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    judging: tuple[int, ...]

    def __str__(self) -> str:
        sizes = ", ".join(f"{size} on {seeds}" for size, seeds in Counter(self.sizes).items())
        return f"{sizes} seeds; who wins is judged on {len(self.judging)} others"

    @property
    def rounds(self) -> Iterator[tuple[int, int, int]]:
        """Yield (seed, how many are trained on it, how many stay after it)."""
        stay = [*self.sizes[: FIRST - 1], *self.sizes[FIRST:], LEFT]
        yield from zip(self.seeds, self.sizes, stay, strict=True)


def plan_race(places: int, seeds: Sequence[int], used: Sequence[int] = ()) -> Race | None:
    """Plan a race that takes no more trainings than everyone on every seed.

    Args:
        places: finalists.
        seeds: of the final round, on which the student alone is trained in any case.
        used: seeds of the search.

    Returns:
        None where a race leaves no seed more for those who are left: of few finalists, or on few seeds.
    """
    sizes = [places] * FIRST
    while (half := (sizes[-1] + 1) // 2) > LEFT:
        sizes.append(half)
    more = (places * len(seeds) - sum(sizes) - LEFT * len(seeds)) // _BESIDE
    if places <= LEFT or more < 1:
        return None
    free = (seed for seed in count(max([*seeds, *used]) + 1))
    racing = tuple(islice(free, len(sizes)))
    return Race(tuple(sizes), racing, (*seeds, *islice(free, more)))


def kept(finalists: Sequence[Finalist], aps: Mapping[str, Sequence[float | None]], places: int) -> list[Finalist]:
    """Return who stays in a race, the best first: by mean AP on selection, and of either side the best in any case.

    Args:
        finalists: who is in; their order decides between equals.
        aps: by text, on the race's seeds so far; None where a training failed, which puts its formula last.
        places: how many stay, `LEFT` or more.
    """

    def mean(finalist: Finalist) -> float:
        known = complete_mean(aps[finalist.text])
        return -1.0 if known is None else known

    ranking = sorted(finalists, key=mean, reverse=True)
    best = {bool(one.weighed): one for one in reversed(ranking)}  # only a published rival has its weight explained
    others = [one for one in ranking if one not in best.values()]
    chosen = [*best.values(), *others[: places - len(best)]]
    return [one for one in ranking if one in chosen]
