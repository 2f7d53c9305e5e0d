"""What a student and a teacher share: decided once for a pair, made anew for every batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from ..scene import Scene

Outputs = dict[str, list[Tensor]]
"""The outputs of one detector on one batch, float32, by name and pyramid level (or stage, or call)."""

Shape = tuple[int, ...]
Pairs = list[tuple[Tensor, Tensor]]
"""(student, teacher) of every level; a field stands on both sides."""

T = TypeVar("T")


@dataclass(frozen=True)
class Level:
    """Two levels of one stride (input pixels between two locations), by their index among the levels of each side."""

    stride: int
    student: int
    teacher: int


@dataclass(frozen=True)
class Shared(ABC):
    """One knowledge that both detectors have.

    Attributes:
        student: for each level the shape on one image: (C, H, W) of maps, (M, K) of rows.
        teacher: the same of the teacher; it differs in C at most.
        levels: what is compared with what; empty where there are no strides (regions).
        notes: what was left out or brought together, in words.
    """

    student: tuple[Shape, ...]
    teacher: tuple[Shape, ...]
    levels: tuple[Level, ...] = ()
    notes: tuple[str, ...] = ()

    student_outputs: ClassVar[tuple[str, ...]] = ()
    """Outputs of the student that are needed."""
    teacher_outputs: ClassVar[tuple[str, ...]] = ()
    """Outputs of the teacher that are needed; they follow from the image alone, and may be kept."""
    adapts: ClassVar[tuple[str, ...]] = ()
    """Knowledge whose channels it needs brought to the teacher's."""
    runs_teacher: ClassVar[bool] = False
    """Whether a part of the teacher runs at every step, because what it computes depends on the student."""

    @abstractmethod
    def pairs(self, step: Step) -> Pairs:
        """Make the tensors of a batch, level by level."""

    def both(self, step: Step, output: str) -> Pairs:
        """Return an output of both sides, level by level."""
        ours, theirs = step.student[output], step.teacher[output]
        return [(ours[level.student], theirs[level.teacher]) for level in self.levels]

    def channels(self) -> list[tuple[int, int]] | None:
        """Return (student, teacher) channels of every level of maps where an adapter is needed, else None."""
        if len(self.student[0]) != 3 or all(s[0] == t[0] for s, t in zip(self.student, self.teacher, strict=True)):
            return None
        return [(s[0], t[0]) for s, t in zip(self.student, self.teacher, strict=True)]


@dataclass
class Step:
    """Both detectors' outputs on one batch; what several knowledges need is made once.

    Attributes:
        shared: the pair's knowledge by name.
        adapters: by knowledge name, one module a level.
        detector: the teacher, where a part of it runs at every step.
    """

    student: Outputs
    teacher: Outputs
    scene: Scene
    shared: Mapping[str, Shared]
    adapters: nn.ModuleDict
    detector: BaseDetector | None = None
    _made: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return what ``make`` gave when it was first called under this key."""
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    def running_teacher(self) -> BaseDetector:
        """Return the teacher; raises ValueError if there is none."""
        if self.detector is None:
            raise ValueError("got no teacher, but this knowledge runs it at every step; give DistilledDetector one")
        return self.detector

    def adapted(self, name: str, pairs: Pairs) -> Pairs:
        """Bring the student's side to the teacher's channels; what has no adapter passes through."""
        key = name.replace(".", "/")  # a module dict takes no dots
        if key not in self.adapters:
            return pairs
        layers = cast("nn.ModuleList", self.adapters[key])
        return [(layer(s), t) for layer, (s, t) in zip(layers, pairs, strict=True)]
