"""Looks at one detector of a pair: its outputs on an empty image, on which levels, for which anchors and classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmdet.models.dense_heads import GuidedAnchorHead
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor

from detkds_gp.errors import DetectorError, first_line

from .parts import AbsentError, has_priors, num_classes, picked_queries, prior_generator
from .sources import Outputs, Side, output_names, readers_of
from .sources.box_maps import prior_strides
from .taps import Taps


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
        modules: paths of modules whose outputs are wanted too.
        classes: its class names.

    Raises:
        DetectorError: it cannot take such an image.
    """
    guided = next((module for module in detector.modules() if isinstance(module, GuidedAnchorHead)), None)
    if guided is not None:
        raise DetectorError(
            f"{who}'s {type(guided).__name__} predicts one image at a time (mmcv's masked convolution), "
            "and the tool predicts batches; choose a detector without guided anchors"
        )
    device = next(detector.parameters()).device
    taps = Taps(detector, [*output_names(), *modules])
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        batch = {"inputs": [torch.zeros(3, *image_size, dtype=torch.uint8)]}
        inputs = detector.data_preprocessor(batch, False)["inputs"]
        padded = (int(inputs.shape[2]), int(inputs.shape[3]))
        try:
            taps.run(inputs)
            outputs = taps.outputs()
            absent = {**taps.absent, **_complete(detector, outputs, padded)}
        except (RuntimeError, ValueError, AssertionError) as error:
            raise DetectorError(_cannot_take(detector, who, image_size, error)) from error
    outputs = {name: levels for name, levels in outputs.items() if name not in absent}
    heads = _heads(detector, outputs)
    return Side(
        who=who,
        outputs=outputs,
        absent=absent,
        strides={name: _strides(heads.get(name), levels, padded) for name, levels in outputs.items()},
        anchors={name: _anchors(head) for name, head in heads.items()},
        classes=tuple(classes) if classes is not None else None,
        num_classes=num_classes(detector),
        prior_strides={name: prior_strides(head) for name, head in heads.items()},
        tapped=taps.tapped,
    )


def _cannot_take(detector: BaseDetector, who: str, image_size: tuple[int, int], error: Exception) -> str:
    """Return what to say where a detector fails on an empty image."""
    count, said = picked_queries(detector), f"{who} cannot take an image of {image_size[0]}x{image_size[1]} pixels"
    if count and "out of range" in str(error):
        return f"{said}: it picks its {count} queries among the positions of its maps; raise proxy.image_size"
    return f"{said}: {first_line(error)}"


def _complete(detector: BaseDetector, outputs: Outputs, size: tuple[int, int]) -> dict[str, str]:
    """Add the outputs that need regions, on the whole image, so that their shapes are known.

    Returns:
        the outputs that are not what the detector itself predicts, and why.
    """
    found: dict[str, str] = {}
    for reader in readers_of(outputs) if "global" in outputs else ():
        if reader.example is not None:
            outputs.update(reader.example(detector, outputs["global"], size))
        try:
            if reader.check is not None:
                reader.check(detector, outputs["global"], size)
        except AbsentError as reason:
            found.update(dict.fromkeys(reader.outputs, str(reason)))
    return found


def _heads(detector: BaseDetector, outputs: Outputs) -> dict[str, Any]:
    """Return by output the head whose priors name its strides and anchors, where there is one."""
    heads = ((reader, reader.head_of(detector)) for reader in readers_of(outputs))
    return {name: head for reader, head in heads if head is not None and has_priors(head) for name in reader.outputs}


def _strides(head: Any | None, levels: Sequence[Tensor], padded: tuple[int, int]) -> tuple[int, ...]:
    """Return the strides that a head's priors name where the maps' sizes allow them, else those that the sizes give.

    That is the least power of two that makes a map, whose size is rounded up, of the image; it does not tell the
    coarsest levels of a small image apart. Levels of detectors are matched by whole strides; where boxes stand follows
    the exact ones, `Side.prior_strides`.
    """
    if levels[:1] and levels[0].ndim != 4:
        return ()
    grids = [(level.shape[2], level.shape[3]) for level in levels]
    named = prior_strides(head) if head is not None else ()
    if len(named) == len(levels) and all(map(partial(_makes, padded), named, grids)):
        return tuple(map(int, named))
    ratios = (max(length / cells for length, cells in zip(padded, grid, strict=True)) for grid in grids)
    return tuple(2 ** math.ceil(math.log2(ratio)) for ratio in ratios)


def _makes(padded: tuple[int, int], stride: float, grid: tuple[int, int]) -> bool:
    return stride.is_integer() and all(
        math.ceil(length / stride) == cells for length, cells in zip(padded, grid, strict=True)
    )


def _anchors(head: Any) -> tuple[Tensor, ...]:
    generator = prior_generator(head)
    base = getattr(generator, "base_anchors", None)
    if base is not None:
        return tuple(anchors.float().cpu() for anchors in base)
    return tuple(torch.zeros(count, 2) for count in generator.num_base_priors)
