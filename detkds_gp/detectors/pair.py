"""Checks a student and a teacher against each other before anything is trained, and pairs what they say in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import nn

from detkds_gp.errors import DetectorError, nearest

from .knowledge import Knowledge
from .parts import AbsentError
from .scene import Scene
from .shared import OFFERS, Pairs, Shared, SharedMaps, Step, share_maps
from .sides import look


@dataclass(frozen=True)
class Pair:
    """What a student can learn from a teacher.

    Attributes:
        classes: the names of the student's and of the teacher's classes; None where they were not given.
        shared: the knowledge both offer.
        refused: for every other knowledge, why not.
        said: for each statement of the teacher, how many numbers it has an image.
    """

    classes: tuple[tuple[str, ...] | None, tuple[str, ...] | None]
    shared: Mapping[str, Shared]
    refused: Mapping[str, str]
    said: Mapping[str, int]

    def heard(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the student's statements that some knowledge needs; what is not shared needs none."""
        return _united(self.shared[name].heard for name in names if name in self.shared)

    def kept(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the teacher's statements that some knowledge needs."""
        return _united(self.shared[name].kept for name in names if name in self.shared)

    def sizes(self, name: str) -> list[tuple[int, ...]]:
        """Return the shape of one side's tensor at every level of a shared knowledge, for one image.

        (1, C, H, W) of maps, in the teacher's channels; (M, D) of rows.
        """
        return [shape if len(shape) == 2 else (1, *shape) for shape in self.shared[name].teacher]

    def live(self, names: Iterable[str]) -> bool:
        """Return whether some knowledge asks the teacher itself at every step."""
        return any(self.shared[name].live for name in names if name in self.shared)


def _united(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part))


def check_pair(
    student: BaseDetector,
    teacher: BaseDetector,
    image_size: tuple[int, int],
    classes: tuple[Sequence[str], Sequence[str]] | None = None,
    names: Sequence[str] = tuple(OFFERS),
) -> Pair:
    """Run both detectors once on an empty image and say what they share.

    Neither is changed: train flags, batch-norm statistics and torch's generators are as before.

    Args:
        student: the detector that learns.
        teacher: the detector that knows.
        image_size: (height, width) of the padded images, in pixels.
        classes: the class names of both, by which their columns are matched.
        names: the knowledge to look for: of `OFFERS`, or the path of a module of both.

    Raises:
        DetectorError: they cannot take such an image, a name is neither a knowledge nor a module, or they share
            nothing.
    """
    ours, theirs = classes or (None, None)
    paths = [name for name in names if name not in OFFERS]
    sides = (
        look(student, "the student", image_size, paths, ours),
        look(teacher, "the teacher", image_size, paths, theirs),
    )
    shared: dict[str, Shared] = {}
    refused: dict[str, str] = {}
    for name in dict.fromkeys(["global", *names]):
        try:
            shared[name] = OFFERS.get(name, partial(share_maps, name=name))(*sides)
        except AbsentError as reason:
            refused[name] = str(reason)
    _check_paths(paths, student, refused)
    if not shared:
        raise DetectorError(
            f"student and teacher share no knowledge: {'; '.join(dict.fromkeys(refused.values()))}; "
            "choose a teacher with the student's pyramid or head"
        )
    said = {name: sum(level[0].numel() for level in levels) for name, levels in sides[1].knowledge.items() if levels}
    return Pair((sides[0].classes, sides[1].classes), shared, refused, said)


def _check_paths(paths: Sequence[str], student: BaseDetector, refused: Mapping[str, str]) -> None:
    """Refuse a name that is neither a knowledge nor a module of the student: it is misspelt."""
    modules = dict(student.named_modules())
    for path in paths:
        if path in refused and path not in modules:
            known = [*OFFERS, *(m for m in modules if m)]
            raise DetectorError(f"{path!r} is neither a knowledge nor a module of the student{nearest(path, known)}")


class Pairing(nn.Module):
    """Pairs what student and teacher say of a batch; holds the adapters, which are trained with the student.

    Args:
        pair: from `check_pair`.
        names: the knowledge wanted; what is not shared is left out.
        generator: draws the adapters' weights (variance 1 / C of the student); torch's own generator is left
            alone.

    Attributes:
        adapters: by knowledge name, one module a level; knowledge whose channels agree has no entry.
        heard: statements of the student that are needed.
        kept: statements of the teacher that are needed.
        live: whether the teacher itself is asked at every step.
    """

    def __init__(self, pair: Pair, names: Sequence[str], generator: torch.Generator) -> None:
        super().__init__()
        self.pair = pair
        self.names = [name for name in names if name in pair.shared]
        self.heard, self.kept, self.live = pair.heard(self.names), pair.kept(self.names), pair.live(self.names)
        self.adapters = nn.ModuleDict()
        adapted = {name for wanted in self.names for name in pair.shared[wanted].adapts}
        for name, shared in pair.shared.items():
            channels = shared.channels() if isinstance(shared, SharedMaps) and name in adapted else None
            if channels:
                self.adapters[name.replace(".", "/")] = nn.ModuleList([_pointwise(*c, generator) for c in channels])

    def forward(
        self, student: Knowledge, teacher: Knowledge, scene: Scene, live: BaseDetector | None = None
    ) -> dict[str, Pairs]:
        """Return (student, teacher) of every level by knowledge name.

        Args:
            student: its statements, `heard`.
            teacher: its statements, `kept`.
            scene: the objects of the batch.
            live: the teacher, where `live` says that it is asked.

        Raises:
            ValueError: the teacher is asked and not given.
        """
        step = Step(student, teacher, scene, self.pair.shared, self.adapters, live)
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
