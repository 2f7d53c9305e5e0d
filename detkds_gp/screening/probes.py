"""Small frozen batches of knowledge on which formulas are screened and told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from detkds_gp.language import PrimitiveSet, Probs
from detkds_gp.language.declarations import KindType
from detkds_gp.losses.program import Pair

BATCH, OTHER, ONE = (0, 1), (2, 3, 4), (0,)
POOL = 5
"""Images that the probes are taken from."""

NEAR = 0.1
"""Share of the way from the teacher to the student at which the student is near."""

REACH = 4.0
"""How far beyond the teacher the student stands, in times its own distance, or in numbers if that is more."""

AWAY = 2.0
"""How far away from the teacher the student stands, in times its own distance: where attention begins to underflow."""

SMALL = 0.1
"""What both sides are multiplied by where steep functions shall not saturate."""

POINTS, REAL = 7, (0, 5)
"""How many batches make a fingerprint, and which of them are as the detectors give them."""


@dataclass(frozen=True, eq=False)
class Probe:
    """The knowledge of one batch.

    Attributes:
        knowledge: by input name, (student, teacher) of every level; every tensor wants a gradient but fields.
        leaves: by name, what the student's tensors were made of; their gradients tell losses apart.
        images: of the batch.
    """

    knowledge: dict[str, list[Pair]]
    leaves: dict[str, list[Tensor]]
    images: int

    def changed(self, primitive_set: PrimitiveSet, change: Callable[[Tensor, Tensor, KindType], Pair]) -> Probe:
        """Return the batch with what ``change`` makes of student, teacher and kind on every level; fields stay."""
        kinds = {name: primitive_set.declarations[name].result for name in self.knowledge}
        knowledge = {
            name: [change(s, t, kinds[name]) for s, t in levels] if kinds[name].sided else levels
            for name, levels in self.knowledge.items()
        }
        return replace(self, knowledge=knowledge)

    def moved(self, share: Callable[[Tensor], float], primitive_set: PrimitiveSet) -> Probe:
        """Return the batch with every tensor of the student moved along the line through the teacher's.

        Args:
            share: from (student - teacher) to how much of it is kept: 1 leaves the student where it is.
            primitive_set: whose inputs the knowledge has.
        """

        def change(student: Tensor, teacher: Tensor, kind: KindType) -> Pair:
            gap = student - teacher.detach()
            return _of_kind(teacher.detach() + share(gap) * gap, kind), teacher

        return self.changed(primitive_set, change)

    def small(self, primitive_set: PrimitiveSet) -> Probe:
        """Return the batch with both sides much smaller, so that exponentials and attention do not saturate."""
        return self.changed(
            primitive_set, lambda s, t, kind: (_of_kind(SMALL * s, kind), _of_kind(SMALL * t.detach(), kind))
        )


@dataclass(frozen=True, eq=False)
class Step:
    """The knowledge of images as large as a training's, and what the student does on them without a formula.

    Attributes:
        probe: the knowledge.
        own: how many numbers the student's own loss writes on an image.
    """

    probe: Probe
    own: float


def _of_kind(side: Tensor, kind: KindType) -> Tensor:
    return side.log_softmax(dim=1) if issubclass(kind, Probs) else side


def _beyond(gap: Tensor) -> float:
    """Return the share of a gap that leads beyond the teacher, by more than 1 on average."""
    spread = float(gap.detach().square().mean().sqrt()) if gap.numel() else 0.0
    return -REACH * max(1.0, 1 / spread if spread else 1.0)


@dataclass(frozen=True, eq=False)
class Probes:
    """The batches that checks and fingerprints are taken on.

    Attributes:
        far: a batch as the detectors give it.
        near: the same, the student close to the teacher.
        beyond: the same, the student well beyond the teacher.
        away: the same, the student further from the teacher.
        small: the same, both sides much smaller.
        other: another batch of another size.
        one: the first image of ``far`` alone.
        reordered: ``far`` with its images in another order.
        doubled: ``far`` with every image twice.
        step: a batch of images as large as a training's; None without a student.
    """

    far: Probe
    near: Probe
    beyond: Probe
    away: Probe
    small: Probe
    other: Probe
    one: Probe
    reordered: Probe
    doubled: Probe
    step: Step | None

    @classmethod
    def of(
        cls, make: Callable[[Sequence[int]], Probe], primitive_set: PrimitiveSet, step: Step | None = None
    ) -> Probes:
        """Make the probes.

        Args:
            make: gives the knowledge of some of `POOL` images, by their indices, in that order.
            primitive_set: whose inputs the knowledge has.
            step: a batch of images as large as a training's; None without a student.
        """
        far = make(BATCH)
        with torch.no_grad():
            reordered, doubled = make(BATCH[::-1]), make(BATCH * 2)
        return cls(
            far=far,
            near=far.moved(lambda gap: NEAR, primitive_set),
            beyond=far.moved(_beyond, primitive_set),
            away=far.moved(lambda gap: AWAY, primitive_set),
            small=far.small(primitive_set),
            other=make(OTHER),
            one=make(ONE),
            reordered=reordered,
            doubled=doubled,
            step=step,
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return next(t.device for levels in self.far.knowledge.values() for _, t in levels)

    def points(self) -> tuple[Probe, ...]:
        """Return the batches whose gradients make the fingerprint."""
        return self.far, self.near, self.beyond, self.away, self.small, self.other, self.one
