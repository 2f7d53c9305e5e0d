"""Budgets: how much a run may spend, and which generations fit into it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from detkds_gp.errors import ConfigError
from detkds_gp.experiment.rungs import climbers
from detkds_gp.fitness import ProxySettings
from detkds_gp.search import SearchSettings
from detkds_gp.store import Costs, Store, session_seconds

if TYPE_CHECKING:
    from detkds_gp.experiment.steering.decisions import End

Kind = Literal["evaluations", "wall", "gpu"]

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_WALL = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_GPU = re.compile(r"(\d+(?:\.\d+)?)\s*gpu-?\s?h(?:ours?)?")
_COUNT = re.compile(r"(\d+)(?:\s*evaluations?)?")
_CONQUER_SHARE = 1 / 3
DISTILLED = 1.2
"""What a training with distillation may take, against one without."""


@dataclass(frozen=True)
class Budget:
    """An amount that a run may spend.

    Attributes:
        kind: trainings of students, seconds on the clock, or seconds of a GPU.
        amount: how many.
        text: as it was given.
    """

    kind: Kind
    amount: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``200`` (evaluations), ``8h``, ``1h30m``, ``12gpuh``.

        Raises:
            ConfigError: it is none of these, or nothing.
        """
        given = text.strip().lower()
        budget: tuple[Kind, float] | None = None
        if match := _COUNT.fullmatch(given):
            budget = "evaluations", float(match[1])
        elif match := _GPU.fullmatch(given):
            budget = "gpu", 3600 * float(match[1])
        elif _WALL.fullmatch(given):
            budget = "wall", sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"([\d.]+)([dhms])", given))
        if budget is None or not 0 < budget[1] < math.inf:
            raise ConfigError(
                f"budget is {text!r}, wanted evaluations (200), wall time (8h, 1h30m) or GPU hours (12gpuh)"
            )
        return cls(*budget, text)

    def said(self, amount: float) -> str:
        """Return an amount of this kind in words."""
        if self.kind == "evaluations":
            return f"{amount:.0f} evaluations"
        hours = f"{amount / 3600:.1f} h" if amount >= 3600 else f"{amount / 60:.1f} min"
        return hours + (" of GPU" if self.kind == "gpu" else "")


@dataclass(frozen=True)
class Outlook:
    """How many trainings the settings plan.

    A training that climbs rungs counts once for each.

    Attributes:
        search: the search's settings.
        proxy: the proxy's; gives the rungs.
        niches: how many knowledges are searched.
        verdict: the most trainings of formulas that the final round has.
        share: the most of a budget that it may take, with the tuning of its rivals.
        tuning: trainings by which the weights of rivals are tuned before it.
    """

    search: SearchSettings
    proxy: ProxySettings
    niches: int
    verdict: int
    share: float
    tuning: int = 0

    def generation(self, stage: str, number: int) -> int:
        """Return the trainings of a generation, 0 after the last."""
        sizes = self.search.divide if stage == "divide" else self.search.conquer
        if number > sizes.generations:
            return 0
        each = sizes.offspring if number else sizes.population
        return sum(climbers(each, self.proxy)) * (self.niches if stage == "divide" else 1)

    def rest(self, stage: str, number: int) -> int:
        """Return the trainings of a stage after a generation."""
        sizes = self.search.divide if stage == "divide" else self.search.conquer
        return sum(self.generation(stage, n) for n in range(number + 1, sizes.generations + 1))

    def left(self, stage: str, number: int) -> tuple[int, int]:
        """Return the trainings of search and verdict that follow a generation."""
        later = self.rest("conquer", -1) if stage == "divide" else 0
        return self.rest(stage, number) + later, self.verdict


class Meter:
    """Says what of a budget is spent and whether the next generation fits in with what must follow.

    Args:
        budget: None never ends anything.
        outlook: what is planned.
        store: of the run.
        workers: that train side by side.
        gpu_share: GPUs each of them holds.
    """

    def __init__(self, budget: Budget | None, outlook: Outlook, store: Store, workers: int, gpu_share: float) -> None:
        self.budget = budget
        self.outlook = outlook
        self._store = store
        self._workers = workers
        self._share = gpu_share

    def spent(self) -> float:
        """Return what is spent, over all sessions, in the budget's unit (seconds without one)."""
        costs = self._store.costs()
        if self.budget is not None and self.budget.kind == "evaluations":
            return float(costs.trainings)
        if self.budget is not None and self.budget.kind == "gpu":
            return costs.wall_seconds * self._share
        return session_seconds(self._store)

    def ends(self, stage: str, number: int) -> tuple[End | None, str]:
        """Return what the budget ends with a generation, and why.

        The final round is always kept room for; so is the conquer stage, up to a third of the budget.
        """
        if self.budget is None:
            return None, ""
        costs, plan = self._store.costs(), self.outlook
        final = self._price(plan.verdict, costs, verdict=True) + self._price(plan.tuning, costs)
        final = min(final, self.budget.amount * plan.share)
        left = self.budget.amount - self.spent() - final
        following, first = plan.generation(stage, number + 1), plan.generation("conquer", 0)
        reason = f"{self.budget.said(self.spent())} of {self.budget.text} are spent"
        if stage == "divide":
            conquer = min(self._price(plan.rest("conquer", -1), costs), self.budget.amount * _CONQUER_SHARE)
            if following and left >= conquer + self._price(following, costs):
                return None, ""
            if left < self._price(first, costs):
                return "search", reason
            return ("stage", reason) if following else (None, "")
        return ("search", reason) if following and left < self._price(following, costs) else (None, "")

    def affords(self, places: int, seeds: int) -> int:
        """Return how many of some formulas the rest of the budget lets the final round judge, one at least."""
        if self.budget is None:
            return places
        left, costs = self.budget.amount - self.spent(), self._store.costs()
        fitting = (n for n in range(places, 1, -1) if self._price(n * seeds, costs, verdict=True) <= left)
        return next(fitting, 1)

    def affords_tuning(self) -> int:
        """Return how many of the trainings that tune rivals fit into the rest of the budget beside the final round."""
        if self.budget is None:
            return self.outlook.tuning
        costs = self._store.costs()
        left = self.budget.amount - self.spent() - self._price(self.outlook.verdict, costs, verdict=True)
        fitting = (n for n in range(self.outlook.tuning, 0, -1) if self._price(n, costs) <= left)
        return next(fitting, 0)

    def remaining_seconds(self, stage: str, number: int) -> float:
        """Estimate the time from a finished generation to the end of the run, were there no budget."""
        search, verdict = self.outlook.left(stage, number)
        return self.seconds(search + self.outlook.tuning) + self.seconds(verdict, verdict=True)

    def seconds(self, trainings: int, verdict: bool = False) -> float:
        """Estimate the time that trainings take side by side."""
        costs = self._store.costs()
        return self._seconds(trainings, (verdict and costs.verdict) or costs.candidate[0])

    def _price(self, trainings: int, costs: Costs, verdict: bool = False) -> float:
        """Estimate what trainings cost, on the careful side: a spread above the mean."""
        assert self.budget is not None
        each = DISTILLED * max(costs.verdict, costs.candidate[0]) if verdict else sum(costs.candidate)
        if self.budget.kind == "evaluations":
            return float(trainings)
        return trainings * each * self._share if self.budget.kind == "gpu" else self._seconds(trainings, each)

    def _seconds(self, trainings: int, each: float) -> float:
        return math.ceil(max(trainings, 0) / self._workers) * each


def check_budget(budget: Budget | None, outlook: Outlook, alone: int, judging: int) -> None:
    """Refuse a budget in which not even the shortest search fits.

    Args:
        budget: None passes.
        outlook: what is planned.
        alone: trainings of the student without distillation.
        judging: trainings of the shortest final round.

    Raises:
        ConfigError: it counts evaluations and has too few.
    """
    least = alone + outlook.generation("divide", 0) + judging
    if budget is not None and budget.kind == "evaluations" and budget.amount < least:
        first = outlook.generation("divide", 0)
        parts = f"{alone} of the student alone, {first} first formulas, {judging} to judge"
        raise ConfigError(f"budget is {budget.text!r}, wanted {least} evaluations or more ({parts})")
