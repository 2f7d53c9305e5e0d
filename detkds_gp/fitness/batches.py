"""The batches of a seed's plan, with the teacher's outputs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch

from detkds_gp.detectors import BaseDetector, finds_masks, make_batch
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.plan import plan
from detkds_gp.fitness.prefetch import ahead, uploaded
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.fitness.teacher_outputs import TeacherOutputs
from detkds_gp.training import DistilledDetector
from detkds_gp.training.loop import Batch

Drawn = tuple[list[int], list[bool], dict[str, Any]]
"""Indices of the images, which are mirrored, and the batch of `make_batch`."""


class Batches:
    """Gives all candidates of a seed the same batches.

    Args:
        task: whose plan they follow.
        images: to train on.
        teacher: gives the teacher, when it has to run.
        prefetch: make each batch in a thread while the one before is trained on; worth it where a GPU trains.
    """

    def __init__(
        self, task: ProxyTask, images: SplitImages, teacher: Callable[[], BaseDetector], *, prefetch: bool
    ) -> None:
        self._task = task
        self._images = images
        self._teacher_outputs = TeacherOutputs(task, teacher)
        self._prefetch = prefetch
        self._on_gpu = torch.device(task.settings.device).type == "cuda"

    def __call__(self, seed: int, *models: DistilledDetector, begin: int = 0) -> Iterator[Batch]:
        """Return the batches without end, with the teacher's outputs that the models need.

        Args:
            seed: of the plan.
            models: that are trained on the batches.
            begin: how many steps of a candidate's training are passed over.

        Raises:
            StoreError: if the kept teacher outputs cannot be read.
            DataError: if the student learns masks, and an object has none that can be drawn.
        """
        drawn = self._drawn(seed, any(finds_masks(model.student) for model in models), begin)
        pairings = [model.pairing for model in models if model.pairing is not None]
        needed = dict.fromkeys(name for pairing in pairings for name in pairing.teacher_outputs)
        names = list(needed) if pairings else None
        complete = partial(self._complete, names)
        if self._prefetch and self._task.teacher_outputs is None:
            return map(complete, ahead(drawn))  # a step may run the very same teacher: never two threads at once
        return ahead(map(complete, drawn)) if self._prefetch else map(complete, drawn)

    def _complete(self, names: Sequence[str] | None, drawn: Drawn) -> Batch:
        indices, flips, batch = drawn
        return batch, self._teacher_outputs(indices, flips, batch, names) if names is not None else None

    def _drawn(self, seed: int, masks: bool, begin: int) -> Iterator[Drawn]:
        images, settings = self._images, self._task.settings
        drawn = plan(len(images), settings.batch_size, seed)
        for indices, flips in islice(drawn, self._task.skipped + begin, None):
            batch = make_batch([images[index] for index in indices], flips, masks=masks)
            if self._on_gpu:
                batch["inputs"] = [uploaded(image, settings.device) for image in batch["inputs"]]
            yield indices, flips, batch
