"""One real batch of a pair before anything is trained: what fails on it, and the scales of formulas."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from detkds_gp.config import ExperimentConfig
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import BaseDetector, Taps, finds_masks, make_batch, outputs_on, scene_of
from detkds_gp.errors import DetectorError, UserError, named_line
from detkds_gp.fitness import SplitImages, body, scale_of, squared_gradients
from detkds_gp.language import Distiller, PrimitiveSet
from detkds_gp.losses import MACHINE_FAULTS, DistillationLoss, KnowledgeError
from detkds_gp.setup.wiring import Wired
from detkds_gp.training import DistilledDetector

KNOWN = {
    "_gt_sem_seg": "it needs semantic maps, which the data do not have",
    "_pred_instances": "it predicts no instances",
}
"""By words of mmdet's errors, what they mean."""


def first_batch(config: ExperimentConfig, wired: Wired, train: CocoSplit) -> dict[str, Any]:
    """Return the first images that show an object, and bring both detectors to the device of the trainings."""
    for detector in (wired.student, wired.teacher):
        detector.to(config.proxy.device)
    images = SplitImages(train, config.proxy.image_size, 0)
    shown = [index for index, record in enumerate(train.images) if len(record.boxes)]
    return make_batch([images[index] for index in shown[: config.proxy.batch_size]], masks=finds_masks(wired.student))


@contextmanager
def trying(detector: BaseDetector, who: str, what: str) -> Iterator[None]:
    """Let a detector, the ``student`` or the ``teacher``, try something on a batch of the data, such as to ``learn``.

    Raises:
        DetectorError: it fails, and not for want of memory.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if any(word in str(error) for word in MACHINE_FAULTS):
            raise
        known = next((reason for words, reason in KNOWN.items() if words in str(error)), None)
        place = traceback.extract_tb(error.__traceback__)[-1].name
        reason = known or f"{place}() ends with {named_line(error)}"
        raise DetectorError(
            f"the {who}'s {type(detector).__name__} cannot {what} on these data: {reason}; choose another detector"
        ) from error


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
