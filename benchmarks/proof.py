"""The proof: students trained to their end, under the searched loss and under rivals that were given as many trainings.

    python benchmarks/proof.py DIR [--cells NAME ...] [--scale cpu | gpu] [--seeds 4] [--workers 2] [--quick]
        [--longer] [--save]

DIR holds the data (``bccd``, ``raccoon`` and ``coco``; digits are made) and takes everything that is trained: a
stopped proof goes on, and what is trained is not trained again. The protocol of every cell (it was changed once, after
the first cell, whose figures under the one before are in ``results/proof_quarter.json``):

1. The teacher is trained until it stops gaining. How long a student is trained: until twice the steps bring no more AP
   on selection than its seeds differ by, or `ALONG` steps. A cell whose teacher does not lie `GAP` times that above the
   student at its end is not used.
2. A search runs as `proof_cells.py` configures it, from the zoo's formulas on, with trainings of `SHARE` of that length
   and a final round of the whole of it; T trainings before its final round. What counts as searched is the best there
   that is no published loss, at whatever weight; what is handed over is the best there, whatever it is.
3. Rivals get T trainings each: the published losses that apply, their weights tuned, T in all; Optuna's TPE over the
   zoo's terms, which to combine and how strongly; and the published losses at their papers' weights. Of each sort the
   best `PLACES` by one training are trained on the seeds of the search's final round; the best on selection goes on.
4. Everyone is trained on fresh seeds, averaged weights on all sides, and scored on the test split, once. Gains are
   paired, with 95% intervals. ``--longer`` adds the student alone, trained longer by all steps of the search.

``--save`` writes each cell to ``benchmarks/results/proof.json`` when it is done. The last line printed is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from fresh_seeds import difference
from proof_cells import ALONG, SCALES, Cell
from proof_rivals import Rivals, Trainings, trainings_in, trees_of
from weight_sweep import Aloud

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig
from detkds_gp.language import NONE, Distiller
from detkds_gp.operators import active_operators
from detkds_gp.results import opened
from detkds_gp.run import Experiment
from detkds_gp.score import TEACHER, Trial
from detkds_gp.store import Store

RESULTS = Path(__file__).parent / "results" / "proof.json"
PLACES = 3
"""Of each sort of rival, in what stands for a final round."""
FIRST_SEED = 6001
"""Of those that nothing was chosen on."""
SHARE = 0.5
"""Of a student's length that a training of the search has; `proof_ranking.py` looks at what shorter ones say."""
GAP = 3
"""Times what seeds differ by that a teacher lies above a student at its end."""
FIRST_LENGTH = 240
DOUBLINGS = 4
"""Of the first length, at most."""
ALONE, SEARCHED, HANDED_OVER, LONGER = "alone", "searched", "handed over", "alone, longer"


@dataclass(frozen=True)
class Searched:
    """What the search of a cell found, and what it took.

    Attributes:
        formulas: of its final round but the rivals there, with their scales; the best first.
        handed_over: the best of all, a rival or not: what a user of the search trains with.
        trainings: that it asked for before its final round.
        seeds: of its final round.
        iterations: of a training there.
        wall_seconds: of the run's parts.
        seconds: that it took now.
    """

    formulas: Sequence[str]
    handed_over: str
    trainings: int
    seeds: Sequence[int]
    iterations: int
    wall_seconds: Mapping[str, float]
    seconds: float


class CellProof:
    """Carries out the protocol in one cell.

    Args:
        cell: which.
        arguments: of the command line.
    """

    def __init__(self, cell: Cell, arguments: argparse.Namespace) -> None:
        self.cell = cell
        self.folder = arguments.folder / "proof" / cell.name
        self._arguments = arguments
        self._config = self._options(cell.config(arguments.folder.resolve()))

    def _options(self, config: ExperimentConfig) -> ExperimentConfig:
        values: dict[str, Any] = {"execution": {**vars(config.execution), "workers": self._arguments.workers}}
        if self._arguments.quick:
            values["proxy"] = {**config.proxy.model_dump(), "iterations": 4, "calibration_iterations": 2}
            values["teacher"] = {**config.teacher.model_dump(), "train": {"iterations": 6, "warmup": 1}}
            stage = {"population": 1, "offspring": 1, "generations": 0}
            values["search"] = {**config.search.model_dump(), "divide": stage, "conquer": stage, "warm_start": ()}
            values["verdict"] = {"seeds": (1001, 1002), "tuning": 3}
        return ExperimentConfig.model_validate({**config.model_dump(), **values})

    def figures(self) -> dict[str, Any]:
        """Return what the cell shows; without any figures of distillers where there is no gap."""
        cell, began = self.cell, time.monotonic()
        with trainings_in(self._config, self.folder / "length") as trainings:
            length, gap = self._length(trainings)
        named = {"data": cell.data, "pair": cell.pair, "iterations": length, "gap": gap}
        if gap is not None and gap["gap"] < GAP * gap["seeds_differ_by"]:
            return {**named, "used": False}
        config = self._of_length(length)
        searched = self._searched(config)
        with trainings_in(config, self.folder / "rivals") as trainings:
            told = Judge(cell, trainings, searched, self._arguments).told(length)
        cost = {"trainings": searched.trainings, "wall_seconds": searched.wall_seconds}
        seconds = round(time.monotonic() - began - searched.seconds)
        return {**named, "used": True, **told, "search": cost, "rivals_seconds": seconds}

    def _of_length(self, length: int) -> ExperimentConfig:
        """Return the config of a search for students that are trained so long."""
        if self._arguments.quick:
            return self._config
        proxy = {**self._config.proxy.model_dump(), "iterations": round(SHARE * length)}
        verdict = {**self._config.verdict.model_dump(), "iterations": length}
        return ExperimentConfig.model_validate({**self._config.model_dump(), "proxy": proxy, "verdict": verdict})

    def _length(self, trainings: Trainings) -> tuple[int, dict[str, Any] | None]:
        """Return how many steps a student is trained, and the gap to the teacher there."""
        if self._arguments.quick:
            return 4, None
        if not self.cell.to_the_end:
            length = ALONG if self._arguments.scale == "cpu" else 2 * trainings.short
            return length, _gap(trainings, _alone(trainings, length), {})
        steps = FIRST_LENGTH if self._arguments.scale == "cpu" else 2 * trainings.short
        curve = {steps: _alone(trainings, steps)}
        for _ in range(DOUBLINGS):
            curve[2 * steps] = _alone(trainings, 2 * steps)
            if fmean(curve[2 * steps]) - fmean(curve[steps]) <= stdev(curve[steps]):
                break
            steps *= 2
        told = {str(n): [round(ap, 4) for ap in aps] for n, aps in curve.items()}
        return steps, _gap(trainings, curve[max(curve)], told)

    def _searched(self, config: ExperimentConfig) -> Searched:
        """Run the search, or read it."""
        work_dir, began = self.folder / "search", time.monotonic()
        final = Experiment(config, work_dir).run(Aloud()).summary["final"]
        with opened(work_dir) as summary:
            verdict = summary.verdict
            judged = [verdict.judged(finalist) for finalist in verdict.finalists]
            judged.sort(key=lambda one: -(one.selection_mean or 0.0))
            judged += verdict.dropped
            winner = verdict.winner()
            handed_over = judged[0] if winner is None else verdict.judged(winner)
            wall_seconds = summary.to_json()["wall_seconds"]
        with Store.open(work_dir, readonly=True) as store:
            asked = [record.trial for record in store.scores()]
        trained = [trial for trial in asked if not trial.test and trial.distiller not in (NONE, TEACHER.distiller)]
        own = [one.formula for one in judged if not one.finalist.weighed]
        seconds = time.monotonic() - began
        return Searched(
            own, handed_over.formula, len(trained), final["seeds"], final["iterations"], wall_seconds, seconds
        )


def _alone(trainings: Trainings, length: int) -> list[float]:
    """Return the student alone's APs on selection."""
    seeds = trainings.context.config.baseline_seeds
    (scores,) = trainings.scores("how long", [trainings.read(NONE)], length, seeds)
    return [score.ap or 0.0 for score in scores]


def _gap(trainings: Trainings, aps: Sequence[float], curve: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    teacher = trainings.store.score(TEACHER)
    assert teacher is not None
    assert teacher.ap is not None
    differ = {"gap": teacher.ap - fmean(aps), "seeds_differ_by": stdev(aps)}
    return {name: round(value, 4) for name, value in differ.items()} | {"curve": dict(curve)}


@dataclass
class Judge:
    """Judges everyone of a cell on fresh seeds."""

    cell: Cell
    trainings: Trainings
    search: Searched
    arguments: argparse.Namespace

    def told(self, length: int) -> dict[str, Any]:
        """Return the figures of the cell, of students of a length."""
        rivals = Rivals(self.trainings, self.search.trainings)
        everyone = {ALONE: self.trainings.read(NONE), SEARCHED: self.own(rivals)}
        chosen = {sort: self.chosen(found[:PLACES]) for sort, found in rivals.by_sort().items() if found}
        everyone |= {sort: distiller for sort, (distiller, _) in chosen.items()}
        everyone[HANDED_OVER] = self.trainings.read(self.search.handed_over)
        seeds = range(FIRST_SEED, FIRST_SEED + self.arguments.seeds)
        aps = {role: self.aps(distiller, length, seeds) for role, distiller in everyone.items()}
        if self.arguments.longer:
            more = length + self.search.trainings * self.trainings.short
            aps[LONGER] = self.aps(everyone[ALONE], more, seeds)
        best, teacher = max(chosen, key=lambda sort: chosen[sort][1]), self.trainings.store.score(TEACHER)
        return {
            "seeds": list(seeds),
            "teacher": None if teacher is None else teacher.test_ap,
            "alone": _mean(aps[ALONE]),
            "searched": _mean(aps[SEARCHED]),
            "best_rival": {"name": best, "ap": _mean(aps[best])},
            "gain": difference(aps[SEARCHED], aps[ALONE]),
            "over_rival": difference(aps[SEARCHED], aps[best]),
            "judged": {
                role: {
                    "formula": self._resolved(everyone.get(role, everyone[ALONE]), length, seeds[0]),
                    "test_ap": found,
                    "over_alone": difference(found, aps[ALONE]),
                    "searched_over_it": difference(aps[SEARCHED], found),
                }
                for role, found in aps.items()
            },
        }

    def own(self, rivals: Rivals) -> Distiller:
        """Return the best that the search found, of those that are no published loss at some weight.

        Raises:
            ValueError: its final round judged none.
        """
        published = set(map(trees_of, rivals.published))
        found = map(self.trainings.read, self.search.formulas)
        own = next((one for one in found if trees_of(one) not in published), None)
        if own is None:
            raise ValueError(f"the final round of {self.cell.name} judged published losses alone; give it more places")
        return own

    def chosen(self, rivals: Sequence[Distiller]) -> tuple[Distiller, float]:
        """Return the rival with the highest mean AP on selection over the seeds of the search's final round, and it."""
        scores = self.trainings.scores("rivals", rivals, self.search.iterations, self.search.seeds)
        means = [fmean(score.ap or 0.0 for score in row) for row in scores]
        best = max(range(len(rivals)), key=means.__getitem__)
        return rivals[best], means[best]

    def aps(self, distiller: Distiller, length: int, seeds: Sequence[int]) -> list[float | None]:
        """Return the test AP of a distiller on every seed."""
        (scores,) = self.trainings.scores("fresh seeds", [distiller], length, seeds, test=True)
        return [score.test_ap for score in scores]

    def _resolved(self, distiller: Distiller, length: int, seed: int) -> str:
        """Return a distiller's text with the scales that it was trained with."""
        return self.trainings.store.resolved(Trial(distiller.text, length, seed, test=True)) or distiller.text


def _mean(aps: Sequence[float | None]) -> float | None:
    known = [ap for ap in aps if ap is not None]
    return fmean(known) if len(known) == len(aps) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", choices=sorted(SCALES), default="cpu")
    parser.add_argument("--cells", nargs="+", help="by name, such as blood_cells-RetinaNet; all by default")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--longer", action="store_true")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    cells = {cell.name: cell for cell in SCALES[arguments.scale]}
    if unknown := set(arguments.cells or ()) - set(cells):
        parser.error(f"no cell {', '.join(sorted(unknown))}; wanted some of {', '.join(cells)}")
    found: dict[str, Any] = json.loads(RESULTS.read_text())["cells"] if arguments.save and RESULTS.exists() else {}
    outcome: dict[str, Any] = {}
    for name in arguments.cells or cells:
        found[name] = CellProof(cells[name], arguments).figures()
        outcome = {
            "cells": found,
            "versions": {package: version(package) for package in ("torch", "mmdet", "optuna")}
            | {"operators": active_operators()},
            "command": "python " + shlex.join(["benchmarks/proof.py", "DIR", *sys.argv[2:]]),
        }
        if arguments.save:
            with atomic_file(RESULTS) as draft:
                draft.write_text(json.dumps(outcome, indent=1) + "\n")
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    print(json.dumps({**outcome, "cells": list(found.values())}))


if __name__ == "__main__":
    main()
