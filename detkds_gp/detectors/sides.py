"""Looks at one detector of a pair: what it says of an empty image, on which levels, for which anchors and classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from detkds_gp.errors import DetectorError

from .knowledge import SAID, Knowledge
from .parts import AbsentError, box_stages, dense_head, first_head, mask_stages, num_classes, rpn_head
from .roi import ask_masks, ask_regions
from .taps import Taps, listen

HEADS = {
    "class_map": dense_head,
    "box_map": dense_head,
    "bin_map": dense_head,
    "objectness_map": rpn_head,
    "proposal_map": rpn_head,
}
"""Whose levels and anchors the dense statements have."""

REGIONAL = ("rois", "roi_logits", "roi_boxes")


@dataclass(frozen=True, eq=False)
class Side:
    """One detector of a pair.

    Attributes:
        who: ``the student`` or ``the teacher``.
        knowledge: what it says of an empty image, and of one region: the whole of it.
        absent: what it does not say, and why.
        strides: by statement, the input pixels between two locations of each level.
        anchors: by dense statement, for each level the anchors of a location, (A, 4), or (A, 2) for points.
        classes: the names of its classes; None if not given.
        num_classes: how many it tells apart; None if its heads do not say.
        columns: of its dense class logits.
        stages: of its box head, 0 without a second stage.
    """

    who: str
    knowledge: Knowledge
    absent: Mapping[str, str]
    strides: Mapping[str, tuple[int, ...]]
    anchors: Mapping[str, tuple[Tensor, ...]]
    classes: tuple[str, ...] | None
    num_classes: int | None
    columns: int
    stages: int

    def said(self, name: str) -> list[Tensor]:
        """Return a statement.

        Raises:
            AbsentError: it is not said; says why.
        """
        if name not in self.knowledge:
            raise AbsentError(f"{self.who}'s {self.absent.get(name, f'detector does not say {name}')}")
        return self.knowledge[name]


def look(
    detector: BaseDetector,
    who: str,
    image_size: tuple[int, int],
    modules: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> Side:
    """Run a detector once on an empty image; it and torch's generators are as before afterwards.

    Args:
        detector: in any mode.
        who: how messages call it.
        image_size: (height, width) of the padded images, in pixels.
        modules: paths of modules to listen to as well.
        classes: its class names.

    Raises:
        DetectorError: it cannot take such an image.
    """
    device = next(detector.parameters()).device
    taps = Taps(detector, [*SAID, *modules])
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        batch = {"inputs": [torch.zeros(3, *image_size, dtype=torch.uint8)]}
        inputs = detector.data_preprocessor(batch, False)["inputs"]
        try:
            listen(taps, inputs)
            knowledge = taps.knowledge()
            absent = dict(taps.absent)
            _look_at_regions(detector, knowledge, absent, tuple(inputs.shape[2:]))
        except (RuntimeError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            size = f"{image_size[0]}x{image_size[1]}"
            raise DetectorError(f"{who} cannot take an image of {size} pixels: {first}") from error
    padded = (int(inputs.shape[2]), int(inputs.shape[3]))
    head = first_head(detector)
    return Side(
        who=who,
        knowledge=knowledge,
        absent=absent,
        strides={name: _strides(detector, name, levels, padded) for name, levels in knowledge.items()},
        anchors={name: _anchors(HEADS[name](detector)) for name in HEADS if name in knowledge},
        classes=tuple(classes) if classes is not None else None,
        num_classes=num_classes(detector),
        columns=int(getattr(head, "cls_out_channels", 0)),
        stages=len(box_stages(detector)) if "rois" in knowledge else 0,
    )


def _look_at_regions(
    detector: BaseDetector, knowledge: Knowledge, absent: dict[str, str], shape: tuple[int, int]
) -> None:
    """Ask the second stage about the whole image, so that its shapes are known."""
    if "global" not in knowledge or "rois" in absent:
        return
    maps = knowledge["global"]
    whole = maps[0].new_tensor([[0.0, 0.0, 0.0, shape[1], shape[0]]])
    for name in REGIONAL:
        knowledge.pop(name)
    said = ask_regions(detector, maps, [whole] * len(box_stages(detector)), [shape])
    knowledge["rois"] = [whole] * len(said)
    knowledge["roi_logits"] = [answer.logits for answer in said]
    knowledge["roi_boxes"] = [answer.boxes for answer in said]
    if "mask_rois" in knowledge:
        masks = ask_masks(detector, maps, [whole] * len(mask_stages(detector)))
        knowledge.update(mask_rois=[whole] * len(masks), mask_logits=masks)


def _strides(detector: BaseDetector, name: str, levels: Sequence[Tensor], padded: tuple[int, int]) -> tuple[int, ...]:
    """Return the strides that the head's priors name where the maps' sizes allow them, else those that the sizes give.

    The sizes alone do not tell the coarsest levels of a small image apart.
    """
    if levels[:1] and levels[0].ndim != 4:
        return ()
    grids = [(level.shape[2], level.shape[3]) for level in levels]
    head = first_head(detector)
    named = [int(stride[0]) for stride in getattr(getattr(head, "prior_generator", None), "strides", ())]
    fits = len(named) == len(levels) and all(map(partial(_makes, padded), named, grids))
    if fits and (name in HEADS or name == "global"):
        return tuple(named)
    return tuple(_stride(padded, grid) for grid in grids)


def _makes(padded: tuple[int, int], stride: int, grid: tuple[int, int]) -> bool:
    return all(math.ceil(length / stride) == cells for length, cells in zip(padded, grid, strict=True))


def _stride(padded: tuple[int, int], grid: tuple[int, int]) -> int:
    """Return the least power of two that makes ``grid``, which is rounded up, of the image."""
    ratio = max(length / cells for length, cells in zip(padded, grid, strict=True))
    return 2 ** math.ceil(math.log2(ratio))


def _anchors(head: object) -> tuple[Tensor, ...]:
    generator = head.prior_generator  # type: ignore[attr-defined]
    base = getattr(generator, "base_anchors", None)
    if base is not None:
        return tuple(anchors.float().cpu() for anchors in base)
    return tuple(torch.zeros(count, 2) for count in generator.num_base_priors)
