"""A whole experiment whose trainings are formulas of the text: milliseconds each, no detector.

Everything but the training and the screening is the real thing: search, store, executors, budget, signals, verdict.

    python benchmarks/analytic.py WORK_DIR [--executor local --workers 2] [--milliseconds 20] [--fault hang ...]

The last line printed is one JSON object with a digest of the history: births, scores without their cost,
generations.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detkds_gp.config import ExperimentConfig
from detkds_gp.detectors import DetectorSpec
from detkds_gp.evaluation.packing import ALONE
from detkds_gp.fitness import CurveRequest, PaceRequest, ProxySettings, ScaleRequest, ScreenRequest
from detkds_gp.language import PrimitiveSet
from detkds_gp.listener import Listener
from detkds_gp.naming import names
from detkds_gp.primitives import DETKDS
from detkds_gp.run import Experiment
from detkds_gp.score import Pace, Scale, Score, Screening, Trial
from detkds_gp.screening.fingerprint import WIDTH, Fingerprint
from detkds_gp.screening.probes import POINTS
from detkds_gp.setup.context import RunContext
from detkds_gp.store import Store

_SLICE_SECONDS = 0.02
KNOWLEDGE = ("global", "class_logits")
SCALE = 0.5
"""Of every tree."""
FAULTS = ("nan", "exception", "segfault", "exit", "hang", "balloon")
SPLIT = {"ann_file": "none.json", "images": "none"}
DETECTOR = {"config": "none.py"}


def number(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


@dataclass(frozen=True)
class Analytic:
    """Makes, in a worker, the callable that answers requests.

    Attributes:
        seconds: mean of a training.
        faults: names of FAULTS; each befalls about one in ten formulas.
        loaded: Unix times from and to which the machine is loaded.
        load: how many times as long everything takes then.
    """

    seconds: float
    faults: tuple[str, ...] = ()
    loaded: tuple[float, float] = (math.inf, math.inf)
    load: float = 3.0

    def __call__(self) -> Any:
        """Make the callable."""
        return self.answer

    def answer(self, request: Any) -> Any:
        """Answer a request after its time."""
        if isinstance(request, ScaleRequest):
            return Scale(SCALE)
        if isinstance(request, ScreenRequest):
            return screened(request.formula)
        if isinstance(request, CurveRequest):
            return self.answer(request.trial), [
                (length, 0.1) for length in (*request.lengths, request.trial.iterations)
            ]
        if isinstance(request, PaceRequest):
            return Pace(step=0.0, distilled=0.0, selection=self.seconds, test=0.0, teacher=0.0, overhead=0.0)
        if not isinstance(request, Trial):
            return Score(0.9, 0.9)
        if request.distiller == "none":
            return Score(0.1, 0.1)
        seconds = 2 * self.seconds * number(request.distiller)
        began = time.monotonic()
        self.work(seconds)
        seconds = time.monotonic() - began
        fault = int(10 * number("fault" + request.distiller))
        if fault < len(self.faults) and (failed := strike(self.faults[fault])):
            return failed
        return Score(landscape(request.distiller, request.seed), 0.5, wall_seconds=seconds)

    def work(self, seconds: float) -> None:
        """Take so many seconds, more of them while the machine is loaded."""
        done = 0.0
        while done < seconds:
            part = min(_SLICE_SECONDS, seconds - done)
            time.sleep(part * (self.load if self.loaded[0] <= time.time() < self.loaded[1] else 1.0))
            done += part


def best_weight(tree: str) -> float:
    """Return the weight at which a tree is best, in calibrated units: between 0.01 and 1000."""
    return float(10 ** (5 * number("weight" + tree) - 2))


def landscape(distiller: str, seed: int) -> float:
    """Return an AP: every tree has its worth, less for each decade that its weight is off; seeds add a little noise."""
    rest = 1.0
    for term in distiller.split(" + "):
        coefficient, _, tree = term.rpartition(" * ")
        weight = math.prod(map(float, coefficient.split(" * "))) / SCALE
        off = abs(math.log10(weight / best_weight(tree)))
        rest *= 1 - (0.2 + 0.4 * number(tree)) * max(0.0, 1 - off / 4)
    return 0.1 + 0.8 * (1 - rest) + 0.02 * number(f"{distiller}/{seed}")


def screened(formula: str) -> Screening:
    """Reject about one formula in ten, and take about one in four for a loss that others are too."""
    if number("screened" + formula) < 0.1:
        return Screening("rejected:zero", "by lot")
    kind = int(40 * number("loss" + formula))
    vector = np.zeros((POINTS, WIDTH), np.float32)
    vector[:, :2] = (np.cos(kind), np.sin(kind)) if kind < 10 else (1, number(formula))
    return Screening(fingerprint=Fingerprint(("global",), vector).text)


def strike(fault: str) -> Score | None:
    """Do what the fault does to a training."""
    if fault == "nan":
        return Score.failed("nonfinite", "loss is nan")
    if fault == "exception":
        return Score.failed("shape", "mat1 and mat2 shapes cannot be multiplied")
    if fault == "segfault":
        ctypes.string_at(0)
    if fault == "exit":
        os._exit(3)
    if fault == "hang":
        time.sleep(3600)
    if fault == "balloon":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
        _ = [bytearray(2**28) for _ in range(64)]
    return None


@dataclass(frozen=True)
class Task:
    """What the run needs to know of a task; both files exist, so that nothing is prepared."""

    primitive_set: PrimitiveSet
    probe: Path
    teacher_outputs: Path
    settings: ProxySettings = field(default_factory=ProxySettings)
    teacher: DetectorSpec = field(default_factory=lambda: DetectorSpec(DETECTOR["config"]))
    inherit: bool = False


class AnalyticExperiment(Experiment):
    """An experiment that neither data nor detectors are needed for."""

    worker: Analytic

    def _context(self, listener: Listener) -> tuple[RunContext, list[str]]:
        dropped = [d.name for d in DETKDS.inputs if d.result.sided and d.niche not in KNOWLEDGE]
        here = Path(__file__)
        task: Any = Task(DETKDS.without(*dropped), here, here)
        fingerprint = {"config": self.config.identity(), "primitive_set": DETKDS.fingerprint()}
        called = names(self.config)
        return RunContext(self.config, self.work_dir, task, self.worker, ALONE, fingerprint, called, listener), dropped


def make_experiment(
    work_dir: Path, worker: Analytic, generations: int = 3, strategy: str = "evolution", ahead: int = 0, **options: Any
) -> AnalyticExperiment:
    """Make an experiment of two niches; ``options`` are values of the config."""
    sizes = {"population": 6, "offspring": 6, "generations": generations}
    search: dict[str, Any] = {
        "divide": sizes,
        "conquer": {"population": 5, "offspring": 5, "generations": 2},
        "champions": 2,
    }
    search |= {"strategy": strategy, "ahead": ahead}
    values = {
        "student": DETECTOR, "teacher": DETECTOR, "data": dict.fromkeys(("train", "selection", "test"), SPLIT),
        "search": search, "verdict": {"seeds": (11, 12), "rivals": {}, "share": 0.9}, **options,
    }  # fmt: skip
    experiment = AnalyticExperiment(ExperimentConfig.model_validate(values), work_dir)
    experiment.worker = worker
    return experiment


def history(work_dir: Path) -> str:
    """Return a digest of all that has to be the same however a run went."""
    with Store.open(work_dir, readonly=True) as store:
        births = [vars(birth) for birth in store.births()]
        scores = sorted(
            (vars(r.trial) | {"ap": r.score.ap, "failure": r.score.failure} for r in store.scores()), key=repr
        )
        generations = [vars(generation) for generation in store.generations()]
    told = json.dumps([births, scores, generations], sort_keys=True, default=dict)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--address")
    parser.add_argument("--milliseconds", type=float, default=20)
    parser.add_argument("--generations", type=int, default=3)
    parser.add_argument("--limit", type=float, default=30)
    parser.add_argument("--grace", type=float, default=5)
    parser.add_argument("--budget")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--fault", action="append", default=[], choices=FAULTS)
    arguments = parser.parse_args()
    execution = {
        "executor": arguments.executor, "workers": arguments.workers, "address": arguments.address,
        "time_limit_seconds": arguments.limit, "grace_seconds": arguments.grace,
    }  # fmt: skip
    worker = Analytic(arguments.milliseconds / 1000, tuple(arguments.fault))
    experiment = make_experiment(
        arguments.work_dir, worker, arguments.generations, arguments.strategy, execution=execution,
        budget=arguments.budget,
    )  # fmt: skip
    outcome = experiment.run()
    print(json.dumps({"history": history(arguments.work_dir), "counts": outcome.summary["counts"]}))


if __name__ == "__main__":
    import analytic  # by its name, so that workers on other machines can unpickle its classes

    analytic.main()
