"""The rivals of the proof: published losses tuned, combined by Optuna's TPE, and at their papers' weights.

Each sort is given as many trainings as the search was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import optuna
from weight_sweep import OTHERS, Aloud

from detkds_gp.config import ExperimentConfig
from detkds_gp.evaluation import EvaluationService, Interrupt, Question
from detkds_gp.language import Distiller, PrimitiveSet, Term, load_zoo, make_distiller, parse_distiller
from detkds_gp.naming import reason_against
from detkds_gp.score import Score, Trial
from detkds_gp.search import WeightRange, rounded
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.store import Store
from detkds_gp.tuning import RivalTuning

EVERYTHING = "detkds_gp.primitives:OMNI"
TUNED, COMBINED, AS_PUBLISHED = "published, tuned", "TPE over published terms", "published"


@dataclass(frozen=True)
class Trainings:
    """Trains in an open context; what its store holds is not trained again."""

    context: RunContext
    store: Store
    evaluations: EvaluationService

    @property
    def grammar(self) -> PrimitiveSet:
        """The primitives that formulas are written in."""
        return self.context.task.primitive_set

    @property
    def seed(self) -> int:
        """That of a search's trainings."""
        return self.context.config.baseline_seeds[0]

    @property
    def short(self) -> int:
        """The steps of a search's trainings."""
        return self.context.config.proxy.iterations

    def scores(
        self, phase: str, distillers: Sequence[Distiller], length: int, seeds: Sequence[int], *, test: bool = False
    ) -> list[list[Score]]:
        """Return by distiller the score on every seed.

        Args:
            phase: for whoever watches.
            distillers: with or without scales.
            length: steps.
            seeds: of everyone's trainings.
            test: whether the test split is scored too.
        """
        trials = [[Trial(one.text, length, seed, test=test) for seed in seeds] for one in distillers]
        asked = {
            trial: Question(trial, one, "proof") for one, row in zip(distillers, trials, strict=True) for trial in row
        }
        answers = dict(zip(asked, self.evaluations.scores(phase, list(asked.values())), strict=True))
        return [[answers[trial] for trial in row] for row in trials]

    def read(self, text: str) -> Distiller:
        """Read a distiller; a tree without a number before it has its scale measured."""
        return parse_distiller(text, self.grammar, bare=None)


@contextmanager
def trainings_in(config: ExperimentConfig, folder: Path) -> Iterator[Trainings]:
    """Open a folder of trainings of a pair under any published loss, its teacher and students alone trained."""
    values = {
        **config.model_dump(),
        "primitive_set": EVERYTHING,
        "verdict": {"rivals": {}, "seeds": config.verdict.seeds},
        "search": {**config.search.model_dump(), "warm_start": ()},
    }
    config = ExperimentConfig.model_validate(values)
    context = RunContext.prepared(config, gather(config), folder, Aloud())
    interrupt = Interrupt(config.execution.grace_seconds)
    with interrupt.handling_signals(), context.open(interrupt) as (store, evaluations):
        context.train_baselines(store, evaluations)
        yield Trainings(context, store, evaluations)


@dataclass(frozen=True)
class Rivals:
    """Makes the rivals of a pair.

    Attributes:
        trainings: trains them.
        count: trainings that each sort gets.
    """

    trainings: Trainings
    count: int

    def by_sort(self) -> dict[str, list[Distiller]]:
        """Return the rivals of each sort, the best first by one training each."""
        return {TUNED: self._tuned(), COMBINED: self._combined(), AS_PUBLISHED: self._as_published()}

    @cached_property
    def from_the_zoo(self) -> list[Distiller]:
        """The zoo's distillers for the pair, at their papers' weights; one of those that differ in numbers alone."""
        grammar, pair = self.trainings.grammar, self.trainings.context.task.pair
        found: dict[str, Distiller] = {}
        for entry in load_zoo(self.trainings.context.config.zoo).values():
            if not reason_against(entry, grammar, pair):
                found.setdefault(re.sub(r"\b\d[\d.e-]*", "", entry.formula), parse_distiller(entry.formula, grammar))
        return list(found.values())

    @cached_property
    def published(self) -> list[Distiller]:
        """The zoo's distillers, and plain losses that have no published weight."""
        known = {d.name for d in self.trainings.grammar.inputs}
        plain = [text for text in OTHERS.values() if set(re.findall(r"class_logits|box\w*", text)) <= known]
        return [*self.from_the_zoo, *map(self.trainings.read, plain)]

    def _tuned(self) -> list[Distiller]:
        """Tune each published loss by its part of the trainings, three at least."""
        ours = self.trainings
        weights = WeightRange(*ours.context.config.search.weight_range)
        tuning = RivalTuning(
            ours.grammar, weights, ours.evaluations, lambda text: Trial(text, ours.short, ours.seed), {}, print
        )
        texts = {f"published {place}": one.text for place, one in enumerate(self.published)}
        found = tuning.rivals(texts, max(3, self.count // max(1, len(texts))))
        return [ours.read(one.text) for rival in found if (one := rival.tuned or rival.given) is not None]

    def _as_published(self) -> list[Distiller]:
        scores = self.trainings.scores("as published", self.from_the_zoo, self.trainings.short, [self.trainings.seed])
        ranked = sorted(zip(self.from_the_zoo, scores, strict=True), key=lambda one: -(one[1][0].ap or 0.0))
        return [one for one, _ in ranked]

    def _combined(self) -> list[Distiller]:
        """Let TPE choose a published term of each knowledge, or none, and its weight; as many at once as workers."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        terms: dict[str, dict[str, Term]] = {}
        for term in (term for one in self.published for term in one.terms):
            terms.setdefault(term.knowledge, {}).setdefault(term.formula, term)
        sampler = optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        known: dict[str, tuple[Distiller, float]] = {}
        left = self.count
        while left > 0:
            trials = [study.ask() for _ in range(min(left, max(1, self.trainings.context.config.execution.workers)))]
            made = [self._suggested(trial, terms) for trial in trials]
            scores = self.trainings.scores("TPE", made, self.trainings.short, [self.trainings.seed])
            for trial, one, (score,) in zip(trials, made, scores, strict=True):
                study.tell(trial, score.ap or 0.0)
                known[one.text] = one, score.ap or 0.0
            left -= len(trials)
        return [one for one, _ in sorted(known.values(), key=lambda found: -found[1]) if one.terms]

    def _suggested(self, trial: optuna.Trial, terms: Mapping[str, Mapping[str, Term]]) -> Distiller:
        low, high = self.trainings.context.config.search.weight_range
        chosen = []
        for knowledge, known in terms.items():
            formula = trial.suggest_categorical(knowledge, ["", *known])
            if formula:
                weight = rounded(trial.suggest_float(f"{knowledge}/{formula}", low, high, log=True))
                chosen.append(replace(known[formula], weight=weight, scale=None))
        return make_distiller(chosen, self.trainings.grammar) if chosen else Distiller()


def trees_of(distiller: Distiller) -> tuple[str, ...]:
    """Return what distillers of one loss at several weights have in common."""
    return tuple(sorted(term.formula for term in distiller.terms))
