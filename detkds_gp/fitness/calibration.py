"""The scale of a tree: what makes its gradient on the student's features as large as the task's.

A weight multiplies the scale, so that weight 1 means the same for every formula.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from detkds_gp.detectors import SAID, Taps, scene_of
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.fitness.weights import read_weights, write_weights
from detkds_gp.language import parse_distiller
from detkds_gp.losses import KnowledgeError
from detkds_gp.score import Scale
from detkds_gp.training import DistilledDetector, seed_all
from detkds_gp.training.distilled_detector import Said

SMALLEST = 1e-12
"""A gradient norm that counts as none."""


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
        reads) over all levels and calibration batches, rounded to 3 significant digits; or
        ``rejected:gradient``, ``nonfinite``, ``shape``.

    Raises:
        FormulaError: if the formula cannot be read.
        StoreError: if the probe student or the kept teacher outputs cannot be read.
    """
    started = time.perf_counter()
    model = probe_model(proxy, formula, seed)
    task, distilled = 0.0, 0.0
    batches = islice(proxy.batches(seed, model), proxy.task.settings.calibration_batches)
    for iteration, (batch, teacher) in enumerate(batches):
        seed_all(seed, iteration)
        try:
            squares = _gradient_squares(model, batch, teacher)
        except KnowledgeError as error:
            return Scale(None, "shape", str(error), time.perf_counter() - started)
        task, distilled = task + squares[0], distilled + squares[1]
    seconds = time.perf_counter() - started
    if not math.isfinite(task + distilled):
        return Scale(None, "nonfinite", "the gradient on the student's features is not finite", seconds)
    if task <= SMALLEST**2:
        return Scale(None, "rejected:gradient", "the task's own loss does not reach what the tree reads", seconds)
    if distilled <= SMALLEST**2:
        return Scale(None, "rejected:gradient", "no gradient reaches the student's features", seconds)
    return Scale(scale_of(task, distilled), wall_seconds=seconds)


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


def _gradient_squares(model: DistilledDetector, batch: dict[str, Any], teacher: Said | None) -> tuple[float, float]:
    """Return the squared norms of task and distillation gradient where both are felt, for one batch."""
    assert model.pairing is not None
    assert teacher is not None
    data = model.student.data_preprocessor(batch, True)
    with Taps(model.student, [*model.pairing.heard, "global"]) as taps:
        losses = model.student.loss(data["inputs"], data["data_samples"])
    said = taps.knowledge()
    task, _ = model.student.parse_losses(losses)
    terms = model.distill(said, teacher, scene_of(data))
    distilled = torch.stack([levels.mean() for levels in terms.values()]).sum()
    where = felt(said, model.pairing.heard)
    return squared_gradient(task, where), squared_gradient(distilled, where)


def felt(said: Said, heard: Sequence[str]) -> list[Tensor]:
    """Return the tensors on which gradients are compared: the neck's maps, or modules that the loss reads.

    Args:
        said: the student's statements, the neck's maps among them.
        heard: those that the loss needs; a module's path among them may stand before the neck.
    """
    paths = [name for name in heard if name not in SAID]
    return [level for name in paths or ["global"] for level in said[name]]


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
