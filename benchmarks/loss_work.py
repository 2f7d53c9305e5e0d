"""Whether the work that screening counts tells how much longer a training step takes with a formula.

Random formulas of all knowledge, and some that compare all positions with each other, are counted as the check
``step`` counts them, and timed: forward and backward passes of the student with and without the formula take turns,
in seconds of the processor, the least of some rounds. The count leaves out what the knowledge itself takes, such as
cutting out instances or running the teacher's head.

    python benchmarks/loss_work.py [CONFIG] [--data DIR] [--formulas 60] [--rounds 5] [--quick] [--save]

The last line printed is one JSON object: the slowest formula within the limit by the clock, and those above it.
Wanted: none within the limit adds more than 1.5 steps, and none above it less than .8.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from detkds_gp.config import load_config
from detkds_gp.detectors import Taps, scene_of
from detkds_gp.fitness import ProxyTraining, probes_of
from detkds_gp.language import PrimitiveSet, make_term, parse_distiller, ramped_half_and_half
from detkds_gp.listener import Listener
from detkds_gp.screening import Screen
from detkds_gp.screening.checks import LONGEST
from detkds_gp.search import SearchSettings
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.training import seed_all

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "loss_work.json"
LARGE = tuple(f"l2(space_gram({name}))" for name in ("global", "foreground", "background", "instance", "class_map"))
WANTED_WITHIN, WANTED_ABOVE = 1.5, 0.8


def formulas(primitive_set: PrimitiveSet, number: int) -> Iterator[str]:
    """Yield formulas of all knowledge in turns, then those that compare all positions."""
    rng, limits = random.Random(0), SearchSettings()
    niches = list(primitive_set.niches)
    for index in range(number):
        niche = primitive_set.niche(niches[index % len(niches)])
        yield make_term(ramped_half_and_half(niche, rng, limits.min_depth, limits.max_depth), primitive_set).formula
    yield from LARGE


def clocked(proxy: ProxyTraining, formula: str, rounds: int) -> float:
    """Return how much longer a step takes with a formula, in times the student's own."""
    model = proxy.model(parse_distiller(formula, proxy.task.primitive_set), 0)
    model.train()
    assert model.pairing is not None
    batch, teacher = next(iter(proxy.batches(0, model)))
    names = model.pairing.student_outputs

    def step(distilled: bool) -> float:
        seed_all(0)
        started = time.process_time()
        data = model.student.data_preprocessor(batch, True)
        with Taps(model.student, names) as taps:
            losses = model.student.loss(data["inputs"], data["data_samples"])
        total, _ = model.student.parse_losses(losses)
        if distilled:
            terms = model.distill(taps.outputs(), teacher, scene_of(data))
            total = total + torch.stack([levels.mean() for levels in terms.values()]).sum()
        total.backward()
        return time.process_time() - started

    seconds = [(step(False), step(True)) for _ in range(rounds + 1)][1:]
    alone, distilled = (min(side) for side in zip(*seconds, strict=True))
    return distilled / alone - 1


def measured(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Count and time every formula that passes the other checks."""
    options: dict[str, Any] = {"cache_dir": str(folder), "teacher.train.iterations": 20, "knowledge": None}
    if arguments.data is not None:
        options["data.root"] = str(arguments.data.resolve())
    config = load_config(arguments.config, options)
    task = prepare(config, gather(config), folder, Listener())
    proxy = ProxyTraining(task)
    if not proxy.prepare_teacher().ok:
        raise SystemExit("the teacher fails to train")
    grammar = task.primitive_set
    screen = Screen(probes_of(proxy, 0), grammar, off=("step",), identity=False)
    rows = []
    for formula in formulas(grammar, arguments.formulas):
        if screen(formula).failure is not None:
            continue
        (term,) = parse_distiller(formula, grammar).terms
        counted, seconds = screen.evidence(term).added, clocked(proxy, formula, arguments.rounds)
        rows.append({"formula": formula, "counted": round(counted, 2), "clocked": round(seconds, 2)})
        print(f"{counted:.2f} counted, {seconds:.2f} by the clock: {formula}", file=sys.stderr)
    return rows


def summed_up(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the rows say."""
    within = [row["clocked"] for row in rows if row["counted"] <= LONGEST]
    above = [row for row in rows if row["counted"] > LONGEST]
    return {
        "formulas": len(rows),
        "slowest_within_the_limit": round(max(within), 2),
        "above_the_limit": above,
        "held": max(within) <= WANTED_WITHIN and all(row["clocked"] >= WANTED_ABOVE for row in above),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", type=Path, default=ROOT / "configs" / "quickstart.py")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--formulas", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.formulas, arguments.rounds = 5, 1
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        told = summed_up(measured(arguments, Path(folder)))
    told |= {
        "config": arguments.config.name,
        "device": f"{platform.machine()}, 1 thread",
        "versions": {name: version(name) for name in ("torch", "mmdet")},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        RESULTS.write_text(json.dumps(known | {arguments.config.stem: told}, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
