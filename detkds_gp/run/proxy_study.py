"""How well short trainings rank formulas: the same sample trained on several budgets, in several ways."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.config import ExperimentConfig, parse_config
from detkds_gp.errors import ConfigError
from detkds_gp.evaluation import EvaluationService, Interrupt, Question, weighed
from detkds_gp.language import NONE, Distiller, PrimitiveSet, Term, make_distiller, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.ranking import Row, Table, Way
from detkds_gp.score import MIX, Trial
from detkds_gp.screening import RecordedScreener, Screener
from detkds_gp.search import SearchSettings, WeightRange, random_formulas
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather

ATTEMPTS = 100


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        formulas: how many that pass the screening; the student alone comes on top.
        mixed: the share of them that are mixes of the others.
        rejected: how many beside them that do not pass it: they show what the screening is worth.
        iterations: the budgets, rising.
        ways: how students are trained.
        repeats: other seeds on which the longest budget of the first way is trained: the truth that all are held
            against, and what luck leaves of it. Without decay its shorter budgets are scored on the way: their luck.
        end: iterations after which students gain no more; 0 trains none so long.
        end_formulas: how many of the sample are, the student alone and the last one among them, on ``repeats`` seeds.
    """

    formulas: int = 40
    rejected: int = 0
    iterations: tuple[int, ...] = (50, 100, 200, 400)
    ways: tuple[Way, ...] = (Way("config", 0.0, 0.97), Way("config"), Way("half_trained", 0.0, 0.97))
    repeats: int = 1
    mixed: float = 1 / 3
    end: int = 0
    end_formulas: int = 12

    def __post_init__(self) -> None:
        if list(self.iterations) != sorted(set(self.iterations)) or len(self.iterations) < 2:
            raise ConfigError(f"got the iterations {list(self.iterations)}, wanted two or more, rising")
        if self.formulas < 5:
            raise ConfigError(f"got {self.formulas} formulas, wanted 5 or more to rank")
        if self.end and (self.end <= self.iterations[-1] or self.end_formulas < 3):
            got = f"got {self.end_formulas} formulas trained to their end, {self.end} iterations"
            raise ConfigError(f"{got}, wanted 3 or more and more than {self.iterations[-1]} iterations")

    @property
    def end_trainings(self) -> int:
        """How many students are trained to their end."""
        return min(self.end_formulas, self.formulas + 1) * self.repeats if self.end else 0


def run_study(config: ExperimentConfig, study: Study, work_dir: Path, listener: Listener) -> Table:
    """Train the sample on every budget in every way; what was trained before is not trained again.

    Without decay a budget is the beginning of the next one and trainings are continued; with it every budget has its
    own schedule and its own trainings.

    Args:
        config: of the pair; its ``proxy.start``, ``decay``, ``average``, ``iterations`` and ``rungs`` are replaced.
        study: what is compared.
        work_dir: has a folder, with a store, for each way (and budget, with decay).
        listener: is told of the trainings.

    Raises:
        UserError: as `Experiment.run` does.
    """
    materials, rows, chosen = gather(config), list[Row](), list[tuple[str, Distiller]]()
    interrupt, end = Interrupt(config.execution.grace_seconds), list[Row]()

    def context(way: Way, budgets: Sequence[int], folder: Path) -> RunContext:
        proxy = {**asdict(way), "iterations": budgets[-1], "rungs": tuple(budgets[:-1])}
        part = parse_config({**config.model_dump(), "proxy": {**config.proxy.model_dump(), **proxy}})
        listener.say(f"{way}: {', '.join(map(str, budgets))} iterations, in {folder}")
        return RunContext.prepared(part, materials, folder, listener)

    with interrupt.handling_signals():
        for way in study.ways:
            for budgets in [study.iterations] if not way.decay else [(n,) for n in study.iterations]:
                folder = work_dir / _folder(way) / ("" if len(budgets) > 1 else str(budgets[0]))
                rows += _rows(context(way, budgets, folder), study, chosen, interrupt)
        if study.end:
            seconds = fmean(row.wall_seconds / row.iterations for row in rows if row.iterations == study.iterations[0])
            hours = seconds * study.end * study.end_trainings / config.execution.workers / 3600
            listener.say(f"to the end: {study.end_trainings} trainings of {study.end} iterations, about {hours:.1f} h")
            folder = work_dir / _folder(study.ways[0]) / f"end-{study.end}"
            end += _end_rows(context(study.ways[0], (study.end,), folder), study, chosen, interrupt)
    return Table(config.proxy.metric, config.baseline_seeds[0], tuple(rows), tuple(end))


def _folder(way: Way) -> str:
    return f"{way.start}-{way.decay:g}-{way.average:g}"


def _rows(
    context: RunContext, study: Study, chosen: list[tuple[str, Distiller]], interrupt: Interrupt
) -> Iterator[Row]:
    """Train the sample, which is drawn if it is empty, on budgets that continue each other; yield what came out."""
    config, grammar = context.config, context.task.primitive_set
    way = Way(config.proxy.start, config.proxy.decay, config.proxy.average)
    seed, longest = config.baseline_seeds[0], config.proxy.iterations
    true = (way, longest) == (study.ways[0], study.iterations[-1])
    repeated = [Trial(NONE, longest, seed + n) for n in range(1, study.repeats + 1) if true]
    with context.open(interrupt) as (store, evaluations):
        context.train_baselines(store, evaluations, repeated)
        if not chosen:
            published = [*config.search.warm_start, *config.verdict.rivals.values()]
            known = weighed(published, grammar, evaluations.scales)
            screen = RecordedScreener(store, grammar, evaluations.screenings)
            chosen += Sampling(config.search, config.seed, known, grammar, screen).drawn(study)
        for plan in (seed, *(trial.seed for trial in repeated)):
            for iterations in (*config.proxy.rungs, longest):
                yield from _trained(evaluations, way, chosen, iterations, plan)
        shutil.rmtree(context.task.rungs, ignore_errors=True)


def _end_rows(
    context: RunContext, study: Study, chosen: Sequence[tuple[str, Distiller]], interrupt: Interrupt
) -> Iterator[Row]:
    """Train some of the sample, evenly taken so that all sorts are among them, until they gain no more."""
    count = min(study.end_formulas, len(chosen))
    some = [chosen[round(place * (len(chosen) - 1) / (count - 1))] for place in range(count)]
    seeds = [context.config.baseline_seeds[0] + n for n in range(1, study.repeats + 1)]
    with context.open(interrupt) as (store, evaluations):
        context.train_baselines(store, evaluations, [Trial(NONE, study.end, seed) for seed in seeds])
        for seed in seeds:
            yield from _trained(evaluations, study.ways[0], some, study.end, seed)


def _trained(
    evaluations: EvaluationService, way: Way, chosen: Sequence[tuple[str, Distiller]], iterations: int, seed: int
) -> Iterator[Row]:
    asked = [Question(Trial(distiller.text, iterations, seed), distiller, niche) for niche, distiller in chosen]
    scores = evaluations.scores(f"{way}: {iterations} iterations, seed {seed}", asked)
    for (niche, distiller), score in zip(chosen, scores, strict=True):
        told = score.ap, score.failure, score.wall_seconds
        yield Row(distiller.text, niche, way.start, iterations, seed, *told, way.decay, way.average)


@dataclass(frozen=True)
class Sampling:
    """Draws what a search trains: what is known first, then random formulas, niche by niche, and mixes of all these.

    What is known are formulas of one tree, in calibrated units; seed and ranges of the search fix the random ones.
    """

    search: SearchSettings
    seed: int
    known: Sequence[str]
    primitive_set: PrimitiveSet
    screen: Screener

    def drawn(self, study: Study) -> Iterator[tuple[str, Distiller]]:
        """Yield (niche, distiller): the student alone, single formulas, mixes, then those that do not pass."""
        rng = random.Random(f"sample/{self.seed}")
        passed, rejected, mixes = dict[str, Distiller](), dict[str, Distiller](), list[Distiller]()
        mixed = int(study.formulas * study.mixed) if len(self.primitive_set.niches) > 1 else 0
        for distiller in self._endless(rng):
            (finding,) = self.screen([distiller.terms[0].formula])
            if finding.twin is None and finding.rejection is not None and len(rejected) < study.rejected:
                rejected[distiller.text] = distiller
            if finding.twin is None and finding.rejection is None and len(passed) + len(mixes) < study.formulas:
                passed[distiller.text] = distiller
            places = study.formulas - len(passed)  # formulas of one knowledge make no mix: single ones take its place
            if len(mixes) < places <= mixed:
                mixes = self._mixes(list(passed.values()), places, rng)
            if len(mixes) == places and len(rejected) == study.rejected:
                break
        yield NONE, parse_distiller(NONE, self.primitive_set)
        for distiller in passed.values():
            yield distiller.terms[0].knowledge, distiller
        for distiller in mixes:
            yield MIX, distiller
        for distiller in rejected.values():
            yield distiller.terms[0].knowledge, distiller

    def _mixes(self, singles: Sequence[Distiller], count: int, rng: random.Random) -> list[Distiller]:
        """Return mixes of two or more knowledges, with weights that a search chooses from."""
        weights = WeightRange(*self.search.weight_range)
        by_niche: dict[str, list[Term]] = {}
        for distiller in singles:
            by_niche.setdefault(distiller.terms[0].knowledge, []).append(distiller.terms[0])
        found: dict[str, Distiller] = {}
        for _ in range(ATTEMPTS * count if len(by_niche) > 1 else 0):
            niches = rng.sample(sorted(by_niche), rng.randint(2, len(by_niche)))
            terms = []
            for niche in niches:
                term = rng.choice(by_niche[niche])
                terms.append(replace(term, weight=weights.moved(rng, term.weight)))
            distiller = make_distiller(terms, self.primitive_set)
            found.setdefault(distiller.text, distiller)
            if len(found) == count:
                break
        return list(found.values())

    def _endless(self, rng: random.Random) -> Iterator[Distiller]:
        """Yield distinct single formulas, until nothing new is found any more."""
        seen, misses = set[str](), 0
        published = (parse_distiller(text, self.primitive_set) for text in self.known)
        for distiller in chain(published, random_formulas(self.primitive_set, self.search, rng)):
            new = distiller is not None and distiller.text not in seen
            misses = 0 if new else misses + 1
            if misses > ATTEMPTS:
                return
            if distiller is not None and new:
                seen.add(distiller.text)
                yield distiller


def options(way: Way, iterations: int) -> dict[str, Any]:
    """Return the config options that make the proxy a budget trained in a way."""
    return {"proxy.iterations": iterations, "proxy.rungs": (), **{f"proxy.{k}": v for k, v in asdict(way).items()}}
