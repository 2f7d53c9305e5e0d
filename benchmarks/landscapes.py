"""Synthetic landscapes: what a distiller gains, as a function of its text, shaped like measured gains.

Every formula has a direction (what its gradient is to a real student), composed node by node from its tree. A smooth
random function of the direction says how much the formula gains at its best weight, another one where that weight
lies. Gains of several knowledges saturate, weights far above the best one hurt. A seed adds noise.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from random import Random

import numpy as np
from deap import gp

from detkds_gp.language import Distiller, PrimitiveSet, Term
from detkds_gp.language.tree import is_constant
from detkds_gp.screening import DIRECTION, Finding
from detkds_gp.search import SearchSettings
from detkds_gp.search.divide import random_formulas

WIDTH = 24
"""Of a direction."""

HALVED = 0.5
"""What is left of a gain for each larger one beside it."""

ALONE = 0.3
"""AP of the student without distillation."""

_WAVES = 200
_SAMPLE = 250


@dataclass(frozen=True)
class Shape:
    """How a landscape looks.

    Attributes:
        smoothness: length scale of the random functions on directions of length 1.
        peak: mean gain of a formula at its best weight.
        spread: standard deviation of that.
        oddness: share of the spread's variance that no direction explains.
        blur: how far what is told of a direction is from it.
    """

    smoothness: float = 0.7
    peak: float = 0.012
    spread: float = 0.010
    oddness: float = 0.3
    blur: float = 0.2


@dataclass
class Landscape:
    """The gains of all distillers of a grammar.

    Attributes:
        primitive_set: the grammar.
        seed: of everything random.
        noise: standard deviation of a score over seeds.
        shape: how it looks.
    """

    primitive_set: PrimitiveSet
    seed: int
    noise: float = 0.01
    shape: Shape = field(default_factory=Shape)
    _known: dict[str, tuple[np.ndarray, float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self._names: dict[str, np.ndarray] = {}
        self._waves = rng.standard_normal((2, _WAVES, WIDTH)) / self.shape.smoothness
        self._phases = rng.uniform(0, 2 * math.pi, (2, _WAVES))
        # dense features want weights far above those of class logits and boxes
        self._usual = {niche: rng.uniform(-0.5, 2.5) for niche in self.primitive_set.niches}
        self._bonus = {niche: rng.normal(0, 0.5) for niche in self.primitive_set.niches}

    def score(self, distiller: Distiller, seed: int = 0) -> float:
        """Return the AP of one training: the true one and the luck of a seed."""
        return min(max(self.true(distiller) + self.noise * self._luck(f"{distiller.text}/{seed}"), 0.0), 1.0)

    def true(self, distiller: Distiller) -> float:
        """Return the AP without luck."""
        return ALONE + self.gain(distiller)

    def gain(self, distiller: Distiller) -> float:
        """Return what a distiller gains over the student alone."""
        gains = sorted((self._gain(term) for term in distiller.terms), reverse=True)
        return sum(gain * HALVED**place if gain > 0 else gain for place, gain in enumerate(gains))

    def findings(self, formulas: Sequence[str]) -> list[Finding]:
        """Return what screening tells of formulas: a blurred direction."""
        from detkds_gp.language import parse_distiller

        terms = [parse_distiller(formula, self.primitive_set).terms[0] for formula in formulas]
        return [Finding(direction=tuple(np.pad(self.described(term), (0, DIRECTION - WIDTH)))) for term in terms]

    def described(self, term: Term) -> np.ndarray:
        """Return the direction of a formula as it is told."""
        off = self._vector(f"blur/{term.formula}")
        return _unit(self._about(term)[0] + self.shape.blur * off)

    def _gain(self, term: Term) -> float:
        _, peak, best = self._about(term)
        off = math.log10(term.weight) - best
        harm = 0.01 * max(off - 1.0, 0.0)
        return peak * math.exp(-0.5 * (off / 1.0) ** 2) - harm

    def _about(self, term: Term) -> tuple[np.ndarray, float, float]:
        """Return direction, gain at the best weight, and that weight's logarithm."""
        if term.formula not in self._known:
            direction = self._direction(term.tree)
            odd = self._luck(f"odd/{term.formula}")
            worth = (self._wave(0, direction) - self._centre[0]) / self._centre[1] + self._bonus[term.knowledge]
            worth = math.sqrt(1 - self.shape.oddness) * worth + math.sqrt(self.shape.oddness) * odd
            best = self._usual[term.knowledge] + 0.4 * self._wave(1, direction)
            self._known[term.formula] = direction, self.shape.peak + self.shape.spread * worth, best
        return self._known[term.formula]

    @cached_property
    def _centre(self) -> tuple[float, float]:
        """Mean and spread of the random function over formulas as they grow."""
        drawn = random_formulas(self.primitive_set, SearchSettings(), Random(self.seed))
        waves = [self._wave(0, self._direction(one.terms[0].tree)) for one in islice(drawn, _SAMPLE) if one]
        return float(np.mean(waves)), float(np.std(waves))

    def _wave(self, which: int, direction: np.ndarray) -> float:
        phases = self._waves[which] @ direction + self._phases[which]
        return float(math.sqrt(2 / _WAVES) * np.cos(phases).sum())

    def _direction(self, tree: gp.PrimitiveTree) -> np.ndarray:
        """Compose the direction of a tree from its nodes, the last first."""
        stack: list[np.ndarray] = []
        for node in reversed(tree):
            children = [stack.pop() for _ in range(node.arity)]
            if is_constant(node):
                stack.append(0.3 * math.log1p(abs(node.value)) * self._vector("constant"))
            elif not children:
                stack.append(_unit(self._vector(node.name)))
            else:
                stack.append(
                    _unit(
                        np.mean(children, axis=0)
                        + self._vector(f"strength/{node.name}")[0] * 0.5 * _unit(self._vector(node.name))
                        + 0.15 * children[0] * self._vector(f"gate/{node.name}")
                    )
                )
        return _unit(stack[0])

    def _vector(self, name: str) -> np.ndarray:
        if name not in self._names:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            self._names[name] = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(WIDTH)
        return self._names[name]

    def _luck(self, name: str) -> float:
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return float(np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal())


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
