"""Successive halving within a generation: the better part of every rung trains on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from detkds_gp.experiment.evaluation import Asked, Scored
from detkds_gp.experiment.rungs import survivors
from detkds_gp.fitness import ProxySettings
from detkds_gp.score import STOPPED_ON_RUNG, Score, Trial


def climbing(settings: ProxySettings, scored: Scored) -> Scored:
    """Wrap the answering of generations so that their candidates climb the rungs of the settings.

    On every rung the candidates of a niche (its knowledge, or the mixes) are compared by AP, ties by counted
    operations, then by the order asked; `survivors` of them train on, from where they stand. What stops a
    candidate on its way is its score: its failure, or ``rejected:rung`` with what the rung said.

    Args:
        settings: rungs and the share that is kept.
        scored: answers trials; asked for a rung at a time.
    """

    def answer(phase: str, asked: Asked) -> list[Score]:
        final: dict[Trial, Score] = {}
        running = list(asked)
        for rung in settings.rungs:
            here = [(replace(trial, iterations=rung), distiller, niche) for trial, distiller, niche in running]
            scores = scored(f"{phase}, {rung} iterations", here) if here else []
            better = _better(running, scores, settings.keep)
            for (trial, _, niche), score in zip(running, scores, strict=True):
                if not score.ok:
                    final[trial] = score
                elif trial not in better:
                    final[trial] = _stopped(score, rung, niche)
            running = [question for question in running if question[0] not in final]
        scores = scored(phase, running) if running else []
        final |= {trial: score for (trial, _, _), score in zip(running, scores, strict=True)}
        return [final[trial] for trial, _, _ in asked]

    return answer if settings.rungs else scored


def _better(running: Asked, scores: Sequence[Score], keep: float) -> set[Trial]:
    """Return the trials of every niche that train on."""
    niches: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for place, ((_, distiller, niche), score) in enumerate(zip(running, scores, strict=True)):
        if score.ap is not None:
            niches[niche].append((-score.ap, distiller.cost, place))
    asked = {niche: sum(question[2] == niche for question in running) for niche in niches}
    chosen = [place for niche, found in niches.items() for *_, place in sorted(found)[: survivors(asked[niche], keep)]]
    return {running[place][0] for place in chosen}


def _stopped(score: Score, rung: int, niche: str) -> Score:
    detail = f"AP {score.ap:.4f} after {rung} iterations is not among the best of {niche}"
    return Score.failed(STOPPED_ON_RUNG, detail, score.wall_seconds)
