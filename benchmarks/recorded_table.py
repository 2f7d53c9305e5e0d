"""A table of real scores: hundreds of single formulas and mixes, each trained on several seeds and tested.

It holds what a random search asks for: formulas of every knowledge that pass screening, drawn as the search's first
generation is; then mixes of the best of each knowledge, drawn anew as well. Who is best is decided by the mean over
all seeds. Every distiller is scored on the selection split, as a search would see it, and on the test split.

    python benchmarks/recorded_table.py CONFIG WORK_DIR --name NAME [--formulas 100] [--mixes 300] [--seeds 4]
        [--iterations N] [--workers 2] [--cfg-options KEY=VALUE ...] [--save]

``--formulas`` counts those of one knowledge. WORK_DIR keeps what is trained: a stopped recording goes on there. With
``--save`` the table stands in ``benchmarks/results/table-NAME.json``, for `real_landscape.py`. The last line printed
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from weight_sweep import Aloud

from detkds_gp.atomic import atomic_file
from detkds_gp.cli.options import parse_options
from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.evaluation import EvaluationService, Interrupt, Question
from detkds_gp.language import NONE, Distiller, PrimitiveSet, parse_distiller
from detkds_gp.operators import active_operators
from detkds_gp.score import Score, Trial
from detkds_gp.screening import RecordedScreener
from detkds_gp.search import Candidate, RandomSearch, SearchSettings, run_search
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.store import Store

RESULTS = Path(__file__).parent / "results"
FIRST_SEED = 7001
CHAMPIONS = 0.2
"""Share of a knowledge's formulas that mixes are made of."""
ALONE = 3
"""Times as many seeds for the student alone."""


class Recording:
    """Trains distillers on all seeds, and keeps their scores.

    Args:
        service: trains.
        length: of a training, in steps.
        seeds: how many.
    """

    def __init__(self, service: EvaluationService, length: int, seeds: int) -> None:
        self.service, self.length, self.seeds = service, length, seeds
        self.rows: list[dict[str, Any]] = []

    def scored(self, candidates: Sequence[Candidate]) -> list[Score]:
        """Record candidates; return the mean AP of each over the seeds, or its first failure."""
        return [self._mean(one) for one in self.record([candidate.distiller for candidate in candidates], self.seeds)]

    def record(self, distillers: Sequence[Distiller], count: int) -> list[list[Score]]:
        """Train distillers on so many seeds, one seed after the other; return the scores of each."""
        seeds = range(FIRST_SEED, FIRST_SEED + count)
        asked = [
            Question(Trial(d.text, self.length, seed, test=True), d, "table") for seed in seeds for d in distillers
        ]
        told = self.service.scores("recording", asked)
        found = [told[place :: len(distillers)] for place in range(len(distillers))]
        for distiller, scores in zip(distillers, found, strict=True):
            self.rows.append(
                {
                    "formula": distiller.text,
                    "selection": [rounded(score.ap) for score in scores],
                    "test": [rounded(score.test_ap) for score in scores],
                }
            )
        return found

    @staticmethod
    def _mean(scores: Sequence[Score]) -> Score:
        failed = next((score for score in scores if score.ap is None), None)
        return failed or Score(fmean(score.ap for score in scores if score.ap is not None))


def rounded(ap: float | None) -> float | None:
    """Round to what a seed decides."""
    return None if ap is None else round(ap, 4)


def drawn(grammar: PrimitiveSet, store: Store, service: EvaluationService, formulas: int, mixes: int) -> RandomSearch:
    """Return the search that asks for what is recorded."""
    settings = SearchSettings(
        divide={"population": formulas, "offspring": 1, "generations": 0},
        conquer={"population": mixes, "offspring": 1, "generations": 0},
        champions=max(round(CHAMPIONS * formulas), 1),
    )
    screen = RecordedScreener(store, grammar, service.screenings, lambda line: print(line, flush=True))
    return RandomSearch(grammar, settings, seed=0, screen=screen)


def recorded(config: ExperimentConfig, arguments: argparse.Namespace) -> dict[str, Any]:
    """Record a table, or go on with it."""
    context = RunContext.prepared(config, gather(config), arguments.work_dir, Aloud())
    interrupt = Interrupt(config.execution.grace_seconds)
    length = arguments.iterations or config.proxy.iterations
    with interrupt.handling_signals(), context.open(interrupt) as (store, service):
        context.train_baselines(store, service)
        grammar, recording = context.task.primitive_set, Recording(service, length, arguments.seeds)
        recording.record([parse_distiller(NONE, grammar)], ALONE * arguments.seeds)
        run_search(drawn(grammar, store, service, arguments.formulas, arguments.mixes), recording.scored)
    return {"iterations": length, "seeds": arguments.seeds, "rows": recording.rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--formulas", type=int, default=100)
    parser.add_argument("--mixes", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cfg-options", nargs="*", default=[], metavar="k=v")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    options = {"anchors": 0, "execution.workers": arguments.workers, "budget": None}
    table = recorded(load_config(arguments.config, parse_options(arguments.cfg_options) | options), arguments)
    table["versions"] = {name: version(name) for name in ("torch", "mmdet", "detkds_gp")}
    table["versions"]["operators"] = active_operators()
    table["command"] = "python " + shlex.join(["benchmarks/recorded_table.py", *sys.argv[1:]])
    if arguments.save:
        with atomic_file(RESULTS / f"table-{arguments.name}.json") as draft:
            rows = ",\n".join(json.dumps(row) for row in table["rows"])
            rest = {name: value for name, value in table.items() if name != "rows"}
            draft.write_text(json.dumps(rest)[:-1] + f', "rows": [\n{rows}\n]}}\n', encoding="utf-8")
    print(json.dumps({**table, "rows": len(table["rows"])}))


if __name__ == "__main__":
    main()
