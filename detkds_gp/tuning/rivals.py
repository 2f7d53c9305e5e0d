"""Rivals at their best: each at the weight it came with, and at the one that a few trainings find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from detkds_gp.errors import ConfigError
from detkds_gp.evaluation import UNLIMITED, Allowance, EvaluationService
from detkds_gp.final_round import Rival
from detkds_gp.language import PrimitiveSet, parse_distiller
from detkds_gp.naming import is_formula
from detkds_gp.results import Finalist
from detkds_gp.score import NOT_BEGUN, Trial
from detkds_gp.search import WeightRange, cell
from detkds_gp.tuning.curve import Curve
from detkds_gp.tuning.proportions import Proportions
from detkds_gp.tuning.tuner import LEAST_TRAININGS, Aps, Tuner, tuned_aps


@dataclass(frozen=True)
class RivalTuning:
    """Tunes the rivals of a run.

    Attributes:
        weights: where weights are searched.
        trial: the search's question about a distiller: what it was asked already is not trained again.
        called: what the config called each rival; one with a published name has its paper's weight.
        say: hears of those that cannot be tuned.
        allowance: says whether a training may still begin.
        goes_on: asked before every few trainings; False: there is no time for more.
    """

    primitive_set: PrimitiveSet
    weights: WeightRange
    evaluations: EvaluationService
    trial: Callable[[str], Trial]
    called: Mapping[str, str]
    say: Callable[[str], None]
    allowance: Allowance = UNLIMITED
    goes_on: Callable[[], bool] = lambda: True

    def rivals(self, formulas: Mapping[str, str], trainings: int) -> list[Rival]:
        """Return what the final round may judge of every rival, the best tuned first; with few trainings none is."""
        found = [self._rival(name, text, trainings) for name, text in formulas.items()]
        return sorted(found, key=lambda rival: -rival.expected)

    def _rival(self, name: str, text: str, trainings: int) -> Rival:
        distiller = parse_distiller(text, self.primitive_set)
        try:
            proportions = Proportions.of(distiller, self.evaluations.scales)
        except ConfigError as error:
            self.say(f"{name} is not tuned: {error}")
            return Rival(given=Finalist(text, name, "as given"))
        given = self._given(name, text, proportions)
        if trainings < LEAST_TRAININGS or not self.goes_on():
            return Rival(given)
        aps = self._aps(name, proportions, trainings)
        if not aps:
            return Rival(given)
        if all(ap is None for ap in aps.values()):
            self.say(f"{name} is not tuned: none of its {len(aps)} trainings succeeded")
            return Rival(given)
        curve = Curve(aps)
        (best,) = curve.at([curve.best])
        weighed = f"tuned to {best.weight:g}, {len(aps)} trainings"
        tuned = Finalist(proportions.at(best.weight).text, name, weighed, best.weight)
        if proportions.given is not None and cell(proportions.given) == cell(best.weight):
            both = f"{given.weighed}; {len(aps)} trainings found no better one"
            return Rival(Finalist(given.text, name, both, given.weight), None, best.ap)
        return Rival(None if proportions.given is None else given, tuned, best.ap)

    def _given(self, name: str, text: str, proportions: Proportions) -> Finalist:
        if proportions.given is None:
            return Finalist(text, name, "calibrated, not tuned", 1.0)
        published = not is_formula(self.called.get(name, name))
        return Finalist(text, name, "paper's weight" if published else "as given", proportions.given)

    def _aps(self, name: str, proportions: Proportions, trainings: int) -> Aps:
        """Train at one weight after another, until the allowance ends it; return what was trained."""
        left_out: set[float] = set()

        def score(weights: Sequence[float]) -> list[float | None]:
            asked = proportions.questions(weights, self.trial)
            scores = self.evaluations.scores(f"tuning {name}", asked, self.allowance)
            left_out.update(w for w, one in zip(weights, scores, strict=True) if one.failure == NOT_BEGUN)
            return [one.ap for one in scores]

        tuner = Tuner(self.weights, proportions.starts, trainings)
        aps = tuned_aps(tuner, score, lambda: not left_out and self.goes_on())
        return {weight: ap for weight, ap in aps.items() if weight not in left_out}
