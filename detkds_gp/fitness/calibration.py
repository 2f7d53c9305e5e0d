"""The scale of a tree: what makes its gradient on the student's features as large as the task's.

A weight multiplies the scale, so that weight 1 means the same for every formula.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import islice
from statistics import median
from typing import Any

import torch
from torch import Tensor

from detkds_gp.detectors import SAID, Scene, Taps, scene_of
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.fitness.weights import read_weights, write_weights
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.losses import KnowledgeError
from detkds_gp.score import Scale
from detkds_gp.training import DistilledDetector, seed_all
from detkds_gp.training.distilled_detector import Said

SMALLEST = 1e-12
"""A gradient norm that counts as none."""

DISTILLED_BATCHES = 2
"""On which a tree's gradient is measured; that of the student's own loss takes more to be steady."""


def write_start(proxy: ProxyTraining, seed: int) -> None:
    """Train the student of a seed alone for ``start_iterations`` steps: all its candidates start from it.

    Raises:
        DetectorError: if it fails to train.
        ValueError: if the settings do not start from a half-trained student.
    """
    path = proxy.task.start(seed)
    if path is None:
        raise ValueError(f"got start={proxy.task.settings.start!r}, wanted 'half_trained'")
    write_weights(proxy.alone(proxy.initial(seed), seed, proxy.task.settings.start_iterations, skipped=0), path)


def write_probe(proxy: ProxyTraining, seed: int) -> None:
    """Train the student of a seed shortly without distillation, and keep it for calibration.

    Raises:
        DetectorError: if the student cannot even be trained alone.
        StoreError: if the half-trained student cannot be read.
    """
    iterations, skipped = proxy.task.settings.calibration_iterations, proxy.task.skipped
    write_weights(proxy.alone(proxy.student(seed), seed, iterations, skipped), proxy.task.probe)


def measure_scale(proxy: ProxyTraining, formula: str, seed: int) -> Scale:
    """Measure the scale of one tree on the probe student.

    Args:
        proxy: gives student, batches and the teacher's knowledge.
        formula: the tree's text.
        seed: whose plan gives the batches.

    Returns:
        |task gradient| / |distillation gradient|, both on the neck's maps (or on the module that the tree
        reads) over all levels, each the median over its batches, rounded to 3 significant digits; or
        ``rejected:gradient``, ``nonfinite``, ``shape``.

    Raises:
        FormulaError: if the formula cannot be read.
        StoreError: if the probe student or the kept teacher outputs cannot be read.
    """
    started = time.perf_counter()
    model = probe_model(proxy, formula, seed)
    assert model.pairing is not None
    try:
        distilled = _median(_distilled_norms(proxy, model, seed))
    except KnowledgeError as error:
        return Scale(None, "shape", str(error), time.perf_counter() - started)
    task = task_norm(proxy, model.pairing.heard, seed)
    seconds = time.perf_counter() - started
    if not math.isfinite(task + distilled):
        return Scale(None, "nonfinite", "the gradient on the student's features is not finite", seconds)
    if task <= SMALLEST:
        return Scale(None, "rejected:gradient", "the task's own loss does not reach what the tree reads", seconds)
    if distilled <= SMALLEST:
        return Scale(None, "rejected:gradient", "no gradient reaches the student's features", seconds)
    return Scale(scale_of(task**2, distilled**2), wall_seconds=seconds)


def task_norm(proxy: ProxyTraining, heard: Sequence[str], seed: int) -> float:
    """Return the median norm of the gradient of the student's own loss, over the calibration batches.

    Single batches are not to be trusted: a few give several times the others' gradient. A proxy measures it once for
    all trees that are felt at the same place.

    Args:
        proxy: gives student and batches.
        heard: what the tree needs of the student.
        seed: whose plan gives the batches.
    """
    place = seed, tuple(_paths(heard))
    if place not in proxy.task_norms:
        model = probe_model(proxy, NONE, seed)
        norms = []
        for iteration, (batch, _) in enumerate(proxy.batches(seed, model)):
            if iteration == proxy.task.settings.calibration_batches:
                break
            seed_all(seed, iteration)
            losses, said, _ = _forward(model, batch, _paths(heard))
            total, _ = model.student.parse_losses(losses)
            norms.append(math.sqrt(squared_gradient(total, felt(said, heard))))
        proxy.task_norms[place] = _median(norms)
    return proxy.task_norms[place]


def _distilled_norms(proxy: ProxyTraining, model: DistilledDetector, seed: int) -> list[float]:
    """Return the norm of the gradient of a loss for each of the first batches; it differs little between them."""
    assert model.pairing is not None
    batches = min(DISTILLED_BATCHES, proxy.task.settings.calibration_batches)
    norms = []
    for iteration, (batch, teacher) in enumerate(islice(proxy.batches(seed, model), batches)):
        assert teacher is not None
        seed_all(seed, iteration)
        _, said, scene = _forward(model, batch, model.pairing.heard)
        terms = model.distill(said, teacher, scene)
        loss = torch.stack([levels.mean() for levels in terms.values()]).sum()
        norms.append(math.sqrt(squared_gradient(loss, felt(said, model.pairing.heard))))
    return norms


def _median(norms: Sequence[float]) -> float:
    return median(norms) if all(math.isfinite(norm) for norm in norms) else math.nan


def probe_model(proxy: ProxyTraining, formula: str, seed: int) -> DistilledDetector:
    """Make the probe student of a seed with a distiller's loss and adapters, in train mode.

    Raises:
        FormulaError: the formula cannot be read.
        StoreError: the probe student cannot be read.
    """
    model = proxy.model(parse_distiller(formula, proxy.task.primitive_set), seed)
    model.student.load_state_dict(read_weights(proxy.task.probe))
    model.train()
    return model


def _forward(
    model: DistilledDetector, batch: dict[str, Any], heard: Sequence[str]
) -> tuple[dict[str, Any], Said, Scene]:
    """Run the student's own loss once and return it, what the student says, and the objects of the batch."""
    data = model.student.data_preprocessor(batch, True)
    with Taps(model.student, [*heard, "global"]) as taps:
        losses = model.student.loss(data["inputs"], data["data_samples"])
    return losses, taps.knowledge(), scene_of(data)


def felt(said: Said, heard: Sequence[str]) -> list[Tensor]:
    """Return the tensors on which gradients are compared: the neck's maps, or modules that the loss reads.

    Args:
        said: the student's statements, the neck's maps among them.
        heard: those that the loss needs; a module's path among them may stand before the neck.
    """
    return [level for name in _paths(heard) or ["global"] for level in said[name]]


def _paths(heard: Sequence[str]) -> list[str]:
    return [name for name in heard if name not in SAID]


def squared_gradient(loss: Tensor, tensors: Sequence[Tensor]) -> float:
    """Return the squared norm of a loss's gradient on some tensors, 0 where none arrives; keeps the graph."""
    wanted = [x for x in tensors if x.requires_grad]
    if not loss.requires_grad or not wanted:
        return 0.0
    gradients = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    return sum(float(g.double().square().sum()) for g in gradients if g is not None)


def scale_of(task: float, distilled: float) -> float | None:
    """Return the factor that makes two gradients as long, of their squared norms; None where one is missing."""
    if not math.isfinite(task + distilled) or min(task, distilled) <= SMALLEST**2:
        return None
    return float(f"{math.sqrt(task / distilled):.3g}")
