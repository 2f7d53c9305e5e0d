"""The final round: the best of a search beside published rivals and the student alone, on seeds it never used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detkds_gp.experiment.rungs import planned_iterations

if TYPE_CHECKING:
    from detkds_gp.experiment.config import ExperimentConfig

LEAST_SEEDS = 3
LENGTHENED = 2


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

    @property
    def trainings(self) -> int:
        """The trainings of formulas; the student alone comes on top."""
        return self.places * len(self.seeds)

    def to_json(self, chosen: Sequence[Finalist]) -> dict[str, Any]:
        """Return what is recorded when it begins: how it is held, and who is judged."""
        return {
            "seeds": list(self.seeds),
            "iterations": self.iterations,
            "reduced": self.reduced,
            "finalists": [vars(finalist) for finalist in chosen],
        }


def plan_final_round(config: ExperimentConfig, niches: int) -> FinalRound:
    """Fit the final round into its share of all planned training steps.

    First it gets shorter, down to the proxy's length; then it loses seeds, down to three; then places. The leader
    of the search and the student alone are always judged, on three seeds, even where that takes more.

    Args:
        config: with what is wished for, from `with_rivals`.
        niches: knowledges that are searched.
    """
    wished = config.verdict
    shortest = config.proxy.iterations
    longest = wished.iterations or LENGTHENED * shortest
    places = wished.finalists + niches + len(wished.rivals) + int(niches > 1)  # the mix of the champions
    room = wished.share / (1 - wished.share) * _other_iterations(config, niches)

    def fits(length: int, seeds: int, among: int) -> bool:
        return (among + 1) * seeds * length <= room

    fewest = min(LEAST_SEEDS, len(wished.seeds))
    length = next((n for n in (longest, (longest + shortest) // 2) if fits(n, len(wished.seeds), places)), shortest)
    length = min(length, longest)
    seeds = next((n for n in range(len(wished.seeds), fewest, -1) if fits(length, n, places)), fewest)
    judged = next((n for n in range(places, 1, -1) if fits(length, seeds, n)), 1)
    steps = (judged + 1) * seeds * length
    asked, got = (longest, len(wished.seeds), places), (length, seeds, judged)
    share = steps / (steps + _other_iterations(config, niches))
    return FinalRound(wished.seeds[:seeds], length, judged, _reduction(asked, got, share))


def _other_iterations(config: ExperimentConfig, niches: int) -> int:
    """Return the training steps of all but the final round; the teacher's count if it is trained."""
    teacher = config.teacher.train.iterations if config.teacher.checkpoint is None else 0
    alone = len(config.baseline_seeds) * config.proxy.iterations
    return teacher + alone + planned_iterations(config.search, config.proxy, niches)


def _reduction(asked: tuple[int, int, int], got: tuple[int, int, int], share: float) -> str:
    names = ("iterations", "seeds", "formulas")
    less = [f"{a} {name} instead of {b}" for a, b, name in zip(got, asked, names, strict=True) if a < b]
    return f"the final round has {', '.join(less)}: {share:.0%} of all training" if less else ""


@dataclass(frozen=True)
class Finalist:
    """A formula that is judged.

    Attributes:
        text: as the store calls it.
        role: ``leader`` (the highest AP of the search), ``best of <knowledge>``, ``<name>`` of a rival,
            ``mix of the best``, or ``contender``.
    """

    text: str
    role: str


def finalists(
    ranking: Sequence[str], champions: Mapping[str, str], rivals: Mapping[str, str], places: int
) -> list[Finalist]:
    """Choose who is judged: leader, the best of every knowledge, the rivals, then who follows the leader.

    Args:
        ranking: the search's formulas, best first.
        champions: by knowledge.
        rivals: published ones, by name.
        places: how many at most.
    """

    def invited() -> Iterator[Finalist]:
        yield Finalist(ranking[0], "leader")
        for niche, text in champions.items():
            yield Finalist(text, f"best of {niche}")
        for name, text in rivals.items():
            yield Finalist(text, name)
        for text in ranking[1:]:
            yield Finalist(text, "contender")

    chosen: dict[str, Finalist] = {}
    for finalist in invited():
        chosen.setdefault(finalist.text, finalist)
    return list(chosen.values())[:places]
