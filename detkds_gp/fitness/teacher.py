"""A teacher from its checkpoint, or trained by the tool from its own config when none is given."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import Field
from torch import nn

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
        threads: CPU threads; another count gives another teacher in the last digits.
    """

    iterations: int = Field(600, ge=1)
    batch_size: int = Field(8, ge=1)
    seed: int = 0
    threads: int = Field(2, ge=1)
    decay: float = Field(0.4, ge=0, le=1)


def obtain_teacher(
    spec: DetectorSpec,
    images: SplitImages,
    settings: TeacherTraining,
    cache_dir: Path,
    say: Callable[[str], None] = lambda _: None,
) -> DetectorSpec:
    """Return the teacher's spec with a checkpoint, training the teacher if it has none.

    A trained teacher is kept in ``cache_dir`` under the hash of its config, training and data.

    Args:
        spec: the teacher.
        images: the training split.
        settings: how it is trained.
        cache_dir: made if missing.
        say: told what is going on.

    Raises:
        TrainingFault: if its loss becomes non-finite or explodes.
    """
    if spec.checkpoint is not None:
        return spec
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / f"teacher-{_fingerprint(spec, images.split, settings)}.pth"
    if path.exists():
        say(f"teacher: {path} (trained before)")
    else:
        say(f"teacher: training {settings.iterations} iterations")
        teacher = _train(spec, images, settings)
        partial = path.with_suffix(".partial")
        save_student(teacher, partial, images.split.classes)
        os.replace(partial, path)
    return replace(spec, checkpoint=str(path))


def _train(spec: DetectorSpec, images: SplitImages, settings: TeacherTraining) -> nn.Module:
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        seed_all(settings.seed)
        detector = build_detector(spec, images.split.classes)
        model = DistilledDetector(detector)
        batches = (
            (make_batch([images[i] for i in indices], flips), None)
            for indices, flips in plan(len(images), settings.batch_size, settings.seed)
        )
        train(model, batches, settings, settings.iterations, settings.seed)
        return detector
    finally:
        torch.set_num_threads(threads)


def _fingerprint(spec: DetectorSpec, split: CocoSplit, settings: TeacherTraining) -> str:
    parts: Mapping[str, object] = {
        "config": detector_config(spec, split.classes).model.to_dict(),
        "data": data_hash(split),
        "training": settings.model_dump(mode="json"),
        "versions": {name: version(name) for name in ("torch", "mmdet", "mmcv")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
