"""The winner of a finished search, the student alone and every published rival, on seeds that nothing was chosen on.

    python benchmarks/fresh_seeds.py CONFIG WORK_DIR --name NAME [--seeds 6] [--iterations N] [--workers 2]
        [--also ROLE=FORMULA ...] [--cfg-options KEY=VALUE ...] [--save]

CONFIG is the one that WORK_DIR was searched with, with the same ``--cfg-options``. Rivals are those of its final
round: at the weights that their papers give, and at those that were tuned there; ``--also`` names more. All are trained
alike, by default for twice the proxy's length, in ``WORK_DIR-fresh``: a stopped measurement goes on there. Differences
are paired by seed and on the test split, with 95% intervals. With ``--save`` the result stands under NAME in
``benchmarks/results/fresh_seeds.json``; the last line printed is it as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from weight_sweep import Aloud

from detkds_gp.atomic import atomic_file
from detkds_gp.cli.options import parse_options
from detkds_gp.config import load_config
from detkds_gp.evaluation import Interrupt, Question
from detkds_gp.final_round.plan import LENGTHENED
from detkds_gp.gain import complete_gain
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.operators import active_operators
from detkds_gp.results import opened
from detkds_gp.score import Trial
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather

RESULTS = Path(__file__).parent / "results" / "fresh_seeds.json"
FIRST_SEED = 5001
ALONE, WINNER = "student alone", "winner"


def judged(work_dir: Path, also: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return by role the formulas to train, with their scales, and what the search's own final round said.

    The winner is the best that the search found, where a published rival won the final round.
    """
    with opened(work_dir) as summary:
        verdict, told = summary.verdict, summary.to_json()
        everyone = [*map(verdict.judged, verdict.finalists), *verdict.dropped]
    found = next(one for one in everyone if not one.finalist.weighed)
    rivals = {one.finalist.title: one.formula for one in everyone if one.finalist.weighed}
    return {ALONE: NONE, WINNER: found.formula, **rivals, **also}, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--also", nargs="*", type=named, default=[], metavar="ROLE=FORMULA")
    parser.add_argument("--cfg-options", nargs="*", default=[], metavar="k=v")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    formulas, told = judged(arguments.work_dir, dict(arguments.also))
    aps, length = trained(arguments, formulas)
    table = {
        role: {
            "formula": formula,
            "test_ap": aps[role],
            "mean": fmean(known) if (known := [ap for ap in aps[role] if ap is not None]) else None,
            "over_alone": difference(aps[role], aps[ALONE]),
            "winner_over_it": difference(aps[WINNER], aps[role]),
        }
        for role, formula in formulas.items()
    }
    figures = {
        "iterations": length,
        "seeds": list(range(FIRST_SEED, FIRST_SEED + arguments.seeds)),
        "judged": table,
        "search": {key: told[key] for key in ("teacher", "best", "final", "cut", "counts", "wall_seconds")},
        "machine": f"{platform.machine()}, {arguments.workers} workers",
        "versions": {name: version(name) for name in ("torch", "mmdet", "detkds_gp")}
        | {"operators": active_operators()},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        with atomic_file(RESULTS) as draft:
            draft.write_text(json.dumps({**known, arguments.name: figures}, indent=2) + "\n", encoding="utf-8")
    for role, row in table.items():
        print(f"{role}: {row['mean']:.3f}, winner over it {row['winner_over_it']}", flush=True)
    print(json.dumps(figures))


def named(text: str) -> tuple[str, str]:
    """Read a role and its formula."""
    role, sign, formula = text.partition("=")
    if not (role and sign and formula):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted ROLE=FORMULA")
    return role, formula


def trained(arguments: argparse.Namespace, formulas: Mapping[str, str]) -> tuple[dict[str, list[float | None]], int]:
    """Train everyone on every seed; return test APs by role, and the length."""
    options = {"anchors": 0, "execution.workers": arguments.workers, "budget": None}
    config = load_config(arguments.config, parse_options(arguments.cfg_options) | options)
    length = arguments.iterations or LENGTHENED * config.proxy.iterations
    folder = arguments.work_dir.with_name(f"{arguments.work_dir.name}-fresh")
    context = RunContext.prepared(config, gather(config), folder, Aloud())
    interrupt = Interrupt(config.execution.grace_seconds)
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    distillers = {role: parse_distiller(text, context.task.primitive_set) for role, text in formulas.items()}
    asked = [
        Question(Trial(d.text, length, seed, test=True), d, "fresh") for seed in seeds for d in distillers.values()
    ]
    with interrupt.handling_signals(), context.open(interrupt) as (store, answers):
        context.train_baselines(store, answers)
        scores = dict(zip([one.trial for one in asked], answers.scores("fresh seeds", asked), strict=True))
    aps = {
        role: [scores[Trial(d.text, length, seed, test=True)].test_ap for seed in seeds]
        for role, d in distillers.items()
    }
    return aps, length


def difference(ours: Sequence[float | None], theirs: Sequence[float | None]) -> dict[str, float] | None:
    """Return the paired gain of APs over others as plain values; None where a training failed."""
    found = complete_gain(ours, theirs)
    return None if found is None else found.to_json()


if __name__ == "__main__":
    main()
