"""Heads that find masks without regions: what is read of each kind of mmdet's, in the forms of `_mask_ways`.

A further kind of head is a function that reads it, and a line of `HEADS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.dense_heads import (
    CondInstBboxHead,
    DecoupledSOLOHead,
    MaskFormerHead,
    RTMDetInsHead,
    SOLOHead,
    SOLOV2Head,
    YOLACTHead,
)
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from ..parts import AbsentError
from ._base import Call, Ran, Rest
from ._shared import Outputs
from .mask_head import mask_stages

OF_INTEREST = 8
"""Strides in which RTMDet-Ins measures how far a mask's cell is from its point."""

SOLO_STRIDE = 4
"""Input pixels between two cells of the finest masks of SOLO, which takes maps from stride 4 on."""

Calls = Sequence[Sequence[Call]]


@dataclass(frozen=True)
class MaskHead:
    """How a kind of head is read.

    Attributes:
        modules: those of a detector whose forwards are recorded.
        read: makes the outputs of their calls: ``instance_scores`` (N T, K), the class probabilities of every place;
            ``instance_points`` (N T, 2) in pixels, where the head's places lie somewhere; ``instance_extents`` (N, 2),
            the height and width in pixels that its masks cover, as the head itself has it; those of a way to masks.
        rest: runs these modules on the neck's maps, where the detector's first head does not.
    """

    modules: Callable[[Any], list[nn.Module]]
    read: Callable[[Any, Calls], Outputs]
    rest: Rest | None = None


def mask_head_of(detector: BaseDetector) -> MaskHead:
    """Return how a detector's masks are read; raises AbsentError where it finds none, or on regions, or otherwise."""
    for name in ("panoptic_head", "mask_head", "bbox_head"):
        for kind, head in HEADS.items():
            if isinstance(getattr(detector, name, None), kind):
                return head
    mask_stages(detector)
    raise AbsentError(f"{type(detector).__name__} finds its masks on regions")


def _rows(maps: Sequence[Tensor], width: int) -> Tensor:
    """Write the levels (N, A D, H, W) of a head as (N, T, D), a row for each place."""
    return torch.cat([x.float().permute(0, 2, 3, 1).reshape(len(x), -1, width) for x in maps], dim=1)


def _placed(scores: Tensor, points: Tensor, extent: Sequence[float]) -> Outputs:
    """Return the probabilities (N, T, K) of places, where these lie (T, 2) and what masks cover, in rows."""
    points = points.float().repeat(len(scores), 1)
    extents = points.new_tensor(extent).repeat(len(scores), 1)
    scores = scores.detach().flatten(0, 1)
    return {"instance_scores": [scores], "instance_points": [points], "instance_extents": [extents]}


def _covered(maps: Tensor, stride: float) -> tuple[float, float]:
    """Return the height and width in pixels of maps (N, C, h, w)."""
    return maps.shape[2] * stride, maps.shape[3] * stride


def _product(kernels: Tensor, features: Tensor) -> Outputs:
    """Return kernels (N, T, C) that are multiplied with features (N, C, h, w)."""
    rows = nn.functional.pad(kernels.flatten(0, 1), (0, 1))[:, None]  # no bias
    return {"instance_kernels": [rows], "instance_features": [features.float()]}


def _priors(head: Any, maps: Sequence[Tensor], **options: Any) -> Tensor:
    """Return the priors of all levels: anchors (T, 4), or points with their strides."""
    sizes = [level.shape[2:] for level in maps]
    return torch.cat(head.prior_generator.grid_priors(sizes, device=maps[0].device, **options)).float()


def _read_yolact(detector: Any, calls: Calls) -> Outputs:
    """Read coefficients of prototypes, which cover the input; a softmax's last class is the background."""
    head = detector.bbox_head
    scores, _, coefficients = calls[0][0].output
    anchors = _priors(head, scores)
    classes = _rows(scores, head.cls_out_channels)
    classes = classes.sigmoid() if head.use_sigmoid_cls else classes.softmax(dim=2)[..., :-1]
    extent = calls[2][0].arguments[0].shape[2:]
    places = _placed(classes, (anchors[:, :2] + anchors[:, 2:]) / 2, extent)
    return {**places, **_product(_rows(coefficients, head.num_protos), calls[1][0].output)}


def _read_condinst(detector: Any, calls: Calls) -> Outputs:
    (scores, _, _, parameters), masks = calls[0][0].output, detector.mask_head
    return _dynamic(detector.bbox_head, masks, (scores, parameters, calls[1][0].output), masks.size_of_interest)


def _read_rtmdet(detector: Any, calls: Calls) -> Outputs:
    scores, _, parameters, features = calls[0][0].output
    return _dynamic(detector.bbox_head, detector.bbox_head, (scores, parameters, features), OF_INTEREST)


def _dynamic(
    boxes: Any, masks: Any, found: tuple[Sequence[Tensor], Sequence[Tensor], Tensor], interest: int
) -> Outputs:
    """Read dynamic convolutions, the first of which sees how far a cell is from its place.

    That is (points - cells) / (interest strides). It is linear, so that the layer becomes one on the cells themselves,
    which join the features, and the points' part goes to its bias.

    Args:
        boxes: the head that places points.
        masks: names the numbers of weights and biases of every layer, and places the features' cells.
        found: scores and parameters, all weights first, then all biases, of every level; features (N, C, h, w).
        interest: strides that count as 1.
    """
    scores, parameters, features = found
    points = _priors(boxes, scores, with_stride=True)
    classes = _rows(scores, boxes.cls_out_channels).sigmoid()
    numbers = [*masks.weight_nums, *masks.bias_nums]
    parts = _rows(parameters, sum(numbers)).flatten(0, 1).split(numbers, dim=1)
    half, n, size = len(numbers) // 2, len(features), features.shape[2:]
    layers = [
        torch.cat([w.unflatten(1, (b.shape[1], -1)), b[..., None]], 2)
        for w, b in zip(parts[:half], parts[half:], strict=True)
    ]
    cells = masks.prior_generator.single_level_grid_priors(size, 0, device=features.device).float()
    unit = float(masks.prior_generator.strides[0][0])
    apart, rest, bias = layers[0].split([2, layers[0].shape[2] - 3, 1], dim=2)
    apart = apart / (points[:, 2:3] * interest).repeat(n, 1)[:, None]
    bias = bias + (apart * points[:, :2].repeat(n, 1)[:, None]).sum(dim=2, keepdim=True)
    layers[0] = torch.cat([-apart * unit, rest, bias], dim=2)
    grid = (cells / unit).T.reshape(1, 2, *size).expand(n, -1, -1, -1)
    kept = {"instance_kernels": layers, "instance_features": [torch.cat([grid, features.float()], dim=1)]}
    return {**_placed(classes, points[:, :2], _covered(features, unit)), **kept}


def _cells(head: Any, calls: Sequence[Call], finest: Tensor, stride: int) -> Outputs:
    """Return the scores and the centres of the cells of SOLO's grids, which divide what its masks cover.

    The calls are those of its class layer, one a level; the stride is that of its finest maps (N, C, h, w).
    """
    height, width = _covered(finest, stride)
    scores = _rows([call.output for call in calls], head.cls_out_channels).sigmoid()
    steps = [(torch.arange(cells, device=scores.device) + 0.5) / cells for cells in head.num_grids]
    grids = [torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=2).flatten(0, 1) for step in steps]
    return _placed(scores, torch.cat(grids) * scores.new_tensor([width, height]), (height, width))


def _read_solo(detector: Any, calls: Calls) -> Outputs:
    """Read the layers' outputs: those of the head differ in eval mode."""
    maps = [call.output.float() for layer in calls[1:] for call in layer]
    places = _cells(detector.mask_head, calls[0], maps[0], SOLO_STRIDE)
    if not isinstance(detector.mask_head, DecoupledSOLOHead):
        return {**places, "instance_maps": maps}
    half = len(maps) // 2
    return {**places, "instance_columns": maps[:half], "instance_rows": maps[half:]}


def _read_solov2(detector: Any, calls: Calls) -> Outputs:
    head, (kernels, _, features) = detector.mask_head, calls[1][0].output
    if head.dynamic_conv_size != 1:
        raise AbsentError(f"{type(head).__name__}'s kernels have side {head.dynamic_conv_size}, not 1")
    places = _cells(head, calls[0], features, head.mask_stride)
    return {**places, **_product(_rows(kernels, head.kernel_out_channels), features)}


def _read_queries(detector: Any, calls: Calls) -> Outputs:
    """Read the last decoder layer: a softmax tells the classes and the background, the last."""
    (_, samples), (logits, maps) = calls[0][0].arguments, (layers[-1].float() for layers in calls[0][0].output)
    scores = logits.detach().softmax(dim=2)[..., :-1].flatten(0, 1)
    extents = maps.new_tensor([sample.batch_input_shape for sample in samples])
    return {"instance_scores": [scores], "instance_extents": [extents], "instance_maps": [maps]}


def _run_mask_head(detector: Any, ran: Ran) -> None:
    detector.mask_head(ran.maps)


HEADS: dict[type, MaskHead] = {
    YOLACTHead: MaskHead(
        lambda d: [d.bbox_head, d.mask_head.protonet, d.backbone],
        _read_yolact,
        lambda d, ran: d.mask_head.protonet(ran.maps[0]),
    ),
    CondInstBboxHead: MaskHead(
        lambda d: [d.bbox_head, d.mask_head.mask_feature_head],
        _read_condinst,
        lambda d, ran: d.mask_head.mask_feature_head(ran.maps),
    ),
    RTMDetInsHead: MaskHead(lambda d: [d.bbox_head], _read_rtmdet),
    SOLOV2Head: MaskHead(lambda d: [d.mask_head.conv_cls, d.mask_head], _read_solov2, _run_mask_head),
    DecoupledSOLOHead: MaskHead(
        lambda d: [d.mask_head.conv_cls, *d.mask_head.conv_mask_list_x, *d.mask_head.conv_mask_list_y],
        _read_solo,
        _run_mask_head,
    ),
    SOLOHead: MaskHead(lambda d: [d.mask_head.conv_cls, *d.mask_head.conv_mask_list], _read_solo, _run_mask_head),
    MaskFormerHead: MaskHead(
        lambda d: [d.panoptic_head], _read_queries, lambda d, ran: d.panoptic_head(ran.maps, ran.samples)
    ),
}
"""By kind of head; the first that fits."""
