"""A teacher from its checkpoint, or trained by the tool from its own config when none is given."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from detkds_gp.data.coco import CocoSplit, data_hash
from detkds_gp.detectors import DetectorSpec, build_detector, detector_config, finds_masks, make_batch, save_student
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.plan import plan
from detkds_gp.fitness.settings import TeacherTraining
from detkds_gp.operators import active_operators
from detkds_gp.training import DistilledDetector, seed_all, train


def with_checkpoint(
    spec: DetectorSpec,
    split: CocoSplit,
    image_size: tuple[int, int],
    settings: TeacherTraining,
    cache_dir: Path,
) -> DetectorSpec:
    """Return the spec with the checkpoint it has, or with the one that `train_teacher` writes.

    Args:
        spec: the teacher.
        split: what it is trained on.
        image_size: (height, width) of the images it is trained on, in pixels.
        settings: how it is trained.
        cache_dir: where trained teachers are kept, each under the hash of all of these and of the versions.
    """
    if spec.checkpoint is not None:
        return spec
    parts = {
        "config": detector_config(spec, split.classes).model.to_dict(),
        "data": data_hash(split),
        "image_size": image_size,
        "training": settings.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("detkds_gp", "torch", "mmdet")},
        "operators": active_operators(),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return replace(spec, checkpoint=str((cache_dir / f"teacher-{key}.pth").resolve()))


def train_teacher(spec: DetectorSpec, images: SplitImages, settings: TeacherTraining, device: str) -> None:
    """Train a teacher and write it to the spec's checkpoint, whole or not at all.

    Raises:
        TrainingFault: if its loss becomes non-finite or explodes.
        DataError: if it learns masks, and an object has none that can be drawn.
        ValueError: if the spec has no checkpoint to write to.
    """
    if spec.checkpoint is None:
        raise ValueError("got a teacher without a checkpoint, wanted one from with_checkpoint(...)")
    seed_all(settings.seed)
    detector = build_detector(replace(spec, checkpoint=None), images.split.classes)
    model = DistilledDetector(detector).to(device)
    masks = finds_masks(detector)
    batches = (
        (make_batch([images[i] for i in indices], flips, masks=masks), None)
        for indices, flips in plan(len(images), settings.batch_size, settings.seed)
    )
    train(model, batches, settings, settings.iterations, settings.seed)
    save_student(detector, spec.checkpoint, images.split.classes)
