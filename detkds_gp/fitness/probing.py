"""Probes of a pair: the outputs of both detectors on a few training images, frozen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.plan import plan
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
    student.to(task.settings.device).train()  # LD's returns nothing
    small, _ = _pool(proxy, student, seed, LARGEST_SIDE)
    full, written = _pool(proxy, student, seed, None)
    with torch.random.fork_rng(devices=[]):
        return Probes.of(small, task.primitive_set, Step(full(BATCH), written / POOL))


def _pool(
    proxy: ProxyTraining, student: BaseDetector, seed: int, largest: int | None
) -> tuple[Callable[[Sequence[int]], Probe], int]:
    """Read both detectors on `POOL` images, with sides of ``largest`` pixels at most.

    Returns:
        what gives the knowledge of some of the images, in that order, with gradients that lead back to the student's
        outputs; and how many numbers the student's own loss writes on all of them.
    """
    task = proxy.task
    sources = {d.name: d.source for d in task.primitive_set.inputs}
    pairing = Pairing(task.pair, list(sources.values()), torch.Generator().manual_seed(seed))
    pairing.to(task.settings.device).requires_grad_(False)
    queries = max(map(picked_queries, (student, proxy.teacher)))
    batch = _batch(proxy, seed, queries, largest, masks=finds_masks(student))
    data = student.data_preprocessor(batch, True)
    seed_all(seed)
    with torch.no_grad(), Work() as work, Taps(student, pairing.student_outputs) as taps:
        student.loss(data["inputs"], data["data_samples"])
    all_ours = _detached(taps.outputs())
    all_theirs = _detached(outputs_on(proxy.teacher, batch, pairing.teacher_outputs))
    pairing.names = [n for n in pairing.names if all(name in all_ours for name in task.pair.student_outputs([n]))]
    scene, fixed = scene_of(data), fixed_outputs(all_ours)

    def probe(images: Sequence[int]) -> Probe:
        ours = {
            name: [x if name in fixed else x.requires_grad_() for x in levels]
            for name, levels in cut_outputs(all_ours, images, POOL).items()
        }
        theirs = cut_outputs(all_theirs, images, POOL)
        pairs = pairing(ours, theirs, scene.of_images(images), proxy.teacher)
        knowledge = {
            name: [(s, s if s is t else t.detach().requires_grad_()) for s, t in pairs[source]]
            for name, source in sources.items()
            if source in pairs
        }
        leaves = {name: levels for name, levels in ours.items() if name not in fixed}
        return Probe(knowledge, leaves, len(images))

    return probe, work.numbers


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
