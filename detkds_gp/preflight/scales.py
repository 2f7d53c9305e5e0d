"""Scales of formulas on one real batch of a pair that was never trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from detkds_gp.detectors import Taps, make_batch, outputs_on, scene_of
from detkds_gp.fitness import SplitImages, body, scale_of, squared_gradients
from detkds_gp.language import Distiller, PrimitiveSet
from detkds_gp.losses import DistillationLoss, KnowledgeError
from detkds_gp.preflight.tried import trying
from detkds_gp.setup.wiring import Wired
from detkds_gp.training import DistilledDetector


def first_batch(images: SplitImages, size: int, *, masks: bool) -> dict[str, Any]:
    """Return the first images that show an object."""
    shown = [index for index, record in enumerate(images.split.images) if len(record.boxes)]
    return make_batch([images[index] for index in shown[:size]], masks=masks)


def distilled(wired: Wired, distiller: Distiller | str, primitive_set: PrimitiveSet) -> DistilledDetector:
    """Return the pair with a loss, on the student's device."""
    empty = isinstance(distiller, Distiller) and not distiller.terms
    loss = None if empty else DistillationLoss(distiller, primitive_set)
    generator = torch.Generator().manual_seed(0)
    model = DistilledDetector(wired.student, loss, wired.pair, wired.teacher, generator)
    return model.to(next(wired.student.parameters()).device)


def batch_scales(
    wired: Wired, formulas: Mapping[str, str], primitive_set: PrimitiveSet, batch: dict[str, Any]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Measure the scale of some formulas on one forward of both detectors; name what fails.

    Args:
        wired: the pair.
        formulas: by any name; of what the pair shares.
        primitive_set: whose primitives they name.
        batch: from `first_batch`.

    Returns:
        by name, the scale, None where no gradient arrives; and why a formula cannot be computed.

    Raises:
        DetectorError: mmdet's own loss of the student fails.
    """
    pair = wired.pair
    models = {name: distilled(wired, text, primitive_set) for name, text in formulas.items()}
    sources = [source for model in models.values() if model.pairing is not None for source in model.pairing.names]
    wired.student.train()  # LD's returns nothing
    data = wired.student.data_preprocessor(batch, True)
    with trying(wired.student, "student", "learn"), Taps(wired.student, pair.student_outputs(sources)) as taps:
        losses = wired.student.loss(data["inputs"], data["data_samples"])
    student = taps.outputs()
    teacher = outputs_on(wired.teacher, batch, pair.teacher_outputs(sources))
    task, _ = wired.student.parse_losses(losses)
    parameters = body(wired.student)
    own = squared_gradients(task, parameters)
    scales: dict[str, float | None] = {}
    faults: dict[str, str] = {}
    for name, model in models.items():
        assert model.pairing is not None
        missing = [output for output in model.pairing.student_outputs if output in taps.absent]
        if missing:
            faults[name] = f"the student's {taps.absent[missing[0]]}"
            continue
        try:
            terms = model.distill(student, teacher, scene_of(data))
        except KnowledgeError as error:
            faults[name] = str(error)
            continue
        loss = torch.stack([levels.mean() for levels in terms.values()]).sum()
        scales[name] = scale_of(own, squared_gradients(loss, parameters))
    return scales, faults
