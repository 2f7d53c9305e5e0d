"""Inputs to mmcv's operators, and what comes out: outputs and gradients, by the name of a case.

Inputs are drawn by numpy's RandomState, whose streams do not change with its version. `record.py` writes down what
the compiled mmcv gives for them; the tests ask the same of the operators that are active.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmcv import ops
from torch import Tensor

Outcome = dict[str, Tensor]
Case = Callable[[], Outcome]
RNG = np.random.RandomState
FLOAT_TYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16}


def normal(rng: RNG, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape)).to(dtype)


def boxes(rng: RNG, count: int) -> Tensor:
    """Return (count, 4) xyxy boxes, some outside the image of 48 pixels, the last without area."""
    corners = rng.uniform(-6, 34, (count, 2))
    made = np.concatenate([corners, corners + rng.uniform(0.5, 40, (count, 2))], axis=1)
    if count > 2:
        made[-1, 2:] = made[-1, :2]
    return torch.from_numpy(made).float()


def regions(rng: RNG, count: int, images: int, dtype: torch.dtype) -> Tensor:
    owner = torch.from_numpy(rng.randint(0, images, (count, 1))).float()
    return torch.cat([owner, boxes(rng, count)], dim=1).to(dtype)


def with_gradients(function: Callable[..., Tensor], inputs: dict[str, Tensor], seed: int = 9) -> Outcome:
    """Return the output and the gradient of every input under a random cotangent."""
    leaves = {name: value.detach().clone().requires_grad_() for name, value in inputs.items()}
    output = function(**leaves)
    output.backward(normal(RNG(seed), *output.shape, dtype=output.dtype))
    return {"output": output.detach(), **{f"grad_{name}": leaf.grad for name, leaf in leaves.items()}}


def roi_align(count: int, size: tuple[int, int], dtype: str, **options: Any) -> Outcome:
    rng, kind = RNG(count + sum(size)), FLOAT_TYPES[dtype]
    features, rois = normal(rng, 2, 3, *size, dtype=kind), regions(rng, count, 2, kind)
    align = ops.RoIAlign(**{"output_size": (7, 7), "spatial_scale": 0.25, "sampling_ratio": 0, **options})
    return with_gradients(lambda features: align(features, rois), {"features": features})


def scored(count: int, ties: bool) -> tuple[Tensor, Tensor]:
    rng = RNG(count)
    found, scores = boxes(rng, count), torch.from_numpy(rng.uniform(0, 1, count)).float()
    return found, (scores * 5).round() / 5 if ties else scores


def nms(count: int, ties: bool, **options: Any) -> Outcome:
    found, scores = scored(count, ties)
    detections, kept = ops.nms(found, scores, **options)
    return {"detections": detections, "kept": kept, "order": scores.sort(descending=True)[1]}


def soft_nms(count: int, ties: bool, **options: Any) -> Outcome:
    detections, kept = ops.soft_nms(*scored(count, ties), **options)
    return {"detections": detections, "kept": kept}


def batched_nms(count: int, ties: bool, cfg: dict[str, Any] | None, class_agnostic: bool = False) -> Outcome:
    found, scores = scored(count, ties)
    labels = torch.from_numpy(RNG(1).randint(0, 3, count))
    detections, kept = ops.batched_nms(found, scores, labels, cfg, class_agnostic)
    return {"detections": detections, "kept": kept, "order": scores.sort(descending=True)[1]}


def nms_match(count: int, ties: bool, threshold: float) -> Outcome:
    found, scores = scored(count, ties)
    groups = ops.nms_match(torch.cat([found, scores[:, None]], dim=1), threshold)
    sizes = torch.tensor([len(group) for group in groups], dtype=torch.long)
    members = torch.cat(groups) if groups else torch.zeros(0, dtype=torch.long)
    return {"members": members, "sizes": sizes, "order": scores.sort(descending=True)[1]}


def deformable(
    modulated: bool,
    size: tuple[int, int],
    kernel: int,
    dtype: str = "float32",
    groups: tuple[int, int] = (1, 1),
    **grid: int,
) -> Outcome:
    """Run a deformable convolution of 4 channels on 2 images; ``groups``: of weights, of offsets."""
    rng, kind = RNG(sum(size) + kernel), FLOAT_TYPES[dtype]
    stride, padding, dilation = grid.get("stride", 1), grid.get("padding", 0), grid.get("dilation", 1)
    out = [(length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for length in size]
    points = groups[1] * kernel * kernel
    inputs = {
        "input": normal(rng, 2, 4, *size, dtype=kind),
        "offset": 2 * normal(rng, 2, 2 * points, *out, dtype=kind),
        "weight": normal(rng, 6, 4 // groups[0], kernel, kernel, dtype=kind),
    }
    if not modulated:
        return with_gradients(
            lambda input, offset, weight: ops.deform_conv2d(input, offset, weight, stride, padding, dilation, *groups),
            inputs,
        )
    inputs |= {"mask": normal(rng, 2, points, *out, dtype=kind).sigmoid(), "bias": normal(rng, 6, dtype=kind)}
    return with_gradients(
        lambda input, offset, weight, mask, bias: ops.modulated_deform_conv2d(
            input, offset, mask, weight, bias, stride, padding, dilation, *groups
        ),
        inputs,
    )


def roi_cases() -> Iterator[tuple[str, Case]]:
    for dtype in FLOAT_TYPES:
        for size in ((13, 17), (1, 1)):
            yield f"roi_align {dtype} {size[0]}x{size[1]}", partial(roi_align, 9, size, dtype)
    for count in (0, 1):
        yield f"roi_align of {count}", partial(roi_align, count, (13, 17), "float32")
    variants: dict[str, dict[str, Any]] = {
        "not aligned": {"aligned": False},
        "sampled twice": {"sampling_ratio": 2},
        "one bin, large scale": {"output_size": 1, "spatial_scale": 1.0},
        "oblong": {"output_size": (3, 5), "spatial_scale": 0.125},
    }
    for name, options in variants.items():
        yield f"roi_align {name}", partial(roi_align, 9, (13, 17), "float32", **options)


def nms_cases() -> Iterator[tuple[str, Case]]:
    for count, ties in ((0, False), (1, False), (63, False), (300, False), (15, True), (300, True)):
        name = f"of {count}{' tied' if ties else ''}"
        for threshold in (0.3, 0.5, 0.75):
            yield f"nms {name} at {threshold}", partial(nms, count, ties, iou_threshold=threshold)
        yield f"nms_match {name}", partial(nms_match, count, ties, 0.5)
        for method in ("naive", "linear", "gaussian"):
            options = {"iou_threshold": 0.3, "sigma": 0.5, "min_score": 1e-2, "method": method}
            yield f"soft_nms {method} {name}", partial(soft_nms, count, ties, **options)
        if count > 1:
            yield f"batched_nms {name}", partial(batched_nms, count, ties, {"type": "nms", "iou_threshold": 0.5})
    yield "nms with pixels counted", partial(nms, 63, False, iou_threshold=0.5, offset=1)
    yield "soft_nms with pixels counted", partial(soft_nms, 63, False, iou_threshold=0.5, offset=1)
    yield "nms above a score", partial(nms, 63, False, iou_threshold=0.5, score_threshold=0.4, max_num=5)
    split = {"type": "nms", "iou_threshold": 0.5, "split_thr": 20, "max_num": 30}
    yield "batched_nms split", partial(batched_nms, 63, False, split)
    yield "batched_nms soft", partial(batched_nms, 63, False, {"type": "soft_nms", "iou_threshold": 0.3})
    yield "batched_nms of all classes", partial(batched_nms, 63, False, {"iou_threshold": 0.5}, True)
    yield "batched_nms without", partial(batched_nms, 63, False, None)


def convolution_cases() -> Iterator[tuple[str, Case]]:
    for modulated in (False, True):
        name = "modulated_deform_conv2d" if modulated else "deform_conv2d"
        for dtype in FLOAT_TYPES:
            yield f"{name} {dtype}", partial(deformable, modulated, (7, 5), 3, dtype, padding=1)
        yield f"{name} one by one", partial(deformable, modulated, (3, 3), 1)
        yield (
            f"{name} strided, in groups",
            partial(deformable, modulated, (9, 6), 3, groups=(2, 2), padding=1, stride=2),
        )
        yield f"{name} dilated", partial(deformable, modulated, (9, 6), 3, padding=2, dilation=2)
    yield "modulated_deform_conv2d on one pixel", partial(deformable, True, (1, 1), 3, padding=1)


CASES: dict[str, Case] = dict([*roi_cases(), *nms_cases(), *convolution_cases()])
