"""The teacher's outputs on every training image and its mirror image, computed once and shared by all processes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from detkds_gp.atomic import atomic_tensors
from detkds_gp.detectors import BaseDetector, ImageInput, make_batch, outputs_on
from detkds_gp.errors import StoreError, first_line

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

WHAT = "the teacher's outputs"
REMEDY = (
    "free space, choose another work directory, or set proxy.teacher_limit_mb = 0, which runs the teacher at every step"
)


class KeptTeacher:
    """The teacher's outputs by image and flip.

    Args:
        path: a file that `keep_teacher` wrote.
        device: where it is loaded to; ``cpu`` maps the file, so that worker processes share its memory.

    Raises:
        StoreError: if the file is missing or broken.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self._path = path
        self._device = device
        try:
            mapped = device == "cpu"
            self._kept: dict[str, list[Tensor]] = torch.load(path, mmap=mapped, weights_only=True, map_location=device)
        except Exception as error:
            raise StoreError(
                f"cannot read the kept teacher outputs {path}: {first_line(error)}; delete the file"
            ) from error

    def __call__(self, indices: Sequence[int], flips: Sequence[bool], names: Sequence[str]) -> dict[str, list[Tensor]]:
        """Return the teacher's outputs on a batch, as `outputs_of` gives them.

        Args:
            indices: of the images, in the batch's order.
            flips: whether each is mirrored.
            names: the outputs wanted.

        Returns:
            by name and level, float32: (N, C, H, W) of maps, (N * M, K) of rows.

        Raises:
            StoreError: if an output was not kept.
        """
        missing = [name for name in names if name not in self._kept]
        if missing:
            raise StoreError(f"the kept teacher outputs {self._path} lack {missing[0]!r}; delete the file")
        rows = torch.tensor([2 * index + int(flip) for index, flip in zip(indices, flips, strict=True)])
        rows = rows.to(self._device)
        return {name: [level[rows].float().flatten(0, 1) for level in self._kept[name]] for name in names}


def kept_bytes(numbers: int, images: int, precision: str) -> int:
    """Return how large the file of a teacher with so many numbers an image becomes."""
    return 2 * images * numbers * PRECISIONS[precision].itemsize


def keep_teacher(
    teacher: BaseDetector, images: Sequence[ImageInput], names: Sequence[str], precision: str, path: Path
) -> None:
    """Run the teacher once over every image and its mirror image, and write its outputs.

    Args:
        teacher: in any mode; it runs in eval mode without gradient.
        images: all of one size.
        names: the teacher's outputs to keep.
        precision: a key of PRECISIONS.
        path: written whole or not at all.

    Raises:
        StoreError: if a number is too large for the precision, or the file cannot be written.
    """
    kept: dict[str, list[list[Tensor]]] = {}
    for index in range(len(images)):
        batch = make_batch([images[index]] * 2, [False, True])
        outputs = outputs_on(teacher, batch, names)
        for name in names:
            slots = kept.setdefault(name, [[] for _ in outputs[name]])
            for slot, level in zip(slots, outputs[name], strict=True):
                slot.append(rounded(level.unflatten(0, (2, -1)), precision, name).cpu())
        if index == 0:
            _check_room(path, len(images) * _bytes(kept))
    whole = {name: [_joined(level) for level in levels] for name, levels in kept.items()}
    with atomic_tensors(path, WHAT, REMEDY) as file:
        torch.save(whole, file)


def _joined(parts: list[Tensor]) -> Tensor:
    """Join what was kept of a level, image by image, and let go of it meanwhile: both do not fit into memory."""
    count = len(parts[0])
    whole = parts[0].new_empty(len(parts) * count, *parts[0].shape[1:])
    for index in range(len(parts) - 1, -1, -1):
        whole[index * count : (index + 1) * count] = parts.pop()
    return whole


def _bytes(kept: dict[str, list[list[Tensor]]]) -> int:
    return sum(part.nbytes for levels in kept.values() for level in levels for part in level)


def _check_room(path: Path, size: int) -> None:
    """Refuse what does not fit on the disk, before the teacher runs on all images."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        sizes = f"they take {size / 2**20:.1f} MiB, {free / 2**20:.1f} MiB are free"
        raise StoreError(f"cannot write {WHAT} {path}: {sizes}; {REMEDY}")


def rounded(level: Tensor, precision: str, name: str) -> Tensor:
    """Bring an output to a precision.

    Raises:
        StoreError: if a number is too large for it.
    """
    kept = level.to(PRECISIONS[precision])
    if kept.dtype != level.dtype and level.isfinite().all() and not kept.isfinite().all():
        got = f"the teacher's {name!r} reaches {float(level.abs().max()):.3g}, more than {precision} holds"
        raise StoreError(f"{got}; set proxy.teacher_precision = 'bfloat16' or 'float32'")
    return kept
