"""Learning curves: where a detector ends if it is trained on, and what is left to gain by a teacher.

Two shapes that rise and flatten are fitted, ``a - b n^-c`` and ``a - b exp(-n / c)``; the better one says where the
curve ends, and both together how sure that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot, inf

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from detkds_gp.gain import Interval, signed

Points = Sequence[tuple[int, float]]
"""(iterations, AP on the selection split) of one training, rising in iterations."""

FEWEST = 4
"""Points of a curve with three parameters."""
LONGER = 3
"""How many times the steps a climbing student is told what it would gain by."""
WORTH = 0.01
"""AP that is worth being told of: about what seeds do."""
CONFIDENCE = 0.95
LUCK = 0.005
"""AP by which a point is taken to lie off its curve, at least."""
WIDE = 0.5
"""AP: of an interval as wide as this the middle says nothing, and is not told."""
UNKNOWN = "unknown"
"""What stands for a bound that the points do not tell."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class End:
    """Where a learning curve ends.

    Attributes:
        ap: that it rises to, by the better of both shapes.
        low: lower end of its 95% interval.
        high: upper end; 1 where the points do not tell.
        longer: AP that `LONGER` times the steps would bring over the last point, with the least and the most that the
            ends of the interval allow.
    """

    ap: float
    low: float
    high: float
    longer: Interval

    def __str__(self) -> str:
        high = UNKNOWN if self.high >= 1 else f"{self.high:.3f}"
        return f"{self.ap:.3f} [{self.low:.3f}, {high}]"

    @property
    def told(self) -> str:
        """Where it ends, in words: by both bounds alone where they are far apart."""
        if self.high - self.low < WIDE:
            return f"at {self}"
        return f"somewhere above {self.low:.3f}" + (f" and below {self.high:.3f}" if self.high < 1 else "")


@dataclass(frozen=True)
class _Shape:
    """One of the shapes; ``falling`` gives what is left of ``b`` after a share of the last point's iterations."""

    falling: Callable[[Array, float], Array]
    slowest: float
    fastest: float


SHAPES = (
    _Shape(lambda n, c: n**-c, 0.5, 4.0),
    _Shape(lambda n, c: np.exp(-c * n), 0.5, 30.0),
)


def end_of(points: Points) -> End | None:
    """Say where a curve ends; None for fewer than `FEWEST` points.

    The interval holds every end for which the best curve of either shape fits the points not significantly worse (an
    F test on the squared residuals). Points are taken to scatter about the curve independently of each other, by
    `LUCK` at least: a few points may lie on a curve by chance.
    """
    if len(points) < FEWEST:
        return None
    from scipy.optimize import brentq  # takes a second to import, and few runs have a curve

    n, aps = np.array([[float(count), ap] for count, ap in points]).T
    n = n / n[-1]
    error, end, longer = min(_fitted(shape, n, aps) for shape in SHAPES)
    spare = len(aps) - 3
    most = error + max(error / spare, LUCK**2) * float(fdtri(1, spare, CONFIDENCE))

    def best(end: float) -> tuple[float, float, float]:
        return min(_fitted(shape, n, aps, end) for shape in SHAPES)

    def beyond(end: float) -> float:
        return best(end)[0] - most

    low, high = (bound if beyond(bound) <= 0 else float(brentq(beyond, bound, end)) for bound in (0.0, 1.0))
    bounds = [best(bound)[2] for bound in (low, high)]
    return End(end, low, high, Interval(longer, min(longer, *bounds), max(longer, *bounds)))


def prospects(student: Points, teacher: Points, teacher_ap: float | None) -> list[str]:
    """Say in sentences what there is to gain, as far as the curves of the student alone and of the teacher tell.

    A curve is empty where there is none, as of a teacher that the tool did not train.
    """
    alone, theirs = end_of(student), end_of(teacher)
    if alone is None:
        return []
    steps, reached = student[-1]
    said = [
        f"The student alone reaches {reached:.3f} after {steps} steps; trained on, it ends {alone.told} (selection)."
    ]
    if alone.longer.mean >= WORTH:
        longer = f"{LONGER} times the steps bring about {alone.longer} without a teacher"
        said.append(f"Your student is still climbing: {longer}. What leads at this length need not lead there.")
    known = [End(teacher_ap, teacher_ap, teacher_ap, Interval(0.0, 0.0, 0.0))] if teacher_ap is not None else []
    ceiling = max([*known, *([theirs] if theirs is not None else [])], key=lambda end: end.ap, default=None)
    if ceiling is None:
        return said
    trained_on = f"; trained on, it would end {theirs.told}" if theirs is not None and teacher_ap is not None else ""
    if teacher_ap is not None:
        said.append(f"The teacher has {teacher_ap:.3f}{trained_on}.")
    gain = _between(alone, ceiling)
    unsure = "Whether the teacher ends higher than the student cannot be told from so few steps."
    if gain.low <= 0 < gain.high and gain.high - gain.low >= WIDE:
        return [*said, unsure]
    if gain.mean <= 0:
        ends = "ends" if gain.high <= 0 else "seems to end"
        way = f"from student to teacher it is {_bounded(gain)}"
        said.append(f"Your teacher {ends} no higher than your student ({way}): take a larger one, or train it longer.")
        return said
    if gain.low <= 0:
        said.append(unsure)
    said.append(f"At the end there is about {_bounded(gain)} to gain, the way from student to teacher.")
    return said


def _between(low: End, high: End) -> Interval:
    """Return the way from one end to another with its 95% interval, by the distances to both ends' own bounds.

    Zou & Donner (Statistics in Medicine 27, 2008): the errors are taken as independent. Infinite where a bound is
    not known.
    """
    mean = high.ap - low.ap
    down = inf if low.high >= 1 else hypot(high.ap - high.low, low.high - low.ap)
    up = inf if high.high >= 1 else hypot(high.high - high.ap, low.ap - low.low)
    return Interval(mean, mean - down, mean + up)


def _bounded(gain: Interval) -> str:
    low, high = (signed(bound) if abs(bound) < inf else UNKNOWN for bound in (gain.low, gain.high))
    return f"{signed(gain.mean)} [{low}, {high}]"


def _fitted(shape: _Shape, n: Array, aps: Array, end: float | None = None) -> tuple[float, float, float]:
    """Fit a shape, with its end where it has to be or fits best in [0, 1], to (P,) shares of the last step and APs.

    Returns:
        the least squared error, the end, and the AP that `LONGER` times the steps bring over the last point.
    """
    from scipy.optimize import minimize_scalar

    def solved(log: float) -> tuple[float, float, float]:
        falling = shape.falling(n, float(np.exp(log)))
        if end is None:
            spread = falling - falling.mean()
            rise = max(0.0, -float(spread @ aps) / max(float(spread @ spread), 1e-12))
            ends = min(1.0, float(aps.mean() + rise * falling.mean()))
        else:
            rise = max(0.0, float(falling @ (end - aps)) / max(float(falling @ falling), 1e-12))
            ends = end
        return float(((ends - rise * falling - aps) ** 2).sum()), ends, rise

    bounds = (np.log(shape.slowest), np.log(shape.fastest))
    found = minimize_scalar(lambda log: solved(log)[0], bounds=bounds, method="bounded")
    error, ends, rise = solved(found.x)
    now, later = shape.falling(np.array([1.0, float(LONGER)]), float(np.exp(found.x)))
    return error, ends, rise * float(now - later)
