"""Masks without regions by mmdet's own code: every place of a detector, by loops over its head's outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

HEIGHT, WIDTH = 64, 96
"""Of all images."""

Place = tuple[Tensor, tuple[float, float], Callable[[], Tensor], int]
"""Class probabilities, the point, what makes the map of logits by mmdet's code, and its stride."""


def places(kind: str, detector: Any, data: dict[str, Any], image: int) -> Iterator[Place]:
    """Yield every place of an image by loops over the head's own outputs in train mode."""
    maps = detector.extract_feat(data["inputs"])
    if kind in ("yolact", "condinst", "rtmdet_ins"):
        yield from anchored(kind, detector, maps, image)
    elif kind == "mask2former":
        logits, masks = (layers[-1][image] for layers in detector.panoptic_head(maps, data["data_samples"]))
        for query in range(len(logits)):
            yield logits[query].softmax(0)[:-1], (0.0, 0.0), lambda q=query: masks[q], 4
    else:
        yield from gridded(kind, detector, maps, image)


def anchored(kind: str, detector: Any, maps: Any, image: int) -> Iterator[Place]:
    head = detector.bbox_head
    outputs = head(maps)
    scores, kernels = outputs[0], outputs[3] if kind == "condinst" else outputs[2]
    for level, stride in enumerate(s[0] for s in head.prior_generator.strides):
        count = head.prior_generator.num_base_priors[level]
        anchors = head.prior_generator.single_level_grid_priors(scores[level].shape[2:], level, device="cpu")
        _, _, h, w = scores[level].shape
        for row, column, anchor in ((y, x, a) for y in range(h) for x in range(w) for a in range(count)):
            logit = scores[level][image].reshape(count, -1, h, w)[anchor, :, row, column]
            kernel = kernels[level][image].reshape(count, -1, h, w)[anchor, :, row, column]
            prior = anchors[(row * w + column) * count + anchor]
            if kind == "yolact":
                yield (
                    logit.softmax(0)[:-1],
                    tuple(((prior[:2] + prior[2:]) / 2).tolist()),
                    lambda kernel=kernel: prototypes(detector, maps, image, kernel),
                    4,
                )
                continue
            place = tuple(prior[:2].tolist())
            if kind == "condinst":
                yield (
                    logit.sigmoid(),
                    place,
                    lambda k=kernel, p=prior, s=stride: condinst(detector, maps, image, k, p, s),
                    8,
                )
            else:
                row4 = torch.tensor([[*place, stride, stride]])
                yield (
                    logit.sigmoid(),
                    place,
                    lambda k=kernel, p=row4: head._mask_predict_by_feat_single(outputs[3][image], k[None], p)[0],
                    8,
                )


def prototypes(detector: Any, maps: Any, image: int, kernel: Tensor) -> Tensor:
    infos = [InstanceData(coeffs=kernel[None]) for _ in maps[0]]
    return detector.mask_head(maps, infos)[0][image][..., 0].logit()


def condinst(detector: Any, maps: Any, image: int, kernel: Tensor, prior: Tensor, stride: int) -> Tensor:
    head = copy.copy(detector.mask_head)
    head.mask_out_stride = head.mask_feat_stride  # before they are made twice as large
    info = InstanceData(param_preds=kernel[None], points=prior[None, :2], strides=prior.new_tensor([stride]))
    return head.forward_single(head.mask_feature_head(maps)[image], info)[0][0]


def gridded(kind: str, detector: Any, maps: Any, image: int) -> Iterator[Place]:
    head = detector.mask_head
    outputs = head(maps)
    scores = outputs[1] if kind in ("solo", "solov2") else outputs[2]
    for level, side in enumerate(head.num_grids):
        for row, column in ((y, x) for y in range(side) for x in range(side)):
            point = ((column + 0.5) / side * WIDTH, (row + 0.5) / side * HEIGHT)

            def mask(level: int = level, row: int = row, column: int = column, side: int = side) -> Tensor:
                if kind == "solo":
                    return outputs[0][level][image, row * side + column]
                if kind == "solov2":
                    kernel = outputs[0][level][image, :, row, column]
                    return F.conv2d(outputs[2][[image]], kernel[None, :, None, None])[0, 0]
                x, y = outputs[0][level][image, column], outputs[1][level][image, row]
                return (x.sigmoid() * y.sigmoid()).logit()

            stride = 4 if kind == "solov2" else head.strides[level] // 2
            yield scores[level][image, :, row, column].sigmoid(), point, mask, stride


def chosen(found: list[Place], boxes: Tensor, number: int) -> Place:
    """Return the place of an object by a loop over all places."""
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes.tolist()]
    best, near = (-1.0, None), []
    x1, y1, x2, y2 = boxes[number].tolist()
    for place in found:
        x, y = place[1]
        inside = [i for i, (a, b, c, d) in enumerate(boxes.tolist()) if a <= x <= c and b <= y <= d]
        if number in inside and areas[number] == min(areas[i] for i in inside):
            best = max(best, (float(place[0][number]), place), key=lambda one: one[0])
        apart = (x - (x1 + x2) / 2) ** 2 + (y - (y1 + y2) / 2) ** 2
        near.append((round(apart, 2), -float(place[0][number]), place))
    return best[1] or min(near, key=lambda one: one[:2])[2]
