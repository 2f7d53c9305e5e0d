"""What screening, semantic identity, rungs and packing buy: trained candidates an hour, and AP at equal budget.

First a table of real scores is recorded: formulas as a search draws them, every one trained to a rung and to the end,
also those that screening turns away. Then random search is replayed on it, in many orders: without any of the means,
and with one more at a time, each training at its recorded cost. Twins (the same loss under another text) cost a
training where identity is off. Packing is measured apart, on the same pair with a teacher that runs at every step.

    python benchmarks/budget_value.py WORK_DIR [--quick] [--config configs/quickstart.py] [--formulas 300] [--save]

WORK_DIR keeps the table: called again, only what is missing is trained. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.evaluation.halving import survivors
from detkds_gp.fitness import ProxyTraining
from detkds_gp.listener import Listener
from detkds_gp.operators import active_operators
from detkds_gp.ranking import Table, Way
from detkds_gp.run.proxy_study import Study, run_study
from detkds_gp.score import Trial
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.store import Store

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "budget_value.json"
GENERATION, KEEP = 8, 0.5
WAY, FOLDER = Way("config", 0.0, 0.97), "config-0-0.97"
MEANS = ("nothing", "screening", "identity", "rungs")
"""Each with those before it."""


@dataclass(frozen=True)
class Drawn:
    """One formula of the stream that a search draws.

    Attributes:
        rejected: whether screening turns it away.
        twin: whether an earlier formula is the same loss.
        low: (AP, seconds) on the rung; AP 0 for a failure, which no search would choose.
        high: (AP, seconds) from there to the end.
    """

    rejected: bool
    twin: bool
    low: tuple[float, float]
    high: tuple[float, float]


def recorded(folder: Path, table: Table, rung: int, whole: int) -> list[Drawn]:
    """Return the stream of a recorded study, as far as all of it was trained."""
    rows = {(row.formula, row.iterations): row for row in table.rows}
    texts = {row.formula.split(" * ", 2)[-1]: row.formula for row in table.rows}
    stream = []
    with Store.open(folder, readonly=True) as store:
        for record in store.screenings():
            twin = store.merge(record.tree)
            text = texts.get(twin or record.tree)
            if text is None:
                break  # beyond the quotas of the study
            low, high = rows[text, rung], rows[text, whole]
            aps = [(row.ap or 0.0, row.wall_seconds) for row in (low, high)]
            stream.append(Drawn(not record.screening.ok, twin is not None, aps[0], aps[1]))
    return stream


def asked(stream: Sequence[Drawn], means: int) -> Iterator[Drawn]:
    """Yield what is trained with the first means."""
    for drawn in stream:
        if means >= 1 and drawn.rejected:
            continue
        if means >= 2 and drawn.twin:
            continue
        yield drawn


def replayed(stream: Sequence[Drawn], means: int, seconds: float) -> tuple[float, int]:
    """Return the best AP found within a budget, and how many formulas were looked at."""
    waiting, spent, best, looked = list(asked(stream, means)), 0.0, 0.0, 0
    while waiting and spent < seconds:
        generation, waiting = waiting[:GENERATION], waiting[GENERATION:]
        spent += sum(drawn.low[1] for drawn in generation)
        looked += len(generation)
        if means >= 3:
            generation.sort(key=lambda drawn: -drawn.low[0])
            generation = generation[: survivors(len(generation), KEEP)]
        spent += sum(drawn.high[1] for drawn in generation)
        best = max(best, *(drawn.high[0] for drawn in generation))
    return best, looked


def compare(stream: list[Drawn], orders: int, seconds: float) -> dict[str, Any]:
    """Replay all means on the same random orders; gains are paired with the row without any of them."""
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in MEANS}
    for order in range(orders):
        shuffled = random.Random(order).sample(stream, len(stream))
        for means, name in enumerate(MEANS):
            found[name].append(replayed(shuffled, means, seconds))
    told = {}
    for name, results in found.items():
        gains = [best - plain for (best, _), (plain, _) in zip(results, found["nothing"], strict=True)]
        told[name] = {
            "best_ap": round(fmean(best for best, _ in results), 4),
            "gain": round(fmean(gains), 4),
            "gain_half_width": round(1.96 * stdev(gains) / len(gains) ** 0.5, 4),
            "looked_at_an_hour": round(3600 * fmean(count for _, count in results) / seconds),
        }
    return told


def packing(config: ExperimentConfig, folder: Path, sizes: Sequence[int]) -> dict[int, float]:
    """Return the seconds of a candidate in packs of several sizes, the teacher asked at every step."""
    task = replace(prepare(config, gather(config), folder, Listener()), teacher_outputs=None)
    proxy = ProxyTraining(task)
    texts = [f"1 * {0.1 * n + 0.1:.1f} * l2(global)" for n in range(max(sizes))]
    trials = [Trial(text, config.proxy.iterations, 0) for text in texts]
    proxy.together(trials[:1])
    return {size: round(fmean(s.wall_seconds for s in proxy.together(trials[:size])), 2) for size in sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few formulas: whether it works")
    parser.add_argument("--config", default=str(ROOT / "configs" / "quickstart.py"))
    parser.add_argument("--formulas", type=int, default=300)
    parser.add_argument("--rejected", type=int, default=15)
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    formulas, rejected, orders = (
        (6, 1, 3) if arguments.quick else (arguments.formulas, arguments.rejected, arguments.orders)
    )
    config = load_config(arguments.config, {"proxy.decay": 0.0, "search.warm_start": (), "verdict.rivals": {}})
    whole = config.proxy.iterations
    rung = whole // 2
    study = Study(formulas, rejected, iterations=(rung, whole), ways=(WAY,), repeats=0, mixed=0.0)
    table = run_study(config, study, arguments.work_dir, Listener())
    stream = recorded(arguments.work_dir / FOLDER, table, rung, whole)
    budget = 0.25 * sum(drawn.low[1] + drawn.high[1] for drawn in stream)
    told = {
        "scores": len(table.rows),
        "stream": {
            "drawn": len(stream),
            "rejected": sum(drawn.rejected for drawn in stream),
            "twins": sum(drawn.twin for drawn in stream),
        },
        "budget_seconds": round(budget),
        "iterations": [rung, whole],
        "orders": orders,
        "means": compare(stream, orders, budget),
        "packing_seconds": packing(config, arguments.work_dir / FOLDER, (1, 2, 4)),
        "versions": {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": "python " + shlex.join(["benchmarks/budget_value.py", *sys.argv[1:]]),
    }
    if arguments.save:
        RESULTS.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        (RESULTS.parent / "budget_value_scores.json").write_text(json.dumps(table.to_json()) + "\n", encoding="utf-8")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
