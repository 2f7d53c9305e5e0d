"""What local worker processes cost before their first step: fresh interpreters against ones forked from a server.

On the pair of a config, both ways in turns, in processes of their own: the seconds until every worker has answered its
first request (a step of the student: forward and backward on four images), until a worker
that was killed has been replaced and answered again.

    python benchmarks/worker_start.py [CONFIG] [--workers 2] [--repeats 3] [--quick]

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "quickstart.py"
WAYS = ("spawned", "forked")
IMAGES = 4


@dataclass(frozen=True)
class Answering:
    """Makes, in a worker, what trains a student for a step and tells its process."""

    worker: Any

    def __call__(self) -> Callable[[int], int]:
        """Make it."""
        from detkds_gp.detectors import build_detector, make_batch
        from detkds_gp.fitness import ProxyTraining

        proxy = ProxyTraining(self.worker.task)

        def first_step(images: int) -> int:
            split = proxy.images["train"]
            student = build_detector(proxy.task.student, split.split.classes)
            batch = student.data_preprocessor(make_batch([split[i] for i in range(images)]), training=True)
            losses, _ = student.parse_losses(student(**batch, mode="loss"))
            losses.backward()
            return os.getpid()

        return first_step


def measure(way: str, config: str, workers: int) -> dict[str, float]:
    """Start workers one way, kill one, and return the seconds."""
    from detkds_gp.config import load_config
    from detkds_gp.evaluation.workers import preloaded
    from detkds_gp.execution import LocalExecutor, run_tasks
    from detkds_gp.fitness import ProxyWorker
    from detkds_gp.listener import Listener
    from detkds_gp.setup.prepare import gather, prepare

    with tempfile.TemporaryDirectory() as folder:
        checked = load_config(config)
        task = prepare(checked, gather(checked), Path(folder), Listener())
        worker = ProxyWorker(task)
        preload = preloaded(checked, worker, task.primitive_set) if way == "forked" else ()
        began = time.monotonic()
        with LocalExecutor(Answering(worker), workers, preload=preload) as executor:
            pids = dict(run_tasks(executor, [IMAGES] * workers))
            first = time.monotonic() - began
            if not all(isinstance(pid, int) for pid in pids.values()):
                raise SystemExit(f"a worker failed: {pids}")
            os.kill(pids[0], signal.SIGKILL)
            time.sleep(0.2)
            began = time.monotonic()
            list(run_tasks(executor, [IMAGES] * workers))
            again = time.monotonic() - began
    return {"first": first, "replaced": again}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default=str(CONFIG))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="once each way, to check the script")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.config, options.workers)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(1 if options.quick else options.repeats):
        for way in WAYS:
            command = [sys.executable, __file__, options.config, "--workers", str(options.workers), "--way", way]
            ended = subprocess.run(command, check=True, capture_output=True, text=True)
            found[way].append(json.loads(ended.stdout.splitlines()[-1]))
    told = {way: {name: median(one[name] for one in found[way]) for name in found[way][0]} for way in WAYS}
    print("| workers | all answered, s | after a kill, s |\n|---|---|---|")
    for way, row in told.items():
        print(f"| {options.workers} {way} | {row['first']:.1f} | {row['replaced']:.1f} |")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
