"""The proof: students trained to their end, under the searched loss and under rivals that were given as many trainings.

    python benchmarks/proof.py DIR [--cells NAME ...] [--scale cpu | gpu] [--seeds 4] [--workers 2] [--quick]
        [--longer] [--save]

DIR holds the data (``bccd`` and ``raccoon`` in COCO format; digits are made) and takes everything that is trained: a
stopped proof goes on, and what is trained is not trained again. The protocol of every cell, fixed before it was run:

1. The teacher is trained until it stops gaining. `gp_search run` searches with every default, T trainings in all; what
   counts as searched is the best of its final round that is no published loss.
2. How long a student is trained: until twice the steps bring no more AP on selection than its seeds differ by, or
   `ALONG` steps. A cell whose teacher does not lie `GAP` times that above the student at its end is not used.
3. Rivals get T trainings each: the published losses that apply, their weights tuned, T in all; Optuna's TPE over the
   zoo's terms, which to combine and how strongly; and the published losses at their papers' weights. Of each sort the
   best `PLACES` by one training are trained on the seeds of the search's final round; the best on selection goes on.
4. Everyone is trained on fresh seeds, averaged weights on all sides, and scored on the test split, once. Gains are
   paired, with 95% intervals. ``--longer`` adds the student alone, trained longer by all steps of the search.

``--save`` writes each cell to ``benchmarks/results/proof.json`` when it is done. The last line printed is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna
from proof_cells import ALONG, SCALES, Cell
from weight_sweep import OTHERS, Aloud

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig
from detkds_gp.evaluation import EvaluationService, Interrupt, Question
from detkds_gp.gain import complete_gain
from detkds_gp.language import NONE, Distiller, Term, load_zoo, make_distiller, parse_distiller
from detkds_gp.naming import reason_against
from detkds_gp.operators import active_operators
from detkds_gp.results import opened
from detkds_gp.run import Experiment
from detkds_gp.score import TEACHER, Score, Trial
from detkds_gp.search import WeightRange, rounded
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.store import Store
from detkds_gp.tuning import RivalTuning

RESULTS = Path(__file__).parent / "results" / "proof.json"
FIRST_SEED = 5001
PLACES = 3
"""Of each sort of rival, in what stands for a final round."""
GAP = 3
"""Times what seeds differ by that a teacher lies above a student at its end."""
DOUBLINGS = 4
"""At most, from twice the proxy's length."""
EVERYTHING = "detkds_gp.primitives:OMNI"
ALONE, SEARCHED = "alone", "searched"
TUNED, COMBINED, AS_PUBLISHED, LONGER = "published, tuned", "TPE over published terms", "published", "alone, longer"


@dataclass(frozen=True)
class Searched:
    """What the search of a cell found, and what it took.

    Attributes:
        formula: with its scales.
        trainings: that it asked for before its final round.
        seeds: of its final round.
        iterations: of a training there.
        wall_seconds: of the run's parts.
    """

    formula: str
    trainings: int
    seeds: Sequence[int]
    iterations: int
    wall_seconds: Mapping[str, float]


class CellProof:
    """Carries out the protocol in one cell.

    Args:
        cell: which.
        arguments: of the command line.
    """

    def __init__(self, cell: Cell, arguments: argparse.Namespace) -> None:
        self.cell = cell
        self.folder = arguments.folder / "proof" / cell.name
        self._arguments = arguments
        self._config = self._options(cell.config(arguments.folder.resolve()))

    def _options(self, config: ExperimentConfig) -> ExperimentConfig:
        values: dict[str, Any] = {"execution": {**vars(config.execution), "workers": self._arguments.workers}}
        if self._arguments.quick:
            values["proxy"] = {**config.proxy.model_dump(), "iterations": 4, "calibration_iterations": 2}
            values["teacher"] = {**config.teacher.model_dump(), "train": {"iterations": 6, "warmup": 1}}
            stage = {"population": 1, "offspring": 1, "generations": 0}
            values["search"] = {**config.search.model_dump(), "divide": stage, "conquer": stage, "warm_start": ()}
            values["verdict"] = {"seeds": (1001, 1002), "tuning": 3}
        return ExperimentConfig.model_validate({**config.model_dump(), **values})

    @cached_property
    def searched(self) -> Searched:
        """Run the search, or read it."""
        work_dir = self.folder / "search"
        told = Experiment(self._config, work_dir).run(Aloud()).summary
        with opened(work_dir) as summary:
            judged = [summary.verdict.judged(finalist) for finalist in summary.verdict.finalists]
        own = [one for one in judged if not one.finalist.weighed and one.selection_mean is not None]
        final = told["final"]
        with Store.open(work_dir, readonly=True) as store:
            asked = [record.trial for record in store.scores()]
        trained = [trial for trial in asked if not trial.test and trial.distiller not in (NONE, TEACHER.distiller)]
        best = max(own, key=lambda one: one.selection_mean or 0.0)
        return Searched(best.formula, len(trained), final["seeds"], final["iterations"], told["wall_seconds"])

    def figures(self) -> dict[str, Any]:
        """Return what the cell shows."""
        searched, began = self.searched, time.monotonic()
        rivals = {"rivals": {}, "seeds": self._config.verdict.seeds}
        search = {**self._config.search.model_dump(), "warm_start": ()}
        values = {**self._config.model_dump(), "primitive_set": EVERYTHING, "verdict": rivals, "search": search}
        config = ExperimentConfig.model_validate(values)
        context = RunContext.prepared(config, gather(config), self.folder / "rivals", Aloud())
        interrupt = Interrupt(config.execution.grace_seconds)
        with interrupt.handling_signals(), context.open(interrupt) as (store, evaluations):
            context.train_baselines(store, evaluations)
            judge = Judge(self.cell, context, store, evaluations, searched, self._arguments)
            told = judge.told()
        search = {"formula": searched.formula, "trainings": searched.trainings, "wall_seconds": searched.wall_seconds}
        return {"data": self.cell.data, "pair": self.cell.pair, **told, "search": search} | {
            "rivals_seconds": round(time.monotonic() - began)
        }


@dataclass
class Judge:
    """Tunes rivals, finds how long students are trained, and judges everyone on fresh seeds."""

    cell: Cell
    context: RunContext
    store: Store
    evaluations: EvaluationService
    search: Searched
    arguments: argparse.Namespace

    def told(self) -> dict[str, Any]:
        """Return the figures of the cell; without any of distillers where there is no gap."""
        length, gap = self.length()
        if gap is not None and gap["gap"] < GAP * gap["seeds_differ_by"] and not self.arguments.quick:
            return {"iterations": length, "gap": gap, "used": False}
        everyone = {ALONE: parse_distiller(NONE, self._grammar), SEARCHED: self._read(self.search.formula)}
        chosen = {sort: self.chosen(found) for sort, found in self.rivals().items() if found}
        everyone |= {sort: distiller for sort, (distiller, _) in chosen.items()}
        seeds = range(FIRST_SEED, FIRST_SEED + self.arguments.seeds)
        aps = {role: self.aps(distiller, length, seeds) for role, distiller in everyone.items()}
        if self.arguments.longer:
            more = length + self.search.trainings * self.context.config.proxy.iterations
            aps[LONGER] = self.aps(everyone[ALONE], more, seeds)
        best = max(chosen, key=lambda sort: chosen[sort][1])
        return {
            "iterations": length,
            "seeds": list(seeds),
            "gap": gap,
            "used": True,
            "teacher": self.store.score(TEACHER).test_ap,  # type: ignore[union-attr]
            "alone": _mean(aps[ALONE]),
            "searched": _mean(aps[SEARCHED]),
            "best_rival": {"name": best, "ap": _mean(aps[best])},
            "gain": _difference(aps[SEARCHED], aps[ALONE]),
            "over_rival": _difference(aps[SEARCHED], aps[best]),
            "judged": {
                role: {
                    "formula": self._resolved(everyone[role], length, seeds[0]) if role in everyone else NONE,
                    "test_ap": found,
                    "over_alone": _difference(found, aps[ALONE]),
                    "searched_over_it": _difference(aps[SEARCHED], found),
                }
                for role, found in aps.items()
            },
        }

    def length(self) -> tuple[int, dict[str, Any] | None]:
        """Return how many steps a student is trained, and the gap to the teacher there."""
        if self.arguments.quick:
            return 4, None
        seeds, steps = self.context.config.baseline_seeds, 2 * self.context.config.proxy.iterations
        alone = parse_distiller(NONE, self._grammar)
        if not self.cell.to_the_end:
            length = ALONG if self.arguments.scale == "cpu" else steps
            return length, self._gap(self._selection(alone, length, seeds), {})
        curve = {steps: self._selection(alone, steps, seeds)}
        for _ in range(DOUBLINGS):
            curve[2 * steps] = self._selection(alone, 2 * steps, seeds)
            if fmean(curve[2 * steps]) - fmean(curve[steps]) <= stdev(curve[steps]):
                break
            steps *= 2
        return steps, self._gap(curve[max(curve)], {str(n): [round(ap, 4) for ap in aps] for n, aps in curve.items()})

    def _gap(self, aps: Sequence[float], curve: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        teacher = self.store.score(TEACHER)
        assert teacher is not None
        assert teacher.ap is not None
        differ = {"gap": teacher.ap - fmean(aps), "seeds_differ_by": stdev(aps)}
        return {name: round(value, 4) for name, value in differ.items()} | {"curve": dict(curve)}

    def rivals(self) -> dict[str, list[Distiller]]:
        """Return the rivals of each sort, the best first; each sort was given as many trainings as the search."""
        published = self._published()
        each = max(3, self.search.trainings // max(1, len(published)))
        settings = self.context.config.search
        tuning = RivalTuning(
            self._grammar, WeightRange(*settings.weight_range), self.evaluations, self._trial, {}, print
        )
        found = tuning.rivals({name: distiller.text for name, distiller in published.items()}, each)
        tuned = [rival.tuned or rival.given for rival in found]
        given = [one.given for one in found if one.given is not None and one.given.weighed != "calibrated, not tuned"]
        as_given = [self._read(finalist.text) for finalist in given]
        scored = self._scores("as published", as_given, self.context.config.proxy.iterations, [self._seed])
        ranked = sorted(zip(as_given, scored, strict=True), key=lambda one: -(one[1].ap or 0.0))
        return {
            TUNED: [self._read(finalist.text) for finalist in tuned if finalist is not None][:PLACES],
            COMBINED: self._combined(published)[:PLACES],
            AS_PUBLISHED: [distiller for distiller, _ in ranked][:PLACES],
        }

    def _published(self) -> dict[str, Distiller]:
        """Return the published losses that apply, one of those that differ in numbers alone."""
        grammar, pair = self._grammar, self.context.task.pair
        found: dict[str, Distiller] = {}
        for entry in load_zoo(self.context.config.zoo).values():
            if not reason_against(entry, grammar, pair):
                found.setdefault(re.sub(r"\b\d[\d.e-]*", "", entry.formula), parse_distiller(entry.formula, grammar))
        known = {d.name for d in grammar.inputs}
        plain = [text for text in OTHERS.values() if set(re.findall(r"class_logits|box\w*", text)) <= known]
        everything = [*found.values(), *(parse_distiller(text, grammar, bare=None) for text in plain)]
        return {f"published {place}": distiller for place, distiller in enumerate(everything)}

    def _combined(self, published: Mapping[str, Distiller]) -> list[Distiller]:
        """Let TPE choose, by as many trainings, a published term of each knowledge, or none, and its weight."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        terms: dict[str, dict[str, Term]] = {}
        for distiller in published.values():
            for term in distiller.terms:
                terms.setdefault(term.knowledge, {}).setdefault(term.formula, term)
        sampler = optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        scored: dict[str, tuple[Distiller, float]] = {}
        left = self.search.trainings
        while left > 0:
            trials = [study.ask() for _ in range(min(left, max(1, self.context.config.execution.workers)))]
            made = [self._suggested(trial, terms) for trial in trials]
            unique = list({one.text: one for one in made}.values())
            scores = self._scores("TPE", unique, self.context.config.proxy.iterations, [self._seed])
            known = {one.text: score.ap or 0.0 for one, score in zip(unique, scores, strict=True)}
            for trial, one in zip(trials, made, strict=True):
                study.tell(trial, known[one.text])
                scored[one.text] = one, known[one.text]
            left -= len(trials)
        return [one for one, _ in sorted(scored.values(), key=lambda found: -found[1]) if one.terms]

    def _suggested(self, trial: optuna.Trial, terms: Mapping[str, Mapping[str, Term]]) -> Distiller:
        low, high = self.context.config.search.weight_range
        chosen = []
        for knowledge, known in terms.items():
            formula = trial.suggest_categorical(knowledge, ["", *known])
            if formula:
                weight = rounded(trial.suggest_float(f"{knowledge}/{formula}", low, high, log=True))
                chosen.append(replace(known[formula], weight=weight, scale=None))
        return make_distiller(chosen, self._grammar) if chosen else Distiller()

    def chosen(self, rivals: Sequence[Distiller]) -> tuple[Distiller, float]:
        """Return the rival with the highest mean AP on selection over the seeds of the search's final round, and it."""
        length, seeds = self.search.iterations, self.search.seeds
        scores = self._scores("rivals", rivals, length, seeds, test=True)
        means = [
            fmean(score.ap or 0.0 for score in scores[place * len(seeds) : (place + 1) * len(seeds)])
            for place in range(len(rivals))
        ]
        best = max(range(len(rivals)), key=means.__getitem__)
        return rivals[best], means[best]

    def aps(self, distiller: Distiller, length: int, seeds: Sequence[int]) -> list[float | None]:
        """Return the test AP of a distiller on every seed."""
        return [score.test_ap for score in self._scores("fresh seeds", [distiller], length, seeds, test=True)]

    def _selection(self, distiller: Distiller, length: int, seeds: Sequence[int]) -> list[float]:
        return [score.ap or 0.0 for score in self._scores("how long", [distiller], length, seeds)]

    def _scores(
        self, phase: str, distillers: Sequence[Distiller], length: int, seeds: Sequence[int], *, test: bool = False
    ) -> list[Score]:
        asked = [
            Question(Trial(one.text, length, seed, test=test), one, "proof") for one in distillers for seed in seeds
        ]
        answers = dict(zip([one.trial for one in asked], self.evaluations.scores(phase, asked), strict=True))
        return [answers[one.trial] for one in asked]

    def _resolved(self, distiller: Distiller, length: int, seed: int) -> str:
        """Return a distiller's text with the scales that it was trained with."""
        return self.store.resolved(Trial(distiller.text, length, seed, test=True)) or distiller.text

    def _read(self, text: str) -> Distiller:
        return parse_distiller(text, self._grammar, bare=None)

    def _trial(self, text: str) -> Trial:
        return Trial(text, self.context.config.proxy.iterations, self._seed)

    @property
    def _seed(self) -> int:
        return self.context.config.baseline_seeds[0]

    @property
    def _grammar(self) -> Any:
        return self.context.task.primitive_set


def _mean(aps: Sequence[float | None]) -> float | None:
    known = [ap for ap in aps if ap is not None]
    return fmean(known) if len(known) == len(aps) else None


def _difference(ours: Sequence[float | None], theirs: Sequence[float | None]) -> dict[str, float] | None:
    found = complete_gain(ours, theirs)
    return None if found is None else found.to_json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", choices=sorted(SCALES), default="cpu")
    parser.add_argument("--cells", nargs="+", help="by name, such as blood_cells-RetinaNet; all by default")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--longer", action="store_true")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    cells = {cell.name: cell for cell in SCALES[arguments.scale]}
    if unknown := set(arguments.cells or ()) - set(cells):
        parser.error(f"no cell {', '.join(sorted(unknown))}; wanted some of {', '.join(cells)}")
    found: dict[str, Any] = json.loads(RESULTS.read_text())["cells"] if arguments.save and RESULTS.exists() else {}
    outcome: dict[str, Any] = {}
    for name in arguments.cells or cells:
        found[name] = CellProof(cells[name], arguments).figures()
        outcome = {
            "cells": found,
            "versions": {package: version(package) for package in ("torch", "mmdet", "optuna")}
            | {"operators": active_operators()},
            "command": "python " + shlex.join(["benchmarks/proof.py", "DIR", *sys.argv[2:]]),
        }
        if arguments.save:
            with atomic_file(RESULTS) as draft:
                draft.write_text(json.dumps(outcome, indent=1) + "\n")
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    print(json.dumps({**outcome, "cells": list(found.values())}))


if __name__ == "__main__":
    main()
