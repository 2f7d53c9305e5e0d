"""What a proxy training is asked and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAILURES = ("nonfinite", "diverged", "out_of_memory", "timeout", "shape", "worker_lost", "rejected")
STOPPED_ON_RUNG = "rejected:rung"
"""The failure of a candidate that is not among the best of a shorter training."""

NOT_BEGUN = "rejected:budget"
"""The failure of a candidate for whose training the budget left no time."""

MIX = "mix"
"""The niche of candidates that combine knowledges; every other niche is a knowledge."""


@dataclass(frozen=True)
class Trial:
    """One proxy training asked for.

    Attributes:
        distiller: the distiller's canonical text; ``none`` is the student without distillation.
        iterations: training steps (the rung).
        seed: fixes initial student, batches, augmentation.
        test: whether the trained student is scored on the test split too (the verdict only).
    """

    distiller: str
    iterations: int
    seed: int
    test: bool = False


TEACHER = Trial("teacher", 0, 0, test=True)
"""The question whose answer is the teacher's own AP."""


@dataclass(frozen=True)
class Details:
    """What a training of the final round tells besides its AP.

    Attributes:
        metrics: on the test split, AP by name (``ap50``, ``ap75``, ``small``, ``medium``, ``large``) in [0, 1]; None
            where there are no such objects.
        classes: the AP of each class on the test split; None of one without objects.
        losses: (steps, the student's own loss, the distillation loss), each the mean over the steps since the row
            before; empty for a teacher.
        curve: (steps, AP on the selection split), the whole training last; empty where it was not looked at on the way.
        found: on each of the test images that are shown, the most confident detections, as many as there are objects:
            (x1, y1, x2, y2, score, class), pixels of the image; empty where none are kept.
    """

    metrics: Mapping[str, float | None] = field(default_factory=dict)
    classes: Mapping[str, float | None] = field(default_factory=dict)
    losses: tuple[tuple[int, float, float], ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    found: tuple[tuple[tuple[float, ...], ...], ...] = ()

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Details:
        """Return what was made plain JSON values of by ``vars``."""
        rows = {name: tuple(tuple(row) for row in told[name]) for name in ("losses", "curve")}
        found = tuple(tuple(tuple(box) for box in boxes) for boxes in told["found"])
        return cls(told["metrics"], told["classes"], rows["losses"], rows["curve"], found)


class _Answer:
    """What a question was answered: a value, or a failure that has a name."""

    failure: str | None

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return self.failure is None


@dataclass(frozen=True)
class Score(_Answer):
    """An AP or a named failure, with its cost.

    Attributes:
        ap: COCO AP (0.50:0.95) on the selection split in [0, 1]; None exactly when ``failure`` is set.
        test_ap: the same on the test split, if the trial asked for it.
        failure: one of FAILURES, ``rejected`` as ``rejected:<check>``; None for a success.
        detail: the failure in words.
        wall_seconds: what it cost.
        details: of a success whose trial asked for the test split; the store gives scores without them.
    """

    ap: float | None
    test_ap: float | None = None
    failure: str | None = None
    detail: str = ""
    wall_seconds: float = 0.0
    details: Details | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.ap is None) == (self.failure is None):
            raise ValueError(f"a Score has an AP or a failure: got ap={self.ap}, failure={self.failure}")
        for ap in (self.ap, self.test_ap):
            if ap is not None and not 0 <= ap <= 1:
                raise ValueError(f"an AP lies in [0, 1], got {ap}")
        if self.failure is not None and self.failure.split(":")[0] not in FAILURES:
            raise ValueError(f"unknown failure {self.failure!r}; known: {', '.join(FAILURES)}")

    @classmethod
    def failed(cls, failure: str, detail: str = "", wall_seconds: float = 0.0) -> Score:
        """Make the score of a trial that gave no AP."""
        return cls(None, None, failure, detail, wall_seconds)


@dataclass(frozen=True)
class Scale(_Answer):
    """The calibrated factor of one tree, or why there is none; failure, detail and cost are told as of a `Score`.

    Attributes:
        value: positive, 3 significant digits; None exactly when ``failure`` is set.
    """

    value: float | None
    failure: str | None = None
    detail: str = ""
    wall_seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            raise ValueError(f"a Scale has a value or a failure: got value={self.value}, failure={self.failure}")


@dataclass(frozen=True)
class Pace:
    """What trainings cost here and now, in seconds of a worker beside which the others are at work too.

    Attributes:
        step: a training step of the student alone.
        distilled: a step with a distiller.
        selection: scoring a student on the selection split.
        test: scoring it on the test split.
        teacher: training, scoring and asking the teacher, as far as that is still to be done.
        overhead: what a candidate costs besides its training: screening and calibration.
    """

    step: float
    distilled: float
    selection: float
    test: float
    teacher: float
    overhead: float


@dataclass(frozen=True)
class Screening(_Answer):
    """What is said of one tree before it is trained; failure, detail and cost are told as of a `Score`.

    Attributes:
        fingerprint: of the loss, by which the same loss is known again; empty where trees are told apart by their
            text alone.
    """

    failure: str | None = None
    detail: str = ""
    fingerprint: str = ""
    wall_seconds: float = 0.0
