"""How the search scales: simulated workers on a virtual clock, real workers, replays, large stores.

    python benchmarks/scaling.py [simulated] [local] [ray] [replay] [store] [--quick]

Simulated workers run the engine, its executor loop and its store for real; only the trainings take virtual
time. Engine overhead is what the whole takes longer than with an engine that takes no time. The last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import os
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from analytic import Analytic, make_experiment, number

from detkds_gp.evaluation import EvaluationService, candidates_to
from detkds_gp.execution._pool import PoolExecutor
from detkds_gp.listener import Listener
from detkds_gp.primitives import OMNI
from detkds_gp.run.recorder import Recorder
from detkds_gp.score import Scale, Score, Trial
from detkds_gp.search import DivideAndConquer, SearchSettings, StageSettings, run_search
from detkds_gp.store import Store

EVALUATIONS = int(os.environ.get("EVALUATIONS", "100000"))


class Clock:
    """Virtual time: jumps from one end of a training to the next; the engine's own time is added.

    Args:
        engine: whether it is.
    """

    def __init__(self, engine: bool) -> None:
        self.now = 0.0
        self.ends: list[tuple[float, int]] = []
        self._engine = engine
        self._seen = time.perf_counter()

    def tick(self) -> None:
        """Add the real time since the last tick."""
        seen, self._seen = self._seen, time.perf_counter()
        if self._engine:
            self.now += self._seen - seen

    def jump(self) -> None:
        """Go to the next end, unless the engine has taken longer than that."""
        self.tick()
        self.now = max(self.now, heapq.heappop(self.ends)[0])
        while self.ends and self.ends[0][0] <= self.now:
            heapq.heappop(self.ends)


class SimulatedWorker:
    """Answers a trial after its virtual seconds."""

    ready = True

    def __init__(self, clock: Clock, seconds: Callable[[Any], float], index: int) -> None:
        self.clock, self.seconds, self.index, self.end = clock, seconds, index, 0.0

    def give(self, task: Any, time_limit_seconds: float | None) -> None:
        """Note when it will be done."""
        self.clock.tick()
        self.task, cost = task, self.seconds(task)
        self.end = self.clock.now + cost
        heapq.heappush(self.clock.ends, (self.end, self.index))
        self.cost = cost

    @property
    def answered(self) -> bool:
        """Whether that moment has come."""
        return self.end <= self.clock.now

    def answer(self) -> Any:
        """Return a score that depends on the text alone."""
        if not isinstance(self.task, Trial):
            return Scale(0.5, wall_seconds=self.cost)
        return Score(number(self.task.distiller), wall_seconds=self.cost)

    def begin_stop(self) -> None:
        """Nothing to stop."""

    finish_stop = begin_stop


class SimulatedExecutor(PoolExecutor):
    """The real loop over workers, on a virtual clock that real time spent by the engine is added to."""

    def __init__(self, workers: int, seconds: Callable[[Any], float], engine: bool = True) -> None:
        self.clock = Clock(engine)
        super().__init__([SimulatedWorker(self.clock, seconds, i) for i in range(workers)])

    def _wait(self, busy: Sequence[SimulatedWorker]) -> None:
        self.clock.jump()

    def _now(self) -> float:
        return self.clock.now


def lognormal(mean: float, sigma: float) -> Callable[[Any], float]:
    """Costs by text: most of a training is the student's, the rest depends on the formula."""

    def seconds(task: Any) -> float:
        text = task.distiller if isinstance(task, Trial) else task.formula
        rng = random.Random(text)
        share = 1.0 if isinstance(task, Trial) else 0.1
        growth = 1 + 0.02 * text.count("(")
        return share * mean * growth * rng.lognormvariate(-sigma * sigma / 2, sigma)

    return seconds


def searched(search: DivideAndConquer, store: Store, executor: Any, ahead: int = 0) -> None:
    evaluations = EvaluationService(store, lambda: executor, Listener(), 0)
    evaluate = candidates_to(evaluations, lambda text: Trial(text, 100, 0))
    run_search(search, evaluate, Recorder(store, Listener()), ahead)


def settings(per_niche: int, generations: int, mixes: int = 4, mixed: int = 0) -> SearchSettings:
    sizes = StageSettings(population=per_niche, offspring=per_niche, generations=generations)
    return SearchSettings(divide=sizes, conquer=StageSettings(population=mixes, offspring=mixes, generations=mixed))


def simulated(quick: bool) -> list[dict[str, Any]]:
    """From 1 to 1,000 workers, each generation four times as many trainings as workers, and at least the default's."""
    rows = []
    trainings = ((120.0, 0.1), (120.0, 0.5))
    for workers, (mean, sigma) in product((1, 10) if quick else (1, 2, 4, 8, 16, 64, 250, 1000), trainings):
        for ahead in (0, 1):
            real, search = _virtual(workers, lognormal(mean, sigma), ahead, engine=True)
            ideal, _ = _virtual(workers, lognormal(mean, sigma), ahead, engine=False)
            rows.append(
                {
                    "workers": workers,
                    "mean_seconds": mean,
                    "sigma": sigma,
                    "ahead": ahead,
                    "trainings": search.counts["trained"],
                    "idle_share": round(real.usage.idle_share, 4),
                    "engine_overhead": round(1 - ideal.clock.now / real.clock.now, 5),
                }
            )
            print(rows[-1], flush=True)
    return rows


def _virtual(
    workers: int, seconds: Callable[[Any], float], ahead: int, engine: bool
) -> tuple[SimulatedExecutor, DivideAndConquer]:
    per_niche = max(8, math.ceil(4 * workers / len(OMNI.niches)))
    search = DivideAndConquer(OMNI, settings(per_niche, 4, max(8, 4 * workers), 2), seed=0)
    executor = SimulatedExecutor(workers, seconds, engine)
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        if not engine:
            store._connection.exec_driver_sql("PRAGMA synchronous=OFF")
        searched(search, store, executor, ahead)
    return executor, search


def workers_real(executor: str, quick: bool) -> dict[str, Any]:
    """Two workers against one, trainings of a fixed time."""
    seconds = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            worker = Analytic(0.02 if quick else 0.5)
            execution = {"executor": executor, "workers": workers}
            experiment = make_experiment(Path(folder) / "run", worker, 0 if quick else 3, execution=execution)
            experiment.run()
            with Store.open(Path(folder) / "run", readonly=True) as store:
                worked = [event.detail for event in store.events("worked")]
            seconds[workers] = sum(detail["held"] for detail in worked) / workers
            idle = 1 - sum(detail["busy"] for detail in worked) / sum(detail["held"] for detail in worked)
    return {"throughput_ratio": round(seconds[1] / seconds[2], 3), "idle_share_of_two": round(idle, 4)}


def replay(quick: bool) -> dict[str, Any]:
    """Run a search of EVALUATIONS from memory, then again from its store."""
    per_niche = 20 if quick else 500
    generations = 1 if quick else max(0, math.ceil(EVALUATIONS / (per_niche * len(OMNI.niches))) - 1)
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(folder) as store:
            store._connection.exec_driver_sql("PRAGMA synchronous=OFF")  # only the replay is measured
            searched(
                DivideAndConquer(OMNI, settings(per_niche, generations)),
                store,
                SimulatedExecutor(64, lognormal(1, 0.5)),
            )
        started, cpu = time.perf_counter(), time.process_time()
        with Store.open(folder) as store:
            search = DivideAndConquer(OMNI, settings(per_niche, generations))
            searched(search, store, None)
            seconds = time.perf_counter() - started
        cpu = time.process_time() - cpu
        return {"evaluations": search.counts["trained"], "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}


def large_store(quick: bool) -> dict[str, Any]:
    """Open a store of 1,000,000 scores in a fresh process and look answers up."""
    rows = 10_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        Store.open(folder).close()
        with sqlite3.connect(Path(folder) / "store.sqlite") as database:
            database.executemany(
                "INSERT INTO scores (distiller, iterations, seed, test, ap, detail, wall_seconds, resolved, "
                "finished_at) VALUES (?, 100, 0, 0, 0.5, '', 60.0, ?, 1.0)",
                ((text, text) for n in range(rows) for text in [f"1 * calibrated * l2(unit_channel(global, {n}))"]),
            )
        database.close()
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            os.write(write, json.dumps(_opened(folder, rows)).encode())
            os._exit(0)
        os.waitpid(child, 0)
        return {"rows": rows, **json.loads(os.read(read, 4096))}


def _opened(folder: str, rows: int) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    store = Store.open(folder)
    opening = time.perf_counter() - started
    rng, taken = random.Random(0), []
    for n in (rng.randrange(rows) for _ in range(1000)):
        started = time.perf_counter()
        assert store.score(Trial(f"1 * calibrated * l2(unit_channel(global, {n}))", 100, 0)) is not None
        taken.append(time.perf_counter() - started)
    started = time.perf_counter()
    store.costs()
    costs = time.perf_counter() - started
    store.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "open_seconds": round(opening, 2),
        "look_up_ms": {"median": round(1000 * sorted(taken)[500], 3), "p99": round(1000 * sorted(taken)[990], 3)},
        "costs_seconds": round(costs, 2),
        "process_mb": round(memory / 1024),
        "grown_mb": round((memory - before) / 1024),
    }


PARTS: dict[str, Callable[[bool], Any]] = {
    "simulated": simulated,
    "local": lambda quick: workers_real("local", quick),
    "ray": lambda quick: workers_real("ray", quick),
    "replay": replay,
    "store": large_store,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[name for name in PARTS if name != "ray"])
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    for part in arguments.parts:
        figures[part] = PARTS[part](arguments.quick)
        print(part, figures[part], flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
