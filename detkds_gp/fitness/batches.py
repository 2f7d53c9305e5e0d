"""The batches of a seed's plan, with the teacher's outputs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

from detkds_gp.detectors import BaseDetector, finds_masks
from detkds_gp.fitness.images import Drawn, SplitImages, drawn
from detkds_gp.fitness.kept_teacher import TeacherOutputs
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.training import DistilledDetector
from detkds_gp.training.loop import Batch

Item = TypeVar("Item")


class Batches:
    """Gives all candidates of a seed the same batches.

    ``teacher`` gives the teacher, when it has to run. With ``prefetch`` each batch is made in a thread while the one
    before is trained on; worth it where a GPU trains.
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

        The first ``begin`` steps of a candidate's training are passed over. Raises as `drawn` and `TeacherOutputs` do.
        """
        settings, masks = self._task.settings, any(finds_masks(model.student) for model in models)
        begin += self._task.skipped
        made = map(self._uploaded, drawn(self._images, settings.batch_size, seed, masks=masks, begin=begin))
        pairings = [model.pairing for model in models if model.pairing is not None]
        needed = dict.fromkeys(name for pairing in pairings for name in pairing.teacher_outputs)
        names = list(needed) if pairings else None
        complete = partial(self._complete, names)
        if self._prefetch and self._task.teacher_outputs is None:
            return map(complete, ahead(made))  # a step may run the very same teacher: never two threads at once
        return ahead(map(complete, made)) if self._prefetch else map(complete, made)

    def _complete(self, names: Sequence[str] | None, drawn: Drawn) -> Batch:
        indices, flips, batch = drawn
        return batch, self._teacher_outputs(indices, flips, batch, names) if names is not None else None

    def _uploaded(self, drawn: Drawn) -> Drawn:
        """Copy a batch's images to the GPU, where one trains, through pinned memory without waiting for the copies."""
        indices, flips, batch = drawn
        if self._on_gpu:
            device = self._task.settings.device
            batch["inputs"] = [image.pin_memory().to(device, non_blocking=True) for image in batch["inputs"]]
        return indices, flips, batch


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the same items, each made in a thread while the one before is at use.

    At most one item more is drawn than taken; what making one raises is raised where it would have been taken.
    Closing the iterator ends the thread.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        following = pool.submit(next, items, None)
        try:
            while (item := following.result()) is not None:
                following = pool.submit(next, items, None)
                yield item
        finally:
            del following  # an error that it holds would keep this frame, and all models below it, alive
