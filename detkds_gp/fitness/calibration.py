"""The scale of a tree: what makes it move the student's backbone and neck as strongly as the task does.

A weight multiplies the scale, so that weight 1 means the same for every formula. Gradients are compared on parameters,
not on feature maps: those of dense feature losses partly cancel on the way from the maps to the parameters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import islice
from statistics import median

import torch
from torch import Tensor

from detkds_gp.detectors import BaseDetector
from detkds_gp.fitness.kept_students import read_weights, write_weights
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.losses import KnowledgeError
from detkds_gp.score import Scale
from detkds_gp.training import DistilledDetector, seed_all

SMALLEST = 1e-12
"""A gradient norm that counts as none."""

Gradient = list[float | None]
"""The squared length of a gradient on each parameter, None where it does not arrive."""

DISTILLED_BATCHES = 2
"""On which a tree's gradient is measured; that of the student's own loss takes more to be steady."""


def write_start(proxy: ProxyTraining, seed: int) -> None:
    """Train the student of a seed alone for ``start_iterations`` steps: all its candidates start from it.

    Raises as `ProxyTraining.alone`; a ValueError if the settings do not start from a half-trained student.
    """
    path = proxy.task.start(seed)
    if path is None:
        raise ValueError(f"got start={proxy.task.settings.start!r}, wanted 'half_trained'")
    write_weights(proxy.alone(proxy.initial(seed), seed, proxy.task.settings.start_iterations, skipped=0), path)


def write_probe(proxy: ProxyTraining, seed: int) -> None:
    """Train the student of a seed shortly without distillation, and keep it for calibration.

    Raises as `ProxyTraining.student` and `ProxyTraining.alone`.
    """
    iterations, skipped = proxy.task.settings.calibration_iterations, proxy.task.skipped
    write_weights(proxy.alone(proxy.student(seed), seed, iterations, skipped), proxy.task.probe)


def measure_scale(proxy: ProxyTraining, formula: str, seed: int) -> Scale:
    """Measure the scale of one tree on the probe student.

    Returns:
        |task gradient| / |distillation gradient|, both on those parameters of backbone and neck that the tree
        reaches, each the median over its batches, rounded to 3 significant digits; or ``rejected:gradient``,
        ``nonfinite``, ``shape``. Where no image of a batch shows an object, a tree without a gradient passes it over.

    Raises:
        FormulaError: if the formula cannot be read.
        StoreError: if the probe student or the kept teacher outputs cannot be read.
    """
    started = time.perf_counter()
    model = probe_model(proxy, formula, seed)
    try:
        distilled = _distilled_gradients(proxy, model, seed)
    except KnowledgeError as error:
        return Scale(None, "shape", str(error), time.perf_counter() - started)
    norm = median(_length(gradient) for gradient in distilled)
    task = median(_length(gradient, distilled[0]) for gradient in task_gradients(proxy, seed))
    seconds = time.perf_counter() - started
    if not math.isfinite(task + norm):
        return Scale(None, "nonfinite", "the gradient on the student's parameters is not finite", seconds)
    if norm <= SMALLEST:
        return Scale(None, "rejected:gradient", "no gradient reaches the student's backbone and neck", seconds)
    if task <= SMALLEST:
        return Scale(None, "rejected:gradient", "the task's own loss does not reach what the tree reaches", seconds)
    return Scale(_ratio(task, norm), wall_seconds=seconds)


def task_gradients(proxy: ProxyTraining, seed: int) -> list[Gradient]:
    """Return the gradient of the student's own loss on each of the calibration batches.

    Single batches are not to be trusted: a few give several times the others' gradient. A proxy measures them once for
    all trees.
    """
    if seed not in proxy.task_gradients:
        model, found = probe_model(proxy, NONE, seed), []
        batches = islice(proxy.batches(seed, model), proxy.task.settings.calibration_batches)
        for iteration, (batch, _) in enumerate(batches):
            seed_all(seed, iteration)
            total, _ = model.student.parse_losses(model.losses(batch))
            found.append(squared_gradients(total, body(model.student)))
        proxy.task_gradients[seed] = found
    return proxy.task_gradients[seed]


def _distilled_gradients(proxy: ProxyTraining, model: DistilledDetector, seed: int) -> list[Gradient]:
    """Return the gradient of a loss on each of the first batches; it differs little between them."""
    count = min(DISTILLED_BATCHES, proxy.task.settings.calibration_batches)
    found: list[Gradient] = []
    batches = islice(proxy.batches(seed, model), proxy.task.settings.calibration_batches)
    for iteration, (batch, teacher) in enumerate(batches):
        if len(found) == count:
            break
        seed_all(seed, iteration)
        losses = model.losses(batch, teacher)
        loss = torch.stack([levels.mean() for name, levels in losses.items() if name.startswith("loss_distill_")]).sum()
        gradient = squared_gradients(loss, body(model.student))
        if _length(gradient) or any(len(sample.gt_instances) for sample in batch["data_samples"]):
            found.append(gradient)
    return found or [[None] * len(body(model.student))]


def probe_model(proxy: ProxyTraining, formula: str, seed: int) -> DistilledDetector:
    """Make the probe student of a seed with a distiller's loss and adapters, in train mode.

    Raises FormulaError or StoreError if the formula or the student cannot be read.
    """
    model = proxy.model(parse_distiller(formula, proxy.task.primitive_set), seed)
    model.student.load_state_dict(read_weights(proxy.task.probe))
    model.train()
    return model


def body(student: BaseDetector) -> list[Tensor]:
    """Return the trained parameters of backbone and neck: what every loss on features, classes or boxes moves."""
    parts = [student.backbone, *([student.neck] if student.with_neck else [])]
    return [parameter for part in parts for parameter in part.parameters() if parameter.requires_grad]


def squared_gradients(loss: Tensor, parameters: Sequence[Tensor]) -> Gradient:
    """Return the squared length of a loss's gradient on each of some parameters, None where none arrives.

    The graph is kept, so that other losses of the same forward pass can be asked.
    """
    if not loss.requires_grad or not parameters:
        return [None] * len(parameters)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    squares = [gradient.double().square().sum() for gradient in found if gradient is not None]
    values = iter(torch.stack(squares).tolist() if squares else ())
    return [None if gradient is None else next(values) for gradient in found]


def scale_of(task: Gradient, distilled: Gradient) -> float | None:
    """Return the factor that makes two gradients as long where the second arrives; None where one is missing."""
    lengths = _length(task, distilled), _length(distilled)
    if not math.isfinite(sum(lengths)) or min(lengths) <= SMALLEST:
        return None
    return _ratio(*lengths)


def _length(gradient: Gradient, reached: Gradient | None = None) -> float:
    """Return the length of a gradient, on the parameters that another one reaches."""
    where = gradient if reached is None else reached
    return math.sqrt(sum(g for g, r in zip(gradient, where, strict=True) if g is not None and r is not None))


def _ratio(task: float, distilled: float) -> float:
    return float(f"{task / distilled:.3g}")
