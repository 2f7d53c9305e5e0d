"""The teacher's outputs on training images and their mirror images: kept once for all processes, else computed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detkds_gp.atomic import atomic_tensors
from detkds_gp.detectors import BaseDetector, ImageInput, Outputs, make_batch, outputs_on
from detkds_gp.errors import StoreError, first_line
from detkds_gp.fitness.task import ProxyTask

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

WHAT = "the teacher's outputs"
REMEDY = (
    "free space, choose another work directory, or set proxy.teacher_limit_mb = 0, which runs the teacher at every step"
)


class TeacherOutputs:
    """Gives the teacher's outputs on batches, at one precision whether they are kept or not.

    On a GPU the kept ones are loaded into its memory where the settings allow it; else their file is mapped, so that
    processes share its memory.

    Args:
        task: says where they are kept, if anywhere.
        teacher: gives the teacher, when it has to run.
    """

    def __init__(self, task: ProxyTask, teacher: Callable[[], BaseDetector]) -> None:
        self._path = task.teacher_outputs
        self._settings = task.settings
        self._teacher = teacher

    def __call__(
        self, indices: Sequence[int], flips: Sequence[bool], batch: dict[str, Any], names: Sequence[str]
    ) -> Outputs:
        """Return the teacher's outputs on a batch, as `outputs_of` gives them, on the settings' device.

        Args:
            indices: of the images, in the batch's order.
            flips: whether each is mirrored.
            batch: of `make_batch`, for a teacher that has to run.
            names: the outputs wanted.

        Returns:
            by name and level, float32: (N, C, H, W) of maps, (N * M, K) of rows.

        Raises:
            StoreError: if the kept outputs cannot be read, one is missing, or a number is too large for the precision.
        """
        if self._path is None:
            live, precision = outputs_on(self._teacher(), batch, names), self._settings.teacher_precision
            return {
                name: [rounded(level, precision, name).float() for level in levels] for name, levels in live.items()
            }
        if missing := [name for name in names if name not in self._kept]:
            raise StoreError(f"the kept teacher outputs {self._path} lack {missing[0]!r}; delete the file")
        rows = torch.tensor([2 * index + int(flip) for index, flip in zip(indices, flips, strict=True)])
        found = {name: [level[rows.to(level.device)] for level in self._kept[name]] for name in names}
        device = self._settings.device
        return {name: [level.float().flatten(0, 1).to(device) for level in levels] for name, levels in found.items()}

    @cached_property
    def _kept(self) -> dict[str, list[Tensor]]:
        """What `keep_teacher` wrote."""
        path, device = self._path, self._settings.device
        assert path is not None
        if not path.exists() or path.stat().st_size > self._settings.teacher_memory_mb * 2**20:
            device = "cpu"
        try:
            return torch.load(path, mmap=device == "cpu", weights_only=True, map_location=device)
        except Exception as error:
            reason = f"cannot read the kept teacher outputs {path}: {first_line(error)}"
            raise StoreError(f"{reason}; delete the file") from error


def kept_bytes(numbers: int, images: int, precision: str) -> int:
    """Return how large the file of a teacher with so many numbers an image becomes."""
    return 2 * images * numbers * PRECISIONS[precision].itemsize


def keep_teacher(
    teacher: BaseDetector, images: Sequence[ImageInput], names: Sequence[str], precision: str, path: Path
) -> None:
    """Run the teacher once over every image and its mirror image, and write its outputs, whole or not at all.

    Args:
        teacher: in any mode; it runs in eval mode without gradient.
        images: all of one size.
        names: the teacher's outputs to keep.
        precision: a key of PRECISIONS.
        path: of the file.

    Raises:
        StoreError: if a number is too large for the precision, or the file cannot be written.
    """
    kept: dict[str, list[Tensor]] = {}
    for index in range(len(images)):
        outputs = outputs_on(teacher, make_batch([images[index]] * 2, [False, True]), names)
        for name in names:
            outputs[name] = [rounded(level.unflatten(0, (2, -1)), precision, name).cpu() for level in outputs[name]]
        if not kept:
            _check_room(path, len(images) * sum(level.nbytes for name in names for level in outputs[name]))
            rows = 2 * len(images)
            kept = {name: [level.new_empty(rows, *level.shape[1:]) for level in outputs[name]] for name in names}
        for name in names:
            for whole, level in zip(kept[name], outputs[name], strict=True):
                whole[2 * index : 2 * index + 2] = level
    with atomic_tensors(path, WHAT, REMEDY) as file:
        torch.save(kept, file)


def _check_room(path: Path, size: int) -> None:
    """Refuse what does not fit on the disk, before the teacher runs on all images."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        sizes = f"they take {size / 2**20:.1f} MiB, {free / 2**20:.1f} MiB are free"
        raise StoreError(f"cannot write {WHAT} {path}: {sizes}; {REMEDY}")


def rounded(level: Tensor, precision: str, name: str) -> Tensor:
    """Bring an output to a precision; raise a StoreError if a number is too large for it."""
    kept = level.to(PRECISIONS[precision])
    if kept.dtype != level.dtype and level.isfinite().all() and not kept.isfinite().all():
        got = f"the teacher's {name!r} reaches {float(level.abs().max()):.3g}, more than {precision} holds"
        raise StoreError(f"{got}; set proxy.teacher_precision = 'bfloat16' or 'float32'")
    return kept
