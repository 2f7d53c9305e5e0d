"""The model and the hooks that mmdet's own tools train with, by ``custom_imports=dict(imports=[<this module>])``.

model = dict(
    type="DistilledDetector",
    student=dict(type="RetinaNet", ...),
    teacher=dict(type="RetinaNet", ..., init_cfg=dict(type="Pretrained", checkpoint="teacher.pth")),
    distiller="10 * l2(standardize_channel(global))",
)
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.dist import get_world_size
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope, init_default_scope
from pydantic import ValidationError

from detkds_gp.detectors import BaseDetector, check_pair, load_weights, mended
from detkds_gp.errors import ConfigError
from detkds_gp.language import load_primitive_set, parse_distiller
from detkds_gp.losses import DistillationLoss
from detkds_gp.settings import Pixels, Settings
from detkds_gp.training import hooks as hooks
from detkds_gp.training.distilled_detector import DistilledDetector

Model = dict[str, Any]


class Wiring(Settings):
    """How student and teacher are brought together.

    Attributes:
        primitive_set: ``module:NAME`` of the set that the distiller's names are of.
        classes: the student's class names; None where both know the same in one order.
        teacher_classes: the teacher's.
        image_size: (height, width) of the empty image on which the pair is checked, in pixels.
        seed: of the adapters' weights.
    """

    primitive_set: str = "detkds_gp.primitives:OMNI"
    classes: tuple[str, ...] | None = None
    teacher_classes: tuple[str, ...] | None = None
    image_size: tuple[Pixels, Pixels] = (512, 512)
    seed: int = 0


@MODELS.register_module(name="DistilledDetector")
def distilled_detector(
    student: Model, teacher: Model | None = None, distiller: str = "none", **wiring: Any
) -> DistilledDetector:
    """Build student, teacher and loss from mmdet's configs.

    Args:
        student: an mmdet model config; mmengine's Runner initialises its weights.
        teacher: another; its ``init_cfg`` names its weights: ``dict(type="Pretrained", checkpoint=...)``.
        distiller: its text, with a number for every scale; ``none`` trains the student alone.
        wiring: the keys of `Wiring`.

    Raises:
        ConfigError: for an unknown key, or a distiller without a trained teacher.
        FormulaError: if the distiller's text cannot be read, or a scale is still to be measured.
        DetectorError: if the teacher's weights do not fit, or the pair shares nothing.
        KnowledgeError: if the pair does not share what the distiller reads.
    """
    settings = _settings(wiring)
    if DefaultScope.get_current_instance() is None:
        init_default_scope("mmdet")
    built = mended(MODELS.build(copy.deepcopy(student)))
    if get_world_size() == 1 or not torch.cuda.is_available():
        built = revert_sync_batchnorm(built)  # it does not run on a CPU, and one process has nothing to synchronise
    grammar = load_primitive_set(settings.primitive_set)
    parsed = parse_distiller(distiller, grammar)
    if not parsed.terms:
        return DistilledDetector(built)
    loss = DistillationLoss(parsed, grammar)
    built_teacher = _teacher(teacher, settings)
    ours, theirs = settings.classes, settings.teacher_classes or settings.classes
    names = (ours, theirs) if ours is not None and theirs is not None else None
    pair = check_pair(built, built_teacher, settings.image_size, names, list(loss.sources.values()))
    for name, source in loss.sources.items():
        if source in pair.refused:
            raise ConfigError(f"the distiller reads {name!r}, which the pair does not share: {pair.refused[source]}")
    generator = torch.Generator().manual_seed(settings.seed)
    return DistilledDetector(built, loss, pair, built_teacher, generator)


def _settings(wiring: dict[str, Any]) -> Wiring:
    try:
        return Wiring.model_validate(wiring)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(["student", "teacher", "distiller", *Wiring.model_fields])
        raise ConfigError(f"DistilledDetector: {key}: {first['msg']}; its keys are {known}") from None


def _teacher(config: Model | None, settings: Wiring) -> BaseDetector:
    """Build the teacher with its weights; nothing of mmengine initialises over them."""
    found = copy.deepcopy(config) or {}
    init = found.pop("init_cfg", None) or {}
    checkpoint = init.get("checkpoint") if isinstance(init, dict) else None
    if not checkpoint:
        wanted = "wanted teacher=dict(type=..., init_cfg=dict(type='Pretrained', checkpoint=...))"
        raise ConfigError(f"DistilledDetector: got a distiller without a trained teacher, {wanted}")
    if isinstance(found.get("backbone"), dict):
        found["backbone"]["init_cfg"] = None
    teacher = revert_sync_batchnorm(mended(MODELS.build(found)))
    load_weights(teacher, checkpoint, settings.teacher_classes or settings.classes)
    return teacher
