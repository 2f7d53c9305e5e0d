"""Budgets: how much a run may spend, as it is given and in words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from detkds_gp.errors import ConfigError
from detkds_gp.results import Clock
from detkds_gp.score import TEACHER
from detkds_gp.store import Store

Kind = Literal["evaluations", "wall", "gpu"]

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_WALL = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_GPU = re.compile(r"(\d+(?:\.\d+)?)\s*gpu-?\s?h(?:ours?)?")
_COUNT = re.compile(r"(\d+)(?:\s*evaluations?)?")


@dataclass(frozen=True)
class Budget:
    """An amount of trainings of students, seconds on the clock or seconds of a GPU that a run may spend; as given."""

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
        return duration(amount) + (" of GPU" if self.kind == "gpu" else "")

    def option(self, amount: float) -> str:
        """Return an amount of this kind as ``--budget`` takes it, rounded up."""
        if self.kind == "evaluations":
            return f"{math.ceil(amount)}"
        if self.kind == "gpu":
            return f"{math.ceil(amount / 36) / 100:g}gpuh"
        return f"{math.ceil(amount)}s" if amount < 120 else f"{math.ceil(amount / 60)}m"


UNLIMITED = Budget("wall", math.inf, "none")
"""The budget of a run without one."""


def duration(seconds: float) -> str:
    """Return seconds in words."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def spent(store: Store, kind: Kind, share: float) -> float:
    """Return what a run has spent, over all sessions, in the unit of a budget; workers hold a share of a GPU each."""
    if kind == "evaluations":
        return float(store.costs().trainings)
    if kind == "gpu":
        teacher = store.score(TEACHER)
        return (store.costs().wall_seconds + (teacher.wall_seconds if teacher else 0.0)) * share
    return Clock(store).seconds()
