"""How much of a score is the formula and how much is luck: last weights beside averaged ones, of the same trainings.

Every distiller of a sample (the student alone, published losses at several weights, single formulas, mixes) is trained
at a constant rate on several seeds; on the way both its weights and their average are scored. A score is held against
the truth: the test AP of averaged weights at the longest length, mean of the other seeds. With ``--end`` the narrow
pair of ``configs/bccd_narrow.py`` is trained until it gains no more, and that is the truth.

    python benchmarks/reliability.py WORK_DIR --data shared/data/bccd --raccoon shared/data/raccoon [--end]
        [--cells bccd_retinanet,bccd_gfl,raccoon_retinanet] [--distillers N] [--seeds N] [--lengths 60,120,240]
        [--save] [--partial] [--recorded]

WORK_DIR keeps every training under what it depends on: called again, only what is missing is trained. ``--save`` also
writes all scores to ``benchmarks/results/reliability_scores.json``; with ``--recorded`` what stands there, of the same
pair, data and code, is not trained again. ``--partial`` saves the scores of cells that are not complete yet.
``--quick`` is a check that it works, on tiny images. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from fresh_seeds import difference
from numpy.typing import NDArray
from reliability_cells import ROOT, SAMPLE, Cell, cells
from reliability_record import bound_of, record, recorded
from scipy.stats import kendalltau

from detkds_gp.atomic import atomic_file
from detkds_gp.detectors import Outputs
from detkds_gp.fitness import ProbeRequest, ProxyTask, ProxyTraining, ProxyWorker, ScaleRequest, TeacherRequest
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.losses import KnowledgeError
from detkds_gp.noise import noise_of
from detkds_gp.operators import active_operators
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.training import Training, TrainingFault

RESULTS = Path(__file__).parent / "results" / "reliability.json"
HEADLINE = 120
"""The length whose numbers stand as before and now."""
END = (60, 120, 240, 480, 720, 960)
RESAMPLES = 1000
KINDS = {"before": "last weights", "now": "averaged weights"}


Recorded = Mapping[tuple[str, int], dict[str, Any]]


class Trainings:
    """The trainings of a cell, each in a file.

    Args:
        cell: the pair.
        folder: of the files.
        lengths: at which a training is scored.
        recorded: rows that count as trained, by distiller and seed.
        sample: the distillers.
    """

    def __init__(
        self,
        cell: Cell,
        folder: Path,
        lengths: Sequence[int],
        recorded: Recorded = MappingProxyType({}),
        sample: Sequence[str] = SAMPLE,
    ) -> None:
        self.cell = cell
        self.folder = folder
        self.lengths = lengths
        self.sample = sample
        self._proxy: ProxyTraining | None = None
        self._recorded = recorded

    def row(self, number: int, seed: int) -> dict[str, Any]:
        """Return the scores of one distiller on one seed, trained if they are not there."""
        return self.known(number, seed) or self._made(number, seed)

    def known(self, number: int, seed: int) -> dict[str, Any] | None:
        """Return the scores of one distiller on one seed, if they are there; a longer training's hold a shorter's."""
        path = self._path(number, seed)
        rows = [json.loads(path.read_text())] if path.is_file() else []
        rows += [row for row in (self._recorded.get((self.sample[number], seed)),) if row is not None]
        return next(
            (row for row in rows if row["distiller"] == self.sample[number] and self._holds(row["scores"])), None
        )

    def _holds(self, scores: Mapping[str, Mapping[str, float]] | None) -> bool:
        """Whether a training was scored at all lengths, or failed."""
        lengths = set(map(str, self.lengths))
        return scores is None or (lengths <= scores.keys() and "test" in scores[str(self.lengths[-1])])

    def _path(self, number: int, seed: int) -> Path:
        return self.folder / f"{number:02}-{seed}.json"

    def _made(self, number: int, seed: int) -> dict[str, Any]:
        text = self.sample[number]
        row = {"distiller": text, "seed": seed, "scores": self._trained(text, seed)}
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._path(number, seed)) as unfinished:
            unfinished.write_text(json.dumps(row))
        print(f"{self.cell.name} {number} seed {seed}: {json.dumps(row['scores'])}", file=sys.stderr, flush=True)
        return row

    def _trained(self, text: str, seed: int) -> dict[str, dict[str, float]] | None:
        """Train once; score last and averaged weights on the way, the truth at its end. None for one that fails."""
        proxy = self.proxy
        task, distiller = proxy.task, parse_distiller(text, proxy.task.primitive_set)
        distiller = distiller.with_scales({formula: self._scale(formula) for formula in distiller.uncalibrated})
        model = proxy.model(distiller, seed)
        training, batches = Training(model, task.settings, self.lengths[-1], seed), proxy.batches(seed, model)
        scores: dict[str, dict[str, float]] = {}
        try:
            for length in self.lengths:
                while training.iteration < length:
                    self.step(training, *next(batches))
                training.check_weights()
                sides = {"before": model.student, "now": training.student}
                scores[str(length)] = {kind: proxy.evaluate(student, "selection") for kind, student in sides.items()}
            scores[str(self.lengths[-1])]["test"] = proxy.evaluate(training.student, "test")
        except (TrainingFault, KnowledgeError, FloatingPointError) as fault:
            print(f"{text} on seed {seed}: {fault}", file=sys.stderr)
            return None
        return scores

    def step(self, training: Training, batch: dict[str, Any], teacher: Outputs | None) -> None:
        """Take one step."""
        training.step(batch, teacher)

    def _scale(self, formula: str) -> float:
        path = self.folder / "scales.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        if formula not in known:
            scale = ProxyWorker(self.proxy.task)()(ScaleRequest(formula, 0))
            known[formula] = scale.value  # type: ignore[union-attr]
            path.write_text(json.dumps(known))
        return known[formula]

    @property
    def proxy(self) -> ProxyTraining:
        """Detectors, data and teacher, made when the first training is missing."""
        if self._proxy is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            config = self.cell.config
            task: ProxyTask = prepare(config, gather(config), self.folder, Listener())
            answer = ProxyWorker(task)()
            score = answer(TeacherRequest())
            print(f"{self.cell.name}: teacher {score}", file=sys.stderr, flush=True)
            if not task.probe.exists():
                answer(ProbeRequest(0))
            self._proxy = ProxyTraining(task)
        return self._proxy


Matrix = NDArray[np.float64]
"""(distillers, seeds) APs."""


def told_of(rows: Sequence[Mapping[str, Any]], lengths: Sequence[int], seeds: int) -> dict[str, Any]:
    """Return, for every length and way to score, how scores spread and how they rank against the truth."""
    whole: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["scores"] is not None:
            whole.setdefault(row["distiller"], []).append(row)
    complete = [sorted(found, key=lambda row: row["seed"]) for found in whole.values() if len(found) == seeds]

    distillers = [found[0]["distiller"] for found in complete]

    def matrix(length: int, kind: str) -> Matrix:
        return np.array([[row["scores"][str(length)][kind] for row in found] for found in complete])

    truth = matrix(lengths[-1], "test")
    told = {str(length): {kind: told_of_scores(matrix(length, kind), truth) for kind in KINDS} for length in lengths}
    at = str(HEADLINE if HEADLINE in lengths else lengths[-1])
    headline = {
        kind: {name: told[at][kind][name] for name in ("reliability", "reliability_interval", "tau", "tau_interval")}
        for kind in KINDS
    }
    return {
        **headline, "iterations": int(at), "truth_iterations": lengths[-1], "distillers": len(complete), "seeds": seeds,
        "lengths": told, "tried": tried(matrix, lengths, truth),
        "by_distiller": told_by_distiller(distillers, {n: matrix(n, "now") for n in lengths}, truth),
    }  # fmt: skip


def told_by_distiller(distillers: Sequence[str], scores: Mapping[int, Matrix], truth: Matrix) -> dict[str, Any]:
    """Return its mean scores of averaged weights by length, its mean truth, and the paired gain over the student alone.

    Args:
        distillers: the student alone is one of them.
        scores: on selection, by length.
        truth: on test.
    """
    alone = truth[distillers.index("none")].tolist()
    return {
        text: {
            "selection": {str(length): round(float(aps[place].mean()), 4) for length, aps in scores.items()},
            "truth": round(float(truth[place].mean()), 4),
            "over_alone": difference(truth[place].tolist(), alone),
        }
        for place, text in enumerate(distillers)
    }


def tried(matrix: Callable[[int, str], Matrix], lengths: Sequence[int], truth: Matrix) -> dict[str, Any]:
    """Return what other scores of the same trainings are worth, and the truth of one seed beside the other seeds'."""
    ways = {"truth": truth}
    for before, after in pairwise(lengths):
        ways[f"mean of {before} and {after}, averaged"] = (matrix(before, "now") + matrix(after, "now")) / 2
    for length in lengths:
        ways[f"mean of last and averaged, {length}"] = (matrix(length, "before") + matrix(length, "now")) / 2
    return {
        name: {"reliability": round(reliability(scores), 3), "tau": told_tau(scores, truth)}
        for name, scores in ways.items()
    }


def told_of_scores(scores: Matrix, truth: Matrix) -> dict[str, Any]:
    """Return spread and ranking of one way to score, with 95% bootstrap intervals over distillers."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(scores), len(scores)) for _ in range(RESAMPLES)]
    reliabilities = [reliability(scores[draw]) for draw in draws]
    taus = [tau for draw in draws if np.isfinite(tau := mean_tau(scores[draw], truth[draw]))]
    noise = noise_of({str(number): dict(enumerate(row)) for number, row in enumerate(scores.tolist())})
    return {
        "mean": round(float(scores.mean()), 4),
        "formulas": round(noise.formulas or 0.0, 4) if noise else None,
        "luck": round(noise.luck, 4) if noise else None,
        "reliability": round(reliability(scores), 3),
        "reliability_interval": interval(reliabilities),
        "tau": told_tau(scores, truth),
        "tau_interval": interval(taus),
    }


def reliability(scores: Matrix) -> float:
    """Return the share of the variance of scores on one seed that is formulas."""
    noise = noise_of({str(number): dict(enumerate(row)) for number, row in enumerate(scores.tolist())})
    return noise.reliability or 0.0 if noise is not None else 0.0


def mean_tau(scores: Matrix, truth: Matrix) -> float:
    """Return the mean over seeds of Kendall's tau between one seed's scores and the other seeds' mean truth."""
    others = [np.delete(truth, seed, axis=1).mean(axis=1) for seed in range(scores.shape[1])]
    return float(np.mean([kendalltau(scores[:, seed], other).statistic for seed, other in enumerate(others)]))


def told_tau(scores: Matrix, truth: Matrix) -> float | None:
    """Return `mean_tau`; None where scores are all equal."""
    tau = mean_tau(scores, truth)
    return round(tau, 3) if np.isfinite(tau) else None


def interval(values: Sequence[float]) -> list[float]:
    """Return the 95% percentile interval."""
    return [round(float(value), 3) for value in np.percentile(values, [2.5, 97.5])] if len(values) else []


def named(options: Sequence[str]) -> list[str]:
    """Return the options of a call as a reader repeats it: folders of this machine have their option's name."""
    folders = ("--data", "--raccoon")
    return [
        options[place - 1].removeprefix("--").upper() if place and options[place - 1] in folders else option
        for place, option in enumerate(options)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "bccd")
    parser.add_argument("--raccoon", type=Path, default=ROOT.parent / "shared" / "data" / "raccoon")
    parser.add_argument("--cells", default="bccd_retinanet,bccd_gfl,raccoon_retinanet")
    parser.add_argument("--distillers", type=int, default=len(SAMPLE))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--lengths", default="60,120,240", help="rising; the last is the truth's")
    parser.add_argument("--end", action="store_true", help="the narrow pair to its end, 12 distillers, 3 seeds")
    parser.add_argument("--quick", action="store_true", help="whether it works: 4 distillers, 2 seeds, a few steps")
    parser.add_argument("--save", action="store_true", help="write results/reliability.json and the scores")
    parser.add_argument("--partial", action="store_true", help="train nothing, save the scores that are there")
    parser.add_argument("--recorded", action="store_true", help="take from the recorded scores what stands there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names, lengths = arguments.cells.split(","), tuple(map(int, arguments.lengths.split(",")))
    count, seeds = arguments.distillers, arguments.seeds
    if arguments.end:
        names, lengths, count, seeds = ["bccd_narrow"], END, min(count, 12), min(seeds, 3)
    if arguments.quick:
        names, lengths, count, seeds = names[:1], (1, 2, 4), 4, 2
    known = json.loads(RESULTS.read_text())["cells"] if arguments.save and RESULTS.is_file() else {}
    told: dict[str, Any] = {}
    for cell in cells(names, arguments):
        bound = bound_of(cell.config)
        known_before = recorded(cell.name, bound) if arguments.recorded else {}
        trainings = Trainings(cell, arguments.work_dir / cell.name / bound, lengths, known_before)
        places = [(number, seed) for seed in range(seeds) for number in range(count)]
        if arguments.partial:
            record(cell.name, bound, [row for place in places if (row := trainings.known(*place)) is not None])
            continue
        rows = [trainings.row(*place) for place in places]
        told[cell.name] = told_of(rows, lengths, seeds)
        if arguments.save:
            record(cell.name, bound, rows)
    result = {
        "cells": {**known, **told},
        "versions": {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": "python " + shlex.join(["benchmarks/reliability.py", "WORK_DIR", *named(sys.argv[2:])]),
    }
    if arguments.save and told:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
