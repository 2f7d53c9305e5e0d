"""The batches of a seed's plan, with what the teacher says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch

from detkds_gp.detectors import BaseDetector, finds_masks, make_batch
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.plan import plan
from detkds_gp.fitness.prefetch import ahead, uploaded
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.fitness.taught import Taught
from detkds_gp.training import DistilledDetector
from detkds_gp.training.loop import Batch


class Batches:
    """Gives all candidates of a seed the same batches; for a GPU each is made while it is busy with the one before.

    Args:
        task: whose plan they follow.
        images: to train on.
        teacher: gives the teacher, when it has to be asked.
    """

    def __init__(self, task: ProxyTask, images: SplitImages, teacher: Callable[[], BaseDetector]) -> None:
        self._task = task
        self._images = images
        self._taught = Taught(task, teacher)
        self._on_gpu = torch.device(task.settings.device).type != "cpu"

    def __call__(self, seed: int, *models: DistilledDetector, begin: int = 0) -> Iterator[Batch]:
        """Return the batches without end, with what the models need of the teacher.

        Args:
            seed: of the plan.
            models: that are trained on the batches.
            begin: how many steps of a candidate's training are passed over.

        Raises:
            StoreError: if the kept teacher outputs cannot be read.
            DataError: if the student learns masks, and an object has none that can be drawn.
        """
        drawn = self._drawn(seed, models, begin)
        return ahead(drawn) if self._on_gpu else drawn

    def _drawn(self, seed: int, models: Sequence[DistilledDetector], begin: int) -> Iterator[Batch]:
        images, settings = self._images, self._task.settings
        masks = any(finds_masks(model.student) for model in models)
        pairings = [model.pairing for model in models if model.pairing is not None]
        names = list(dict.fromkeys(name for pairing in pairings for name in pairing.kept))
        drawn = plan(len(images), settings.batch_size, seed)
        for indices, flips in islice(drawn, self._task.skipped + begin, None):
            batch = make_batch([images[index] for index in indices], flips, masks=masks)
            if self._on_gpu:
                batch["inputs"] = [uploaded(image, settings.device) for image in batch["inputs"]]
            yield batch, self._taught(indices, flips, batch, names) if pairings else None
