"""Which candidates share one pass of data in one worker, and how long they will take."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch

from detkds_gp.fitness import ProxyTask
from detkds_gp.language import Distiller
from detkds_gp.score import Score, Trial

LARGEST = 8
"""A pack that is lost is trained again; more candidates share hardly more."""

MEMORY_SHARE = 0.5
"""Of the free memory, what the states of all packs may take."""


@dataclass(frozen=True)
class Packing:
    """Groups candidates that differ in the distiller alone.

    Attributes:
        size: of a pack, at most.
        workers: that are kept busy before packs grow.
    """

    size: int
    workers: int = 1

    def __call__(self, trials: Sequence[Trial]) -> list[list[int]]:
        """Return the packs, as places among the trials, each in the order asked."""
        groups: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
        for place, trial in enumerate(trials):
            groups[trial.iterations, trial.seed, trial.test].append(place)
        size = max(1, min(self.size, ceil(len(trials) / self.workers)))
        return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]


ALONE = Packing(1)


class Forecast:
    """Fits seconds per iteration = base + slope * operations, by least squares over what was answered.

    Failures do not count: they end early. Only the order in which tasks are handed out depends on it,
    never a result.
    """

    def __init__(self) -> None:
        self._n = 0
        self._x = self._y = self._xx = self._xy = 0.0

    def learn(self, trial: Trial, distiller: Distiller, score: Score) -> None:
        """Take an answer into account."""
        if score.ok and score.wall_seconds > 0 and trial.iterations > 0:
            x, y = float(distiller.cost), score.wall_seconds / trial.iterations
            self._n += 1
            self._x, self._y = self._x + x, self._y + y
            self._xx, self._xy = self._xx + x * x, self._xy + x * y

    def seconds(self, trial: Trial, distiller: Distiller) -> float:
        """Predict; before the first answers a step costs 1 and an operation a hundredth of it."""
        return trial.iterations * self._per_iteration(float(distiller.cost))

    def _per_iteration(self, operations: float) -> float:
        spread = self._n * self._xx - self._x * self._x
        if self._n < 3 or spread <= 0:
            return 1 + operations / 100
        slope = max(0.0, (self._n * self._xy - self._x * self._y) / spread)
        mean_x, mean_y = self._x / self._n, self._y / self._n
        return max(0.0, mean_y - slope * mean_x) + slope * operations


def pack_size(task: ProxyTask, workers: int) -> int:
    """Return how many candidates a worker trains side by side: one where they have nothing to share.

    What is shared is the teacher's forward pass where it is not kept, and the decoding of images that memory does
    not hold. As many as fit into the free memory share it: each needs weights, their average, gradients and two
    moments.
    """
    settings, (height, width) = task.settings, task.settings.image_size
    pixels = 3 * height * width * sum(len(split.images) for split in task.splits.values())
    if task.teacher_outputs is not None and pixels <= settings.memory_limit_mb * 2**20:
        return 1
    states = 5 * 4 * task.student_numbers * workers
    return max(1, min(LARGEST, int(MEMORY_SHARE * free_bytes(settings.device) / states)))


def free_bytes(device: str) -> int:
    """Return the free memory of a device."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
