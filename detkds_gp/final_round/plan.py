"""The final round: the best of a search beside published rivals and the student alone, on seeds it never used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detkds_gp.evaluation.halving import planned_iterations
from detkds_gp.results import Finalist
from detkds_gp.search import Generation

if TYPE_CHECKING:
    from detkds_gp.config import ExperimentConfig, VerdictSettings

LEAST_SEEDS_OF_A_SHARE = 3
LENGTHENED = 2
TUNING = 12
"""The most trainings by which a rival's weight is tuned, where the config does not say."""


@dataclass(frozen=True)
class FinalRound:
    """How the final round is held; a function of the config, so that every start of a run plans the same.

    Attributes:
        seeds: that the search never uses.
        iterations: training steps of everyone.
        places: formulas that are judged besides the student alone.
        reduced: what was wished for and does not fit, in words; empty if all does.
    """

    seeds: tuple[int, ...]
    iterations: int
    places: int
    reduced: str = ""

    def to_json(self, chosen: Sequence[Finalist], left_out: Sequence[Finalist] = ()) -> dict[str, Any]:
        """Return what is recorded when it begins: how it is held, who is judged, and whom a budget leaves out."""
        return {
            "seeds": list(self.seeds),
            "iterations": self.iterations,
            "reduced": self.reduced,
            "finalists": [dict(vars(finalist)) for finalist in chosen],
            "left_out": [finalist.title for finalist in left_out],
        }


def plan_final_round(config: ExperimentConfig, search: Sequence[Generation]) -> FinalRound:
    """Fit the final round into its share of all planned training steps.

    First it loses seeds, down to three; then places, down to the leader's and one for each rival; then it gets shorter,
    down to the proxy's length, since what wins a short training may lose a longer one; then it loses places again. The
    leader of the search and the student alone are always judged, on three seeds, even where that takes more.
    """
    wished, niches = config.verdict, max(len(one.niches) for one in search)
    shortest = config.proxy.iterations
    longest = wished.iterations or LENGTHENED * shortest
    mix = int(niches > 1)  # of the champions
    places = wished.finalists + niches + sum(map(_judged, wished.rivals.values())) + mix
    others = _other_iterations(config, search)
    room = wished.share / (1 - wished.share) * others

    def fits(length: int, seeds: int, among: int) -> bool:
        return (among + 1) * seeds * length <= room

    fewest, least = min(LEAST_SEEDS_OF_A_SHARE, len(wished.seeds)), min(places, 1 + len(wished.rivals))
    seeds = next((n for n in range(len(wished.seeds), fewest, -1) if fits(longest, n, places)), fewest)
    length = next((n for n in (longest, (longest + shortest) // 2) if fits(n, seeds, least)), min(longest, shortest))
    judged = next((n for n in range(places, 1, -1) if fits(length, seeds, n)), 1)
    steps = (judged + 1) * seeds * length
    asked, got = (longest, len(wished.seeds), places), (length, seeds, judged)
    return FinalRound(wished.seeds[:seeds], length, judged, _reduction(asked, got, steps / (steps + others)))


def _other_iterations(config: ExperimentConfig, search: Sequence[Generation]) -> int:
    """Return the training steps of all but the final round; the teacher's count if it is trained."""
    teacher = config.teacher.train.iterations if config.teacher.checkpoint is None else 0
    alone = len(config.baseline_seeds) * config.proxy.iterations
    tuning = tuning_trainings(search, config.verdict) * config.proxy.iterations
    return teacher + alone + tuning + planned_iterations(search, config.proxy)


def _judged(rival: str) -> int:
    """Return how often a rival is judged: at the weight it came with, if it came with one, and tuned."""
    bare = "(" in rival and not rival[:1].isdigit()
    return 1 if bare or rival.startswith("1 * calibrated * ") else 2


def tuning_trainings(search: Sequence[Generation], verdict: VerdictSettings) -> int:
    """Return the trainings that tune the weights of all rivals: each gets as many as a knowledge, 12 at most."""
    each = min(TUNING, sum(one.size for one in search if not one.mixes))
    return len(verdict.rivals) * (each if verdict.tuning is None else verdict.tuning)


def _reduction(asked: tuple[int, int, int], got: tuple[int, int, int], share: float) -> str:
    names = ("iterations", "seeds", "formulas")
    less = [f"{a} {name} instead of {b}" for a, b, name in zip(got, asked, names, strict=True) if a < b]
    return f"the final round has {', '.join(less)}: {share:.0%} of all training" if less else ""


@dataclass(frozen=True)
class Rival:
    """What may be judged of a rival.

    Attributes:
        given: at the weight it came with; None if it came without, and was tuned.
        tuned: at the weight that trainings found; None if there were too few, or they found no better one.
        expected: AP of the better one on selection; 0 where it was not tuned.
    """

    given: Finalist | None = None
    tuned: Finalist | None = None
    expected: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Rival:
        """Read what ``asdict`` of one gave."""
        given, tuned = (Finalist(**values[one]) if values[one] else None for one in ("given", "tuned"))
        return cls(given, tuned, values["expected"])

    @property
    def best(self) -> Finalist | None:
        """The rival at its best weight; None where no weight was tried."""
        return (self.tuned or self.given) if self.expected else None


def finalists(
    ranking: Sequence[str], champions: Mapping[str, str], rivals: Sequence[Rival], places: int
) -> list[Finalist]:
    """Choose who is judged: leader, rivals at their best, each knowledge's best, rivals as given, the rest.

    Rivals come before what the search found besides, so that a short final round still holds it against them. Formulas
    and rivals are given best first, champions by knowledge.
    """

    def invited() -> Iterator[Finalist]:
        yield Finalist(ranking[0], "leader")
        yield from (best for rival in rivals if (best := rival.tuned or rival.given))
        for niche, text in champions.items():
            yield Finalist(text, f"best of {niche}")
        yield from (rival.given for rival in rivals if rival.tuned and rival.given)
        for text in ranking[1:]:
            yield Finalist(text, "contender")

    chosen: dict[str, Finalist] = {}
    for finalist in invited():
        chosen.setdefault(finalist.text, finalist)
    return list(chosen.values())[:places]
