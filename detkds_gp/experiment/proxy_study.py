"""How well short trainings rank formulas: the same sample trained on several budgets, from several starts."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from detkds_gp.errors import ConfigError
from detkds_gp.experiment.answers import Interrupt, Screener, weighed
from detkds_gp.experiment.config import ExperimentConfig, parse_config
from detkds_gp.experiment.listener import Listener
from detkds_gp.experiment.prepare import gather
from detkds_gp.experiment.workplace import Workplace
from detkds_gp.language import NONE, Distiller, PrimitiveSet, parse_distiller
from detkds_gp.ranking import Row, Table
from detkds_gp.score import Trial
from detkds_gp.search import random_formulas
from detkds_gp.search.screening import Screen

ATTEMPTS = 100


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        formulas: how many that pass the screening; the student alone comes on top.
        rejected: how many beside them that do not pass it: they show what the screening is worth.
        iterations: the budgets, rising.
        starts: values of ``proxy.start``.
        repeats: other seeds on which the longest budget of the first start is trained: the truth that all are held
            against, and what luck leaves of it.
    """

    formulas: int = 40
    rejected: int = 0
    iterations: tuple[int, ...] = (50, 100, 200, 400)
    starts: tuple[str, ...] = ("config", "half_trained")
    repeats: int = 1

    def __post_init__(self) -> None:
        if list(self.iterations) != sorted(set(self.iterations)) or len(self.iterations) < 2:
            raise ConfigError(f"got the iterations {list(self.iterations)}, wanted two or more, rising")
        if self.formulas < 5:
            raise ConfigError(f"got {self.formulas} formulas, wanted 5 or more to rank")


def run_study(config: ExperimentConfig, study: Study, work_dir: Path, listener: Listener) -> Table:
    """Train the sample on every budget from every start; what was trained before is not trained again.

    Without ``proxy.decay`` a budget is the beginning of the next one and trainings are continued; with it every
    budget has its own schedule and its own trainings.

    Args:
        config: of the pair; its ``proxy.start``, ``iterations`` and ``rungs`` are replaced.
        study: what is compared.
        work_dir: has a folder, with a store, for each start (and budget, with decay).
        listener: hears of the trainings.

    Raises:
        UserError: as `Experiment.run` does.
    """
    materials, rows, chosen = gather(config), list[Row](), list[tuple[str, Distiller]]()
    interrupt = Interrupt(config.execution.grace_seconds)
    with interrupt.handling_signals():
        for start in study.starts:
            for budgets in [study.iterations] if not config.proxy.decay else [(n,) for n in study.iterations]:
                proxy = {"start": start, "iterations": budgets[-1], "rungs": budgets[:-1]}
                part = parse_config({**config.model_dump(), "proxy": {**config.proxy.model_dump(), **proxy}})
                folder = work_dir / start / ("" if len(budgets) > 1 else str(budgets[0]))
                listener.say(f"start {start}, {', '.join(map(str, budgets))} iterations, in {folder}")
                workplace = Workplace.prepared(part, materials, folder, listener)
                rows += _rows(workplace, study, chosen, interrupt)
    return Table(config.proxy.metric, config.baseline_seeds[0], tuple(rows))


def _rows(
    workplace: Workplace, study: Study, chosen: list[tuple[str, Distiller]], interrupt: Interrupt
) -> Iterator[Row]:
    """Train the sample, which is drawn if it is empty, on budgets that continue each other; yield what came out."""
    config, grammar = workplace.config, workplace.task.primitive_set
    seed, start, longest = config.baseline_seeds[0], config.proxy.start, config.proxy.iterations
    true = (start, longest) == (study.starts[0], study.iterations[-1])
    repeated = [Trial(NONE, longest, seed + n) for n in range(1, study.repeats + 1) if true]
    with workplace.open(interrupt) as (store, answers):
        workplace.lay_groundwork(store, answers, repeated)
        if not chosen:
            published = [*config.search.warm_start, *config.verdict.rivals.values()]
            known = weighed(published, grammar, answers.scales)
            chosen += Sampling(config, known, grammar, Screener(store, grammar, answers.screenings)).drawn(study)
        plans = [(seed, iterations) for iterations in (*config.proxy.rungs, longest)]
        for plan, iterations in plans + [(trial.seed, longest) for trial in repeated]:
            asked = [(Trial(d.text, iterations, plan), d, niche) for niche, d in chosen]
            scores = answers.scores(f"{start}, {iterations} iterations, seed {plan}", asked)
            for (niche, distiller), score in zip(chosen, scores, strict=True):
                yield Row(distiller.text, niche, start, iterations, plan, score.ap, score.failure, score.wall_seconds)
        shutil.rmtree(workplace.task.rungs, ignore_errors=True)


class Sampling:
    """Draws formulas: what is known first, then random ones, niche by niche.

    Args:
        config: its seed and the ranges of its search fix the random ones.
        known: formulas of one tree that come first, in calibrated units.
        primitive_set: the grammar.
        screen: says of formulas whether a search would train them.
    """

    def __init__(
        self, config: ExperimentConfig, known: Sequence[str], primitive_set: PrimitiveSet, screen: Screen
    ) -> None:
        self._search = config.search
        self._known = known
        self._set = primitive_set
        self._screen = screen
        self._rng = random.Random(f"sample/{config.seed}")

    def drawn(self, study: Study) -> Iterator[tuple[str, Distiller]]:
        """Yield (niche, distiller): the student alone, then those that pass the screening, then those that do not."""
        passed, rejected = dict[str, Distiller](), dict[str, Distiller]()
        for distiller in self._endless():
            (finding,) = self._screen([distiller.terms[0].formula])
            if finding.twin is None:
                found, wanted = (passed, study.formulas) if finding.rejection is None else (rejected, study.rejected)
                if len(found) < wanted:
                    found[distiller.text] = distiller
            if len(passed) == study.formulas and len(rejected) == study.rejected:
                break
        yield NONE, parse_distiller(NONE, self._set)
        for distiller in (*passed.values(), *rejected.values()):
            yield distiller.terms[0].knowledge, distiller

    def _endless(self) -> Iterator[Distiller]:
        """Yield distinct single formulas, until nothing new is found any more."""
        seen, misses = set[str](), 0
        published = (parse_distiller(text, self._set) for text in self._known)
        for distiller in chain(published, random_formulas(self._set, self._search, self._rng)):
            new = distiller is not None and distiller.text not in seen
            misses = 0 if new else misses + 1
            if misses > ATTEMPTS:
                return
            if distiller is not None and new:
                seen.add(distiller.text)
                yield distiller


def options(start: str, iterations: int) -> dict[str, Any]:
    """Return the config options that make the proxy a budget from a start."""
    return {"proxy.iterations": iterations, "proxy.start": start, "proxy.rungs": ()}
