"""Probes of a pair: what both detectors say of a few training images, frozen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from detkds_gp.detectors import (
    BaseDetector,
    Pairing,
    Scene,
    Taps,
    finds_masks,
    make_batch,
    scene_of,
    teacher_knowledge,
)
from detkds_gp.fitness.calibration import probe_model
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.plan import plan
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.language import NONE
from detkds_gp.losses.screening import POOL, Probe, Probes
from detkds_gp.training import seed_all
from detkds_gp.training.distilled_detector import Said

LARGEST_SIDE = 160
"""Pixels; larger images are shrunk for the probes, so that a formula is screened in milliseconds."""

STRIDE = 32
REGIONS = {
    "rois": "rois", "roi_logits": "rois", "roi_boxes": "rois", "mask_rois": "mask_rois", "mask_logits": "mask_rois",
}  # fmt: skip
"""By statement whose rows are regions, the one that says which image each is of."""


def probes_of(proxy: ProxyTraining, seed: int) -> Probes:
    """Make the probes of a pair from training images that show an object.

    The student is the one that scales are measured on, where it is written already; else the initial one of the
    seed. The teacher is the task's.

    Args:
        proxy: gives detectors and images.
        seed: whose plan gives the images.

    Raises:
        StoreError: the student's file cannot be read.
        DetectorError: the teacher's checkpoint is missing or broken.
        DataError: an image cannot be read.
    """
    task = proxy.task
    student = probe_model(proxy, NONE, seed).student if task.probe.exists() else proxy.initial(seed)
    pool = _Pool.of(proxy, student.to(task.settings.device).train(), seed)
    with torch.random.fork_rng(devices=[]):
        return Probes.of(pool.probe, task.primitive_set)


@dataclass(frozen=True, eq=False)
class _Pool:
    """What both detectors say of `POOL` images, and how it becomes knowledge."""

    student: Said
    teacher: Said
    scene: Scene
    pairing: Pairing
    sources: dict[str, str]
    live: BaseDetector

    @classmethod
    def of(cls, proxy: ProxyTraining, student: BaseDetector, seed: int) -> _Pool:
        task = proxy.task
        inputs = task.primitive_set.inputs
        generator = torch.Generator().manual_seed(seed)
        pairing = Pairing(task.pair, [d.source for d in inputs], generator).to(task.settings.device)
        pairing.requires_grad_(False)
        batch = _batch(proxy, seed, masks=finds_masks(student))
        data = student.data_preprocessor(batch, True)
        seed_all(seed)
        with torch.no_grad(), Taps(student, pairing.heard) as taps:
            student.loss(data["inputs"], data["data_samples"])
        said = taps.knowledge()
        seen = proxy.teacher.data_preprocessor(batch, False)["inputs"]
        taught = teacher_knowledge(proxy.teacher, seen, pairing.kept)
        pairing.names = [n for n in pairing.names if all(h in said for h in task.pair.shared[n].heard)]
        return cls(said, taught, scene_of(data), pairing, {d.name: d.source for d in inputs}, proxy.teacher)

    def probe(self, images: Sequence[int]) -> Probe:
        """Return the knowledge of some images, in that order; gradients lead back to the student's statements."""
        leaves = {
            name: [x.requires_grad_() if name not in REGIONS.values() else x for x in levels]
            for name, levels in _said_of(self.student, images).items()
        }
        scene = _scene_of(self.scene, images)
        pairs = self.pairing(leaves, _said_of(self.teacher, images), scene, self.live)
        knowledge = {
            name: [(s, s if s is t else t.detach().requires_grad_()) for s, t in pairs[source]]
            for name, source in self.sources.items()
            if source in pairs
        }
        wanted = {name: levels for name, levels in leaves.items() if name not in REGIONS.values()}
        return Probe(knowledge, wanted, len(images))


def _batch(proxy: ProxyTraining, seed: int, *, masks: bool) -> dict[str, Any]:
    """Return the first images of a plan that show an object, shrunk where they are large, some twice if few."""
    split, (height, width) = proxy.task.splits["train"], proxy.task.settings.image_size
    images, shrink = proxy.images["train"], LARGEST_SIDE / max(height, width)
    if shrink < 1:
        size = tuple(STRIDE * math.ceil(side * shrink / STRIDE) for side in (height, width))
        images = SplitImages(split, (size[0], size[1]), 0)
    order = [index for indices, _ in islice(plan(len(images), 1, seed), len(images)) for index in indices]
    shown = [index for index in order if len(split.images[index].boxes)] or order
    chosen = [shown[number % len(shown)] for number in range(POOL)]
    return make_batch([images[index] for index in chosen], masks=masks)


def _said_of(said: Said, images: Sequence[int]) -> Said:
    """Return what was said of some of the pool's images, as if they were the batch."""
    return {
        name: [_rows_of(x, said, name, level, images) for level, x in enumerate(levels)]
        for name, levels in said.items()
    }


def _rows_of(x: Tensor, said: Said, name: str, level: int, images: Sequence[int]) -> Tensor:
    if name not in REGIONS:
        per_image = x.detach().tensor_split(POOL) if len(x) % POOL == 0 else [x.detach()] * POOL
        return torch.cat([per_image[image] for image in images])
    owner = said[REGIONS[name]][level][:, 0]
    parts = [x.detach()[owner == image] for image in images]
    if name in REGIONS.values():
        parts = [torch.cat([torch.full_like(p[:, :1], n), p[:, 1:]], dim=1) for n, p in enumerate(parts)]
    return torch.cat(parts)


def _scene_of(scene: Scene, images: Sequence[int]) -> Scene:
    sizes = tuple(scene.sizes[image] for image in images) if scene.sizes else ()
    return replace(scene, boxes=tuple(scene.boxes[image] for image in images), sizes=sizes)
