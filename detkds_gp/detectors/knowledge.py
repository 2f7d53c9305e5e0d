"""What a detector says by itself: which modules say it, and how their outputs are read.

A further statement is a further `Reader`; every other one is the output of a module named by its path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor, nn

from .box_maps import read_bin_maps, read_box_maps
from .parts import AbsentError, box_stages, dense_head, mask_stages, module_at, pyramid, rpn_head

Knowledge = dict[str, list[Tensor]]
"""The tensors of one detector on one batch, float32, by name and pyramid level (or stage, or call)."""

PROBABILITY_HEADS = ("TOODHead",)
"""Heads whose first output went through a sigmoid already: their logits cannot be had from it."""


@dataclass(frozen=True)
class Call:
    """One forward of a module.

    Attributes:
        arguments: its positional arguments.
        output: what it returned.
        training: whether it was in train mode.
    """

    arguments: tuple[Any, ...]
    output: Any
    training: bool


@dataclass(frozen=True)
class Reader:
    """A place where a detector says something.

    Attributes:
        names: what is said there.
        modules: the modules that are listened to; raises AbsentError if there are none.
        read: makes the tensors of these names of the calls of each module; raises AbsentError if they do not
            hold them.
        once: whether each module has to run exactly once a step.
    """

    names: tuple[str, ...]
    modules: Callable[[BaseDetector], Sequence[nn.Module]]
    read: Callable[[BaseDetector, Sequence[Sequence[Call]]], Knowledge]
    once: bool = True


def anchors_per_location(head: Any) -> list[int]:
    """Return the anchors (or points) a location has on each level."""
    generator = getattr(head, "prior_generator", None)
    if generator is None or not hasattr(head, "cls_out_channels"):
        raise AbsentError(f"{type(head).__name__} offers no class map")
    return list(generator.num_base_priors)


def _read_pyramid(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    levels = _tensors(calls[0][0].output)
    if not levels or any(level.ndim != 4 for level in levels):
        raise AbsentError(f"{type(pyramid(detector)).__name__} gives no (N, C, H, W) maps")
    return {"global": [level.float() for level in levels]}


def class_maps(head: Any, output: Any) -> list[Tensor]:
    """Return the class logits of a head: dense heads give them first, in train and in eval mode."""
    if type(head).__name__ in PROBABILITY_HEADS:
        raise AbsentError(f"{type(head).__name__} gives probabilities, not logits")
    wanted = [anchors * head.cls_out_channels for anchors in anchors_per_location(head)]
    maps = output[0] if isinstance(output, (tuple, list)) and output else None
    maps = maps if isinstance(maps, (tuple, list)) else []
    if [level.shape[1] if isinstance(level, Tensor) and level.ndim == 4 else None for level in maps] != wanted:
        raise AbsentError(f"{type(head).__name__} offers no class map")
    return [level.float() for level in maps]


def _read_class_map(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    return {"class_map": class_maps(dense_head(detector), calls[0][0].output)}


def _read_box_map(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    return {"box_map": read_box_maps(dense_head(detector), calls[0][0].output, calls[0][0].training)}


def _read_bin_map(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    return {"bin_map": read_bin_maps(dense_head(detector), calls[0][0].output)}


def _read_objectness(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    return {"objectness_map": class_maps(rpn_head(detector), calls[0][0].output)}


def _read_proposals(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    return {"proposal_map": read_box_maps(rpn_head(detector), calls[0][0].output, calls[0][0].training)}


def _box_modules(detector: BaseDetector) -> list[nn.Module]:
    return [module for stage in box_stages(detector) for module in (stage.extractor, stage.head)]


def _read_regions(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    """Read the regions (R, 5) of every stage that ran, its class logits and its decoded boxes."""
    said: Knowledge = {"rois": [], "roi_logits": [], "roi_boxes": []}
    for stage, extracted, predicted in zip(box_stages(detector), calls[::2], calls[1::2], strict=True):
        if len(extracted) != len(predicted) or len(extracted) > 1:
            raise AbsentError(f"{type(stage.head).__name__} ran {len(predicted)} times, wanted at most once")
        for extraction, prediction in zip(extracted, predicted, strict=True):
            rois = extraction.arguments[1]
            logits, deltas = prediction.output
            said["rois"].append(rois)
            said["roi_logits"].append(logits.float())
            said["roi_boxes"].append(decoded_regions(stage.head, rois, deltas))
    return said


def decoded_regions(head: Any, rois: Tensor, deltas: Tensor) -> Tensor:
    """Decode a box head's predictions without clipping: (R, 1 or K, 4), one box for all classes or one each."""
    boxes = head.bbox_coder.decode(rois[:, 1:], deltas.float())
    return boxes.reshape(len(rois), -1, 4) if len(rois) else boxes.reshape(0, max(deltas.shape[1] // 4, 1), 4)


def _mask_modules(detector: BaseDetector) -> list[nn.Module]:
    return [module for stage in mask_stages(detector) for module in (stage.extractor, stage.head)]


def _read_masks(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
    said: Knowledge = {"mask_rois": [], "mask_logits": []}
    for extracted, predicted in zip(calls[::2], calls[1::2], strict=True):
        said["mask_rois"] += [call.arguments[1] for call in extracted]
        said["mask_logits"] += [call.output.float() for call in predicted]
    return said


READERS = (
    Reader(("global",), lambda detector: [pyramid(detector)], _read_pyramid),
    Reader(("class_map",), lambda detector: [dense_head(detector)], _read_class_map),
    Reader(("box_map",), lambda detector: [dense_head(detector)], _read_box_map),
    Reader(("bin_map",), lambda detector: [dense_head(detector)], _read_bin_map),
    Reader(("objectness_map",), lambda detector: [rpn_head(detector)], _read_objectness),
    Reader(("proposal_map",), lambda detector: [rpn_head(detector)], _read_proposals),
    Reader(("rois", "roi_logits", "roi_boxes"), _box_modules, _read_regions, once=False),
    Reader(("mask_rois", "mask_logits"), _mask_modules, _read_masks, once=False),
)
"""``global``: (N, C, H, W), the neck's maps. ``class_map``: (N, A K, H, W), a dense head's class logits before
sigmoid or softmax; channel ``a K + k`` is class k of anchor a; a softmax head has K + 1, the background's last.
``box_map``, ``bin_map``: see `box_maps`. ``objectness_map``: (N, A, H, W) and ``proposal_map``: those of the region
proposal network. ``rois``: (R, 5) of every stage, image index and box; ``roi_logits``: (R, K + 1); ``roi_boxes``:
(R, 1 or K, 4), decoded. ``mask_rois``: (P, 5); ``mask_logits``: (P, K, h, w)."""

SAID = tuple(name for reader in READERS for name in reader.names)
"""Names of all that a detector can be read for."""


def reader_of(name: str) -> Reader:
    """Return the reader of a statement; a name that none knows is a module's path."""
    known = [reader for reader in READERS if name in reader.names]
    return known[0] if known else _module_reader(name)


def _module_reader(path: str) -> Reader:
    def read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Knowledge:
        tensors = [tensor for call in calls[0] for tensor in _tensors(call.output)]
        if not tensors:
            raise AbsentError(f"module {path!r} gives no tensors, or does not run")
        return {path: [tensor.float() for tensor in tensors]}

    return Reader((path,), lambda detector: [module_at(detector, path)], read, once=False)


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output] if torch.is_floating_point(output) else []
    return [tensor for part in output for tensor in _tensors(part)] if isinstance(output, (tuple, list)) else []
