"""Probes of a pair: the outputs of both detectors on a few training images, frozen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch

from detkds_gp.detectors import (
    BaseDetector,
    Outputs,
    Pairing,
    Taps,
    cut_outputs,
    finds_masks,
    fixed_outputs,
    make_batch,
    outputs_on,
    picked_queries,
    scene_of,
)
from detkds_gp.fitness.calibration import probe_model
from detkds_gp.fitness.images import SplitImages, plan
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.language import NONE
from detkds_gp.screening.evidence import Work
from detkds_gp.screening.probes import BATCH, POOL, Probe, Probes, Step
from detkds_gp.training import seed_all

LARGEST_SIDE = 160
"""Pixels; larger images are shrunk for the probes, so that a formula is screened in milliseconds."""

FINEST = 8
"""Stride of the finest map that queries are picked from; smaller images have too few positions for them."""

STRIDE = 32


def probes_of(proxy: ProxyTraining, seed: int) -> Probes:
    """Make the probes of a pair from training images that show an object.

    The student is the one that scales are measured on, where it is written already; else the initial one of the
    seed. The teacher is the task's.

    Raises:
        StoreError: the student's file cannot be read.
        DetectorError: the teacher's checkpoint is missing or broken.
        DataError: an image cannot be read.
    """
    task = proxy.task
    student = probe_model(proxy, NONE, seed).student if task.probe.exists() else proxy.initial(seed)
    student.to(task.settings.device).train()  # LD's returns nothing
    small, full = (_Pool(proxy, student, seed, side) for side in (LARGEST_SIDE, None))
    with torch.random.fork_rng(devices=[]):
        return Probes.of(small.probe, task.primitive_set, Step(full.probe(BATCH), full.own / POOL))


class _Pool:
    """The outputs of both detectors on `POOL` images, and how they become knowledge.

    Attributes:
        own: how many numbers the student's own loss writes on these images.
    """

    def __init__(self, proxy: ProxyTraining, student: BaseDetector, seed: int, largest: int | None) -> None:
        task, inputs = proxy.task, proxy.task.primitive_set.inputs
        self._sources, self._detector = {d.name: d.source for d in inputs}, proxy.teacher
        generator = torch.Generator().manual_seed(seed)
        pairing = Pairing(task.pair, [d.source for d in inputs], generator).to(task.settings.device)
        pairing.requires_grad_(False)
        queries = max(map(picked_queries, (student, proxy.teacher)))
        batch = _batch(proxy, seed, queries, largest, masks=finds_masks(student))
        data = student.data_preprocessor(batch, True)
        seed_all(seed)
        with torch.no_grad(), Work() as work, Taps(student, pairing.student_outputs) as taps:
            student.loss(data["inputs"], data["data_samples"])
        self._student, self._scene, self.own = _detached(taps.outputs()), scene_of(data), work.numbers
        self._teacher = _detached(outputs_on(proxy.teacher, batch, pairing.teacher_outputs))
        read, wanted = self._student.keys(), task.pair.student_outputs
        pairing.names = [name for name in pairing.names if read >= set(wanted([name]))]
        self._pairing = pairing

    def probe(self, images: Sequence[int]) -> Probe:
        """Return the knowledge of some images, in that order; gradients lead back to the student's outputs."""
        fixed = fixed_outputs(self._student)
        ours = {
            name: [x if name in fixed else x.requires_grad_() for x in levels]
            for name, levels in cut_outputs(self._student, images, POOL).items()
        }
        theirs = cut_outputs(self._teacher, images, POOL)
        pairs = self._pairing(ours, theirs, self._scene.of_images(images), self._detector)
        knowledge = {
            name: [(s, s if s is t else t.detach().requires_grad_()) for s, t in pairs[source]]
            for name, source in self._sources.items()
            if source in pairs
        }
        leaves = {name: levels for name, levels in ours.items() if name not in fixed}
        return Probe(knowledge, leaves, len(images))


def _detached(outputs: Outputs) -> Outputs:
    return {name: [x.detach() for x in levels] for name, levels in outputs.items()}


def _batch(proxy: ProxyTraining, seed: int, queries: int, largest: int | None, *, masks: bool) -> dict[str, Any]:
    """Return the first images of a plan that show an object, shrunk where they are too large, some twice if few."""
    split, (height, width) = proxy.task.splits["train"], proxy.task.settings.image_size
    side = max(height, width)
    shrink = max((largest or side) / side, FINEST * math.sqrt(queries / (height * width)))
    images = proxy.images["train"]
    if shrink < 1:
        size = tuple(STRIDE * math.ceil(side * shrink / STRIDE) for side in (height, width))
        images = SplitImages(split, (size[0], size[1]), 0)
    order = [index for indices, _ in islice(plan(len(images), 1, seed), len(images)) for index in indices]
    shown = [index for index in order if len(split.images[index].boxes)] or order
    chosen = [shown[number % len(shown)] for number in range(POOL)]
    return make_batch([images[index] for index in chosen], masks=masks)
