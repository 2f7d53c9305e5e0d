"""Pairs of a student and a teacher: checked before anything is trained, their outputs paired in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import nn

from detkds_gp.errors import DetectorError, nearest

from .parts import AbsentError
from .scene import Scene
from .sides import look
from .sources import Outputs, Pairs, Shared, Step, knowledge_names, share
from .sources.registry import import_sources, registering_modules

INHERITED = ("neck", "bbox_head", "rpn_head", "roi_head")
CLASSLESS = ("neck", "rpn_head")
"""Parts that know no classes: all that is inherited where the classes differ."""


@dataclass(frozen=True)
class Pair:
    """What a student can learn from a teacher.

    Attributes:
        classes: the names of the student's and of the teacher's classes; None where they were not given.
        shared: the knowledge both have.
        refused: for every other knowledge, why not.
        teacher_numbers: for each output of the teacher, how many numbers it has an image.
    """

    classes: tuple[tuple[str, ...] | None, tuple[str, ...] | None]
    shared: Mapping[str, Shared]
    refused: Mapping[str, str]
    teacher_numbers: Mapping[str, int]

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (registering_modules(), *(getattr(self, field.name) for field in fields(self)))

    def student_outputs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the student's outputs that some knowledge needs; what is not shared needs none."""
        return _united(self.shared[name].student_outputs for name in names if name in self.shared)

    def teacher_outputs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the teacher's outputs that some knowledge needs."""
        return _united(self.shared[name].teacher_outputs for name in names if name in self.shared)

    def sizes(self, name: str) -> list[tuple[int, ...]]:
        """Return the shape of one side's tensor at every level of a shared knowledge, for one image.

        (1, C, H, W) of maps, in the teacher's channels; (M, D) of rows.
        """
        return [shape if len(shape) == 2 else (1, *shape) for shape in self.shared[name].teacher]

    def runs_teacher(self, names: Iterable[str]) -> bool:
        """Return whether some knowledge runs a part of the teacher at every step."""
        return any(self.shared[name].runs_teacher for name in names if name in self.shared)


def _unpickled(modules: Sequence[str], *values: Any) -> Pair:
    """Make the pair in another process, where its sources are registered first."""
    import_sources(modules)
    return Pair(*values)


def _united(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part))


def check_pair(
    student: BaseDetector,
    teacher: BaseDetector,
    image_size: tuple[int, int],
    classes: tuple[Sequence[str], Sequence[str]] | None = None,
    names: Sequence[str] | None = None,
) -> Pair:
    """Run both detectors once on an empty image and say what they share.

    Neither is changed: train flags, batch-norm statistics and torch's generators are as before.

    Args:
        student: the detector that learns.
        teacher: the detector that knows.
        image_size: (height, width) of the padded images, in pixels.
        classes: the class names of both, by which their columns are matched.
        names: the knowledge to look for: of `knowledge_names()`, or the path of a module of both; None: all that
            has a name.

    Raises:
        DetectorError: they cannot take such an image, a name is neither a knowledge nor a module, or they share
            nothing.
    """
    ours, theirs = classes or (None, None)
    known = knowledge_names()
    names = known if names is None else names
    paths = [name for name in names if name not in known]
    sides = (
        look(student, "the student", image_size, paths, ours),
        look(teacher, "the teacher", image_size, paths, theirs),
    )
    shared: dict[str, Shared] = {}
    refused: dict[str, str] = {}
    for name in dict.fromkeys(["global", *names]):
        try:
            shared[name] = share(name, *sides)
        except AbsentError as reason:
            refused[name] = str(reason)
    modules = [path for path, _ in student.named_modules() if path]
    for path in paths:
        if path in refused and path not in modules:  # misspelt
            close = nearest(path, [*known, *modules])
            raise DetectorError(f"{path!r} is neither a knowledge nor a module of the student{close}")
    if not shared:
        raise DetectorError(
            f"student and teacher share no knowledge: {'; '.join(dict.fromkeys(refused.values()))}; "
            "choose a teacher with the student's pyramid or head"
        )
    numbers = {name: sum(level.numel() for level in levels) for name, levels in sides[1].outputs.items() if levels}
    return Pair((sides[0].classes, sides[1].classes), shared, refused, numbers)


class Pairing(nn.Module):
    """Pairs the outputs of student and teacher on a batch; holds the adapters, which are trained with the student.

    Args:
        pair: from `check_pair`.
        names: the knowledge wanted; what is not shared is left out.
        generator: draws the adapters' weights (variance 1 / C of the student); torch's own generator is left
            alone.

    Attributes:
        adapters: by knowledge name, one module a level; knowledge whose channels agree has no entry.
        student_outputs: names of the student's outputs that are needed.
        teacher_outputs: names of the teacher's outputs that are needed.
        runs_teacher: whether a part of the teacher runs at every step.
    """

    def __init__(self, pair: Pair, names: Sequence[str], generator: torch.Generator) -> None:
        super().__init__()
        self.pair = pair
        self.names = [name for name in names if name in pair.shared]
        self.student_outputs, self.teacher_outputs = pair.student_outputs(self.names), pair.teacher_outputs(self.names)
        self.runs_teacher = pair.runs_teacher(self.names)
        self.adapters = nn.ModuleDict()
        adapted = {name for wanted in self.names for name in pair.shared[wanted].adapts}
        for name, shared in pair.shared.items():
            channels = shared.channels() if name in adapted else None
            if channels:
                self.adapters[name.replace(".", "/")] = nn.ModuleList([_pointwise(*c, generator) for c in channels])

    def forward(
        self, student: Outputs, teacher: Outputs, scene: Scene, detector: BaseDetector | None = None
    ) -> dict[str, Pairs]:
        """Return (student, teacher) of every level by knowledge name.

        Args:
            student: its outputs, `student_outputs`.
            teacher: its outputs, `teacher_outputs`.
            scene: the objects of the batch.
            detector: the teacher, where `runs_teacher`.

        Raises:
            ValueError: the teacher runs at every step and is not given.
        """
        step = Step(student, teacher, scene, self.pair.shared, self.adapters, detector)
        return {name: self.pair.shared[name].pairs(step) for name in self.names}


def _pointwise(inward: int, outward: int, generator: torch.Generator) -> nn.Module:
    if inward == outward:
        return nn.Identity()
    layer = nn.utils.skip_init(nn.Conv2d, inward, outward, kernel_size=1)
    bound = (3 / inward) ** 0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


def inheritable(student: nn.Module, teacher: nn.Module, pair: Pair) -> dict[str, tuple[list[str], int]]:
    """Say for each part of the student which of its tensors the teacher can give it, and how many it has in all.

    A tensor is inherited if the teacher has one of the same name and shape; where the classes differ, heads that know
    classes are left out.
    """
    theirs = {key: value.shape for key, value in teacher.state_dict().items()}
    found: dict[str, tuple[list[str], int]] = {}
    for part in INHERITED if pair.classes[0] == pair.classes[1] else CLASSLESS:
        own = {key: value.shape for key, value in student.state_dict().items() if key.startswith(f"{part}.")}
        if own:
            found[part] = ([key for key, shape in own.items() if theirs.get(key) == shape], len(own))
    return found


def inherit(student: nn.Module, teacher: nn.Module, pair: Pair) -> None:
    """Give the student, in place, its teacher's neck and head: what `inheritable` names (DetKDS; FGD, CVPR 2022)."""
    ours, theirs = student.state_dict(), teacher.state_dict()
    with torch.no_grad():
        for keys, _ in inheritable(student, teacher, pair).values():
            for key in keys:
                ours[key].copy_(theirs[key])
