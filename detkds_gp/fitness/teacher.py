"""A teacher from its checkpoint, or trained by the tool from its own config when none is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from detkds_gp.atomic import atomic_file
from detkds_gp.data.coco import data_hash
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import DetectorSpec, build_detector, detector_config, finds_masks, save_weights
from detkds_gp.fitness.evaluation import Evaluation
from detkds_gp.fitness.images import SplitImages, drawn
from detkds_gp.fitness.settings import TeacherTraining
from detkds_gp.operators import active_operators
from detkds_gp.training import DistilledDetector, Training, seed_all

GAIN, PATIENCE = 0.003, 2
Points = list[tuple[int, float]]
"""(iterations, AP on the selection split), rising in iterations."""


def with_checkpoint(
    spec: DetectorSpec,
    splits: Mapping[str, CocoSplit],
    image_size: tuple[int, int],
    settings: TeacherTraining,
    cache_dir: Path,
) -> DetectorSpec:
    """Return the spec with the checkpoint it has, or with the one that `train_teacher` writes.

    Args:
        spec: the teacher.
        splits: what it is trained on (``train``), and looked at on the way (``selection``).
        image_size: (height, width) of the images it is trained on, in pixels.
        settings: how it is trained.
        cache_dir: where trained teachers are kept, each under the hash of all of these and of the versions.
    """
    if spec.checkpoint is not None:
        return spec
    parts = {
        "config": detector_config(spec, splits["train"].classes).model.to_dict(),
        "data": {name: data_hash(splits[name]) for name in ("train", "selection")},
        "image_size": image_size,
        "training": settings.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("detkds_gp", "torch", "mmdet")},
        "operators": active_operators(),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return replace(spec, checkpoint=str((cache_dir / f"teacher-{key}.pth").resolve()))


def curve_path(checkpoint: str) -> Path:
    """Return the file of a trained teacher's learning curve, beside its checkpoint."""
    return Path(f"{checkpoint}.curve.json")


def teacher_curve(checkpoint: str | None) -> Points:
    """Return the learning curve of a teacher that was trained here; empty for another one."""
    path = curve_path(checkpoint or "")
    return [(int(n), float(ap)) for n, ap in json.loads(path.read_text())] if checkpoint and path.is_file() else []


def train_teacher(
    spec: DetectorSpec, images: Mapping[str, SplitImages], settings: TeacherTraining, device: str
) -> Points:
    """Train a teacher until it stops gaining, and write it to the spec's checkpoint, whole or not at all.

    Returns:
        its learning curve as far as the rate is constant, which is written beside it.

    Raises:
        TrainingFault: if its loss becomes non-finite or explodes.
        FloatingPointError: if it predicts numbers that are not finite.
        DataError: if it learns masks, and an object has none that can be drawn.
        ValueError: if the spec has no checkpoint to write to.
    """
    if spec.checkpoint is None:
        raise ValueError("got a teacher without a checkpoint, wanted one from with_checkpoint(...)")
    training, batches = begun(spec, images["train"], settings, device)
    points = _until_flat(training, batches, settings, Evaluation(images["selection"]))
    while training.iteration < training.iterations:
        training.step(next(batches))
    training.finish()
    curve_path(spec.checkpoint).parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(curve_path(spec.checkpoint)) as unfinished:
        unfinished.write_text(json.dumps(points))
    save_weights(training.model.student.state_dict(), spec.checkpoint, images["train"].split.classes)
    return points


def begun(
    spec: DetectorSpec, images: SplitImages, settings: TeacherTraining, device: str
) -> tuple[Training, Iterator[dict[str, Any]]]:
    """Return the training of a teacher before its first step, and its batches without end."""
    seed_all(settings.seed)
    detector = build_detector(replace(spec, checkpoint=None), images.split.classes)
    training = Training(DistilledDetector(detector).to(device), settings, settings.iterations, settings.seed)
    plan = drawn(images, settings.batch_size, settings.seed, masks=finds_masks(detector))
    return training, (batch for _, _, batch in plan)


def _until_flat(
    training: Training, batches: Iterator[dict[str, Any]], settings: TeacherTraining, evaluation: Evaluation
) -> Points:
    """Train at the constant rate until the AP stops rising, and make that the end of it; return what was seen."""
    points: Points = []
    steady = round(settings.iterations * (1 - settings.decay))
    every = max(1, settings.iterations // settings.checks) if settings.checks else settings.iterations + 1
    while training.iteration < steady:
        training.step(next(batches))
        if training.iteration % every == 0:
            training.check_weights()
            points.append((training.iteration, evaluation(training.student)))
            if flat([ap for _, ap in points]):
                training.iterations = max(training.iteration, round(training.iteration / (1 - settings.decay)))
                break
    return points


def flat(aps: Sequence[float]) -> bool:
    """Tell whether the last `PATIENCE` APs bring less than `GAIN` over the best before them.

    >>> flat([0.1, 0.2, 0.201, 0.202]), flat([0.1, 0.2, 0.201, 0.21]), flat([0.3, 0.2])
    (True, False, False)
    """
    return len(aps) > PATIENCE and max(aps[-PATIENCE:]) < max(aps[:-PATIENCE]) + GAIN
