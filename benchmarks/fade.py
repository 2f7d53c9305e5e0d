"""Does a distiller want to fade out? Losses whose weight falls on the way, beside the same losses at a constant weight.

    python benchmarks/fade.py WORK_DIR --data DIR [--seeds 4] [--iterations 480] [--quick] [--save]

On the narrow pair of ``configs/bccd_narrow.py`` the student alone, PKD at its tuned weight and the winner of an hour's
search are trained under every schedule, at a constant learning rate, with averaged weights, and scored on the test
split at their end. Gains are paired over seeds, with 95% intervals. WORK_DIR keeps every training; a stopped
measurement goes on. The last line printed is one JSON object; ``--save`` writes it to ``benchmarks/results/fade.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from fresh_seeds import difference
from reliability import Trainings
from reliability_cells import cells
from reliability_record import bound_of
from transfer import FOUND, TUNED

from detkds_gp.detectors import Outputs
from detkds_gp.operators import active_operators
from detkds_gp.training import Training

RESULTS = Path(__file__).parent / "results" / "fade.json"
ALONE = "none"
WINNER = "the hour's winner"
LOSSES = {"PKD at 220": TUNED["PKD at 220"], WINNER: FOUND["hour of narrow students"]}
CONSTANT = "constant"
SCHEDULES: dict[str, Callable[[float], float]] = {
    CONSTANT: lambda done: 1.0,
    "falls to 0": lambda done: 1 - done,
}
"""What the distiller's weight is multiplied by after a share of the training."""


class Scheduled(Trainings):
    """Trainings whose distiller's weight follows a schedule.

    Attributes:
        schedule: its factor after a share of the training.
    """

    schedule: Callable[[float], float] = SCHEDULES[CONSTANT]

    def step(self, training: Training, batch: dict[str, Any], teacher: Outputs | None) -> None:
        """Take one step."""
        model, factor = training.model, self.schedule(training.iteration / self.lengths[-1])
        model.distill = lambda *given: {  # type: ignore[method-assign]
            name: factor * levels for name, levels in type(model).distill(model, *given).items()
        }
        training.step(batch, teacher)


def scores(arguments: argparse.Namespace, lengths: Sequence[int]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return by loss and schedule the scores on every seed; the student alone has one schedule."""
    (cell,) = cells(["bccd_narrow"], arguments)
    ways: dict[str, Scheduled] = {}
    for name, schedule in SCHEDULES.items():
        folder = arguments.work_dir / "fade" / name.replace(" ", "_") / bound_of(cell.config)
        ways[name] = Scheduled(cell, folder, lengths, sample=[ALONE, *LOSSES.values()])
        ways[name].schedule = schedule
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for seed, (name, trainings) in product(range(arguments.seeds), ways.items()):
        for number, loss in enumerate([ALONE, *LOSSES]):
            if loss != ALONE or name == CONSTANT:
                found.setdefault(loss, {}).setdefault(name, []).append(trainings.row(number, seed)["scores"] or {})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=480)
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.quick:
        arguments.iterations, arguments.seeds = 4, 2
    end = arguments.iterations
    found = scores(arguments, (end // 2, end))
    aps = {
        loss: {name: [row.get(str(end), {}).get("test") for row in rows] for name, rows in by_schedule.items()}
        for loss, by_schedule in found.items()
    }
    alone, winner = aps[ALONE][CONSTANT], aps[WINNER][CONSTANT]
    outcome = {
        "iterations": end,
        "losses": LOSSES,
        "trained": {
            loss: {
                name: {
                    "test_ap": row,
                    "mean": fmean(known) if (known := [ap for ap in row if ap is not None]) else None,
                    "halfway_selection": [scored.get(str(end // 2), {}).get("now") for scored in found[loss][name]],
                    "over_alone": difference(row, alone),
                    "over_constant": difference(row, by_schedule[CONSTANT]),
                    "winner_over_it": difference(winner, row),
                }
                for name, row in by_schedule.items()
            }
            for loss, by_schedule in aps.items()
        },
        "versions": {package: version(package) for package in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": f"python benchmarks/fade.py WORK_DIR --data DIR --seeds {arguments.seeds} --iterations {end} --save",
    }
    if arguments.save:
        RESULTS.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
