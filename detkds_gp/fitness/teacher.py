"""A teacher from its checkpoint, or trained by the tool from its own config when none is given."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from pydantic import Field

from detkds_gp.data.coco import CocoSplit, data_hash
from detkds_gp.detectors import DetectorSpec, build_detector, detector_config, make_batch, save_student
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.plan import plan
from detkds_gp.training import DistilledDetector, OptimizerSettings, seed_all, train


class TeacherTraining(OptimizerSettings):
    """How a teacher without a checkpoint is trained.

    Attributes:
        iterations: training steps.
        batch_size: images a step.
        seed: fixes its initial weights and batches.
    """

    iterations: int = Field(600, ge=1)
    batch_size: int = Field(8, ge=1)
    seed: int = 0
    decay: float = Field(0.4, ge=0, le=1)


def with_checkpoint(spec: DetectorSpec, split: CocoSplit, settings: TeacherTraining, cache_dir: Path) -> DetectorSpec:
    """Return the spec with the checkpoint it has, or with the one that `train_teacher` writes.

    A trained teacher is kept in ``cache_dir`` under the hash of its config, training, data and versions.
    """
    if spec.checkpoint is not None:
        return spec
    parts = {
        "config": detector_config(spec, split.classes).model.to_dict(),
        "data": data_hash(split),
        "training": settings.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("torch", "mmdet", "mmcv")},
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return replace(spec, checkpoint=str((cache_dir / f"teacher-{key}.pth").resolve()))


def train_teacher(spec: DetectorSpec, images: SplitImages, settings: TeacherTraining, device: str) -> None:
    """Train a teacher and write it to the spec's checkpoint, whole or not at all.

    Raises:
        TrainingFault: if its loss becomes non-finite or explodes.
    """
    path = Path(spec.checkpoint or "")
    seed_all(settings.seed)
    detector = build_detector(replace(spec, checkpoint=None), images.split.classes)
    model = DistilledDetector(detector).to(device)
    batches = (
        (make_batch([images[i] for i in indices], flips), None)
        for indices, flips in plan(len(images), settings.batch_size, settings.seed)
    )
    train(model, batches, settings, settings.iterations, settings.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_student(detector, partial, images.split.classes)
    os.replace(partial, path)
