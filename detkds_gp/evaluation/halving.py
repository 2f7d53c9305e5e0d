"""Successive halving within a generation: the better part of every rung trains on; and the steps that it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from detkds_gp.fitness import ProxySettings
from detkds_gp.score import STOPPED_ON_RUNG, Score, Trial
from detkds_gp.turns import Turns

if TYPE_CHECKING:  # what reads a run's state counts steps, and imports no more
    from detkds_gp.evaluation import Evaluator, Question
    from detkds_gp.search import Generation


@dataclass(frozen=True)
class Halving:
    """An evaluator whose candidates climb the rungs of the settings.

    On every rung the candidates of a niche (its knowledge, or the mixes) are compared by AP, ties by counted
    operations, then by the order asked; `survivors` of them train on, from where they stand. What stops a
    candidate on its way is its score: its failure, or ``rejected:rung`` with what the rung said.

    Attributes:
        evaluator: asked for a rung at a time.
        settings: rungs and the share that is kept.
    """

    evaluator: Evaluator
    settings: ProxySettings

    def scoring(self, phase: str, questions: Sequence[Question]) -> Turns[list[Score]]:
        """Find the score of every question, in their order."""
        final: dict[Trial, Score] = {}
        running = list(questions)
        for rung in self.settings.rungs:
            here = [one.shortened(rung) for one in running]
            scores = (yield from self.evaluator.scoring(f"{phase}, {rung} iterations", here)) if here else []
            better = _better(running, scores, self.settings.keep)
            for one, score in zip(running, scores, strict=True):
                if not score.ok:
                    final[one.trial] = score
                elif one not in better:
                    told = f"AP {score.ap:.4f} after {rung} iterations is not among the best of {one.niche}"
                    final[one.trial] = Score.failed(STOPPED_ON_RUNG, told, score.wall_seconds)
            running = better
        scores = (yield from self.evaluator.scoring(phase, running)) if running else []
        final |= {one.trial: score for one, score in zip(running, scores, strict=True)}
        return [final[one.trial] for one in questions]


def _better(running: Sequence[Question], scores: Sequence[Score], keep: float) -> list[Question]:
    """Return what trains on of every niche, in the order asked."""
    niches: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for place, (one, score) in enumerate(zip(running, scores, strict=True)):
        if score.ap is not None:
            niches[one.niche].append((-score.ap, one.distiller.cost, place))
    chosen: list[int] = []
    for niche, found in niches.items():
        count = sum(one.niche == niche for one in running)
        chosen += [place for *_, place in sorted(found)[: survivors(count, keep)]]
    return [running[place] for place in sorted(chosen)]


def survivors(count: int, keep: float) -> int:
    """Return how many of some candidates on a rung train on; one does at least."""
    return max(1, ceil(count * keep - 1e-9)) if count else 0


def climbers(count: int, proxy: ProxySettings) -> list[int]:
    """Return how many of some candidates of one niche are trained to each rung, the whole training last."""
    counts = [count]
    for _ in proxy.rungs:
        counts.append(survivors(counts[-1], proxy.keep))
    return counts


def planned_iterations(generations: Sequence[Generation], proxy: ProxySettings) -> int:
    """Return the training steps of the generations that a strategy plans."""
    lengths = [later - earlier for earlier, later in pairwise([0, *proxy.rungs, proxy.iterations])]
    each = [sum(n * length for n, length in zip(climbers(g.size, proxy), lengths, strict=True)) for g in generations]
    return sum(len(one.niches) * steps for one, steps in zip(generations, each, strict=True))
