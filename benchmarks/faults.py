"""Kills and faults on purpose: every run has to end with the history of the run that nobody touched.

    python benchmarks/faults.py [kills] [belief] [ray] [real] [node] [faults] [--kills 10] [--seed 0]

``kills`` sends SIGKILL at random moments to serial and local runs of the analytic experiment, ``belief`` to runs whose
strategy has a belief, ``ray`` to Ray runs, ``real`` to searches with real detectors on digits (6 kills), ``node``
removes a node of a real local two-node Ray cluster mid-generation, ``faults`` strikes in the workers;
`broken_stores.py` strikes the store.
The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count as count_up
from pathlib import Path
from typing import Any

from analytic import FAULTS, history

from detkds_gp.errors import StoreError
from detkds_gp.run.verify import verify
from detkds_gp.score import Trial
from detkds_gp.store import Store, check_store

SCRIPT = Path(__file__).with_name("analytic.py")
MILLISECONDS = 60
QUICKSTART = Path(__file__).parents[1] / "configs" / "quickstart.py"
GP_SEARCH = "from detkds_gp.cli.app import main; main()"
REAL = [
    "knowledge=global,class_logits", "teacher.train.iterations=40", "proxy.iterations=20", "verdict.seeds=11,12",
    "data.digits.train=60", "data.digits.selection=40", "data.digits.test=40", "require_better_teacher=False",
]  # fmt: skip


def start(work_dir: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(work_dir), "--milliseconds", str(MILLISECONDS)]
    return launched([*command, *map(str, arguments)])


def launched(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(work_dir: Path, *arguments: object) -> str:
    """Run the analytic experiment to its end and return the history."""
    return finished(start(work_dir, *arguments), work_dir)


def finished(process: subprocess.Popen[str], work_dir: Path) -> str:
    _, complaint = process.communicate(timeout=1800)
    if process.returncode != 0:
        raise RuntimeError(f"ended with {process.returncode}: {complaint[-2000:]}")
    return history(work_dir)


def answers(work_dir: Path) -> set[tuple[Trial, Any]]:
    try:
        with Store.open(work_dir, readonly=True) as store:
            return {(record.trial, record.score) for record in store.scores()}
    except StoreError:
        return set()


@dataclass(frozen=True)
class Run:
    """A run that can be started again and again.

    Attributes:
        work_dir: of the run.
        begin: starts its process, the leader of a session of its own.
        answers: most new answers between two kills: random moments that all fall into the run.
        seconds: mean of a training.
    """

    work_dir: Path
    begin: Callable[[], subprocess.Popen[str]]
    answers: int = 13
    seconds: float = MILLISECONDS / 1000


def killed(run: Run, rng: random.Random, kills: int) -> tuple[str, int, int]:
    """Kill a run again and again; returns its history, the kills that struck, and the answers lost."""
    struck, lost, seen = 0, 0, set()
    while struck < kills:
        process = run.begin()
        wanted = len(answers(run.work_dir)) + rng.randint(1, run.answers)
        while process.poll() is None and len(answers(run.work_dir)) < wanted:
            time.sleep(0.02)
        time.sleep(rng.random() * run.seconds)
        seen |= answers(run.work_dir)
        if process.poll() is not None:
            process.communicate()
            break  # finished before it could be killed
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        struck += 1
        lost += len(seen - answers(run.work_dir))
        check_store(run.work_dir)
    return finished(run.begin(), run.work_dir), struck, lost


def kills(executors: tuple[str, ...], count: int, seed: int, strategy: str = "evolution") -> list[dict[str, Any]]:
    """Kill runs of each executor ``count`` times in all, a few times each run."""
    rows, searched = [], ("--strategy", strategy)
    with tempfile.TemporaryDirectory() as folder:
        wanted = ended(Path(folder) / "plain", "--executor", "serial", *searched)
        for executor in executors:
            runs = (Path(folder) / f"{executor}{n}" for n in count_up())
            makes = (Run(work_dir, partial(start, work_dir, "--executor", executor, *searched)) for work_dir in runs)
            rows.append({"executor": executor, **compared(makes, wanted, count, random.Random(f"{seed}/{executor}"))})
            print(rows[-1], flush=True)
    return rows


def compared(makes: Iterator[Run], wanted: str, count: int, rng: random.Random, each: int = 5) -> dict[str, int]:
    """Kill one run after the other, each a few times, and count those that end with the history wanted."""
    struck, lost, same, runs = 0, 0, 0, 0
    while struck < count:
        run = next(makes)
        found, hit, gone = killed(run, rng, min(each, count - struck))
        runs, struck, lost = runs + 1, struck + hit, lost + gone
        same += found == wanted and not verify(run.work_dir).differences
        print(f"{run.work_dir.name}: {hit} kills, {gone} lost; {same} of {runs} runs with the same history", flush=True)
    return {"kills": struck, "runs": runs, "same_history": same, "lost": lost}


def real(count: int, seed: int) -> dict[str, Any]:
    """Kill a search with real detectors six times; teacher and students alone are among what is trained."""
    with tempfile.TemporaryDirectory() as folder:

        def begin(work_dir: Path, executor: str) -> subprocess.Popen[str]:
            options = [*REAL, f"data.digits.root={folder}/digits", f"cache_dir={work_dir}/cache"]
            command = [sys.executable, "-c", GP_SEARCH, "run", str(QUICKSTART), "--work-dir", str(work_dir)]
            return launched([*command, "--executor", executor, "--cfg-options", *options])

        plain = Path(folder) / "plain"
        wanted = finished(begin(plain, "serial"), plain)
        paths = ((Path(folder) / f"killed{n}", ("local", "serial")[n % 2]) for n in count_up())
        makes = (Run(path, partial(begin, path, name), answers=4, seconds=3.0) for path, name in paths)
        row = compared(makes, wanted, 6, random.Random(seed), each=3)
        print(row, flush=True)
        return row


def faults(count: int, seed: int) -> list[dict[str, Any]]:
    """Let every fault befall about one formula in ten, with two workers; compare with what it must be named."""
    rows = []
    named = {
        "nan": {"nonfinite"}, "exception": {"shape"}, "segfault": {"worker_lost"}, "exit": {"worker_lost"},
        "hang": {"timeout"}, "balloon": {"out_of_memory"},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for fault in FAULTS:
            work_dir = Path(folder) / fault
            arguments = ("--executor", "local", "--fault", fault, "--limit", 3, "--generations", 1)
            ended(work_dir, *arguments)
            with Store.open(work_dir, readonly=True) as store:
                failures = [record.score.failure for record in store.scores() if record.score.failure]
                unknown = [b.text for b in store.births() if store.score(Trial(b.text, 100, 0)) is None]
            rows.append(
                {
                    "fault": fault,
                    "struck": len(failures),
                    "named": sorted(set(failures)),
                    "as_promised": set(failures) == named[fault],
                    "lost": len(unknown),
                    "verified": not verify(work_dir).differences,
                }
            )
            print(rows[-1], flush=True)
    return rows


def node(count: int, seed: int) -> dict[str, Any]:
    """Remove a node of a two-node cluster mid-generation."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as folder:
        wanted = ended(Path(folder) / "plain", "--executor", "serial")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        second = cluster.add_node(num_cpus=1)
        work_dir = Path(folder) / "ray"
        process = start(work_dir, "--executor", "ray", "--address", cluster.address)
        while process.poll() is None and len(answers(work_dir)) < 15:
            time.sleep(0.02)
        before = answers(work_dir)
        cluster.remove_node(second)
        _, complaint = process.communicate(timeout=300)
        cluster.shutdown()
        failures = [score.failure for _, score in answers(work_dir) if score.failure]
        row = {
            "answers_before": len(before),
            "lost": len(before - answers(work_dir)),
            "failures": len(failures),
            "same_history": process.returncode == 0 and history(work_dir) == wanted,
        }
        print(row, "" if process.returncode == 0 else complaint[-2000:], flush=True)
        return row


PARTS: dict[str, Callable[[int, int], Any]] = {
    "kills": lambda count, seed: kills(("serial", "local"), count, seed),
    "belief": lambda count, seed: kills(("serial", "local"), count, seed, "belief"),
    "ray": lambda count, seed: kills(("ray",), count, seed),
    "real": real,
    "node": node,
    "faults": faults,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["kills", "faults"])
    parser.add_argument("--kills", type=int, default=10, help="for each executor")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    for part in arguments.parts:
        figures[part] = PARTS[part](arguments.kills, arguments.seed)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
