"""A first config for one's own data: classes from the data, sizes from the machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import torch

from detkds_gp.data.discover import FoundData
from detkds_gp.data.split import WHOLE, CocoSplit
from detkds_gp.detectors import DetectorSpec, detector_config, from_scratch

LONGEST = {"cpu": 192, "cuda": 640}
"""Pixels of an image's longer side in the proxy training."""
STRIDE = 32
COLUMNS = 100
BATCH = 8


@dataclass(frozen=True)
class Machine:
    """What trains.

    Attributes:
        device: ``cuda`` or ``cpu``.
        workers: trainings side by side.
    """

    device: str
    workers: int


def this_machine() -> Machine:
    """Return a GPU for each worker, or a worker for each core up to four."""
    if torch.cuda.is_available():
        return Machine("cuda", torch.cuda.device_count())
    return Machine("cpu", min(4, len(os.sched_getaffinity(0))))


@dataclass(frozen=True)
class Pair:
    """The detectors.

    Attributes:
        student: its mmdet config.
        teacher: its mmdet config.
        checkpoint: the teacher's weights; None: the tool trains it.
        scratch: whether both start without a pretrained backbone.
    """

    student: str
    teacher: str
    checkpoint: str | None = None
    scratch: bool = False


def check_configs(pair: Pair) -> None:
    """Read the detectors' configs, before anything is done with the data.

    Raises:
        DetectorError: if one of them is missing or broken.
    """
    for config in (pair.student, pair.teacher):
        detector_config(DetectorSpec(config), ["any"])


def starter_config(pair: Pair, data: FoundData, train: CocoSplit, machine: Machine) -> str:
    """Return the text of a config; what was taken of the data, and how, stands there as a comment.

    Args:
        pair: the detectors.
        data: where the splits lie.
        train: the first of them, as it was read.
        machine: what trains.

    Raises:
        DetectorError: if a detector's config is missing or broken.
    """
    student, teacher = (detector_config(DetectorSpec(name), train.classes) for name in (pair.student, pair.teacher))
    iterations = max(60, min(2 * len(train.images) // BATCH, 200 if machine.device == "cpu" else 1000))
    moves = {"optimizer": _optimizer(student, pair), "warmup": iterations // 10}
    learned = {"train": {"iterations": 16 * iterations, **moves, "decay": 0.5}}  # until it stops gaining, at most
    height, width = (median(getattr(record, side) for record in train.images) for side in ("height", "width"))
    groups = {
        "data": _data(data, train.classes),
        "student": {"config": pair.student, **_overrides(student, pair)},
        "teacher": {
            "config": pair.teacher,
            **_overrides(teacher, pair),
            **({"checkpoint": pair.checkpoint} if pair.checkpoint else learned),
        },
        "proxy": {
            "iterations": iterations,
            "batch_size": BATCH,
            "image_size": proxy_size((round(height), round(width)), machine.device),
            "device": machine.device,
            **moves,
            "calibration_iterations": iterations // 3,
        },
        "search": {"warm_start": ("zoo",)},
        "full_training": _from_scratch(iterations, moves) if pair.scratch else {},
        "execution": {"workers": machine.workers, **({"gpus_per_worker": 1.0} if machine.device == "cuda" else {})},
    }
    title = f"{data.name}: {Path(pair.teacher).stem} teaches {Path(pair.student).stem}."
    head = [f'"""{title}"""', 'primitive_set = "detkds_gp.primitives:DETKDS"']
    said = {"data": "".join(f"# {line}\n" for note in data.notes for line in note.splitlines())}
    parts = [f"{said.get(name, '')}{name} = {_written(values)}" for name, values in groups.items() if values]
    return "\n\n".join([*head, *parts]) + "\n"


def _data(data: FoundData, classes: tuple[str, ...]) -> dict[str, Any]:
    splits: dict[str, dict[str, Any]] = {}
    for name, split in data.splits.items():
        splits[name] = {"ann_file": split.ann_file, "images": split.images}
        if split.part != WHOLE:
            splits[name]["part"] = split.part
    return {"root": str(data.root.resolve()), "classes": classes, **splits}


def _overrides(config: Any, pair: Pair) -> dict[str, Any]:
    """Return what is changed of a detector: nothing resizes its batches, for both see images of one size."""
    augmented = (config.model.get("data_preprocessor") or {}).get("batch_augments")
    overrides: dict[str, Any] = {"model.data_preprocessor.batch_augments": None} if augmented else {}
    if pair.scratch:
        overrides |= from_scratch(config.model.backbone)
    return {"overrides": overrides} if overrides else {}


def _from_scratch(iterations: int, moves: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a training from scratch needs beside the student's own schedule, which fine-tunes."""
    wrapper = {"_delete_": True, "type": "OptimWrapper", "optimizer": moves["optimizer"], "clip_grad": {"max_norm": 10}}
    return {"iterations": 8 * iterations, "batch_size": BATCH, "options": {"optim_wrapper": wrapper}}


def proxy_size(size: tuple[int, int], device: str) -> tuple[int, int]:
    """Return (height, width) of the images in the proxy training: multiples of 32, no larger than the data's."""
    scale = min(1.0, LONGEST[device] / max(size))
    height, width = (max(STRIDE, ceil(side * scale / STRIDE) * STRIDE) for side in size)
    return height, width


def _optimizer(student: Any, pair: Pair) -> dict[str, Any]:
    """Return the student's own optimizer at its rate for this batch; from scratch AdamW, which needs less patience."""
    own = student.get("optim_wrapper", {}).get("optimizer")
    if pair.scratch or own is None:
        return {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05}
    base = student.get("auto_scale_lr", {}).get("base_batch_size", 16)
    return {**own.to_dict(), "lr": own["lr"] * BATCH / base}


def _written(value: Any, indent: int = 0) -> str:
    """Write a value as people write configs: ``dict(a=1)`` where the keys are names, broken where it is long."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        inner = ", ".join(map(_written, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if not isinstance(value, dict):
        return repr(value)
    named = all(str(key).isidentifier() for key in value)
    inside = indent + 4
    items = [f"{key}=" if named else f"{_written(key)}: " for key in value]
    items = [head + _written(inner, inside) for head, inner in zip(items, value.values(), strict=True)]
    opening, closing = ("dict(", ")") if named else ("{", "}")
    line = f"{opening}{', '.join(items)}{closing}"
    if "\n" not in line and len(line) + indent <= COLUMNS:
        return line
    rows = "".join(f"{' ' * inside}{item},\n" for item in items)
    return f"{opening}\n{rows}{' ' * indent}{closing}"
