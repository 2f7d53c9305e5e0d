"""The students of `configs/tiny` with weights drawn by numpy: losses and gradients of one step, and predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from detkds_gp.config import load_config
from detkds_gp.detectors import ImageInput, build_detector, make_batch, predict

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "tiny"
FAMILIES = (
    "retinanet", "fcos", "atss", "gfl", "reppoints", "faster_rcnn", "cascade_rcnn", "mask_rcnn", "cascade_mask_rcnn",
)  # fmt: skip
CLASSES = ("0", "1", "4", "7")


def one_step(name: str) -> dict[str, Tensor]:
    """Return a family's losses, the length of the gradient of every part, and what it predicts of two images."""
    student = build_detector(load_config(CONFIGS / f"{name}.py").student.spec(), CLASSES, initialise=False)
    draw_weights(student)
    found = predict(student, images())
    outcome = {
        f"{field} {index}": torch.from_numpy(np.asarray(getattr(detections, field)))
        for index, detections in enumerate(found)
        for field in ("boxes", "scores", "labels")
    }
    data = student.data_preprocessor(images(), training=True)
    torch.manual_seed(3)  # of the samplers
    total, parts = student.parse_losses(student.loss(data["inputs"], data["data_samples"]))
    total.backward()
    outcome |= {name: value.detach() for name, value in parts.items()}
    return outcome | {f"gradient of {part}": length for part, length in gradients(student).items()}


def gradients(detector: BaseDetector) -> dict[str, Tensor]:
    """Return the L2 norm of the gradient of every module with weights of its own."""
    squares: dict[str, Tensor] = {}
    for name, parameter in detector.named_parameters():
        if parameter.grad is not None:
            part = name.rsplit(".", 1)[0]
            squares[part] = squares.get(part, torch.zeros(())) + parameter.grad.square().sum()
    return {part: square.sqrt() for part, square in squares.items()}


def draw_weights(detector: BaseDetector) -> None:
    """Set all weights: filters of unit gain, norms of 1 and 0, biases that spread the scores."""
    rng = np.random.RandomState(0)
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            drawn = torch.from_numpy(rng.standard_normal(tuple(parameter.shape))).to(parameter)
            if parameter.dim() > 1:
                parameter.copy_(drawn * (2 / parameter[0].numel()) ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * drawn)
            else:
                parameter.fill_(1.0)


def images() -> dict[str, Any]:
    """Return a batch of two images of noise of 64 pixels, one with three objects and one with none."""
    rng = np.random.RandomState(1)
    objects = np.array([[4, 6, 24, 30], [30, 10, 52, 28], [20, 34, 44, 60]], np.float32)
    items = []
    for image, boxes in enumerate((objects, objects[:0])):
        array = rng.randint(0, 256, (64, 64, 3)).astype(np.uint8)
        for box in boxes.astype(int):
            array[box[1] : box[3], box[0] : box[2]] //= 4
        masks = [[[x, y, u, y, u, v, x, v]] for x, y, u, v in boxes.tolist()]
        labels = np.arange(len(boxes), dtype=np.int64)
        items.append(ImageInput(array, (64, 64), (1.0, 1.0), (64, 64), boxes, labels, image, masks))
    return make_batch(items, masks=True)
