"""Ways to a mask that no region names: what a head keeps of its masks, and how the logits of one follow from it.

A *place* is what a head predicts one mask for: an anchor or point, a cell of a grid, or a query. Places are counted
image by image, over all levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torchvision.ops import roi_align

from ..parts import AbsentError
from ..scene import SAMPLES
from ._shared import Outputs

SIDE = 28
"""Cells of a compared mask along each side of its object's box, as those of Mask R-CNN."""

Found = Iterator[tuple[Tensor, Tensor]]
"""Indices (M,) among some places, and their maps (M, h, w) of logits over the whole image; by size of the maps."""

Way = Callable[[Outputs, int, Tensor], Found]
"""From (outputs, image, places (P,)) to the maps of these places."""


def by_kernels(outputs: Outputs, image: int, places: Tensor) -> Found:
    """Run the 1x1 convolutions that a place predicts over the image's features, with ReLU between them.

    ``instance_kernels``, for every layer (N T, D, C + 1), the bias last; ``instance_features`` (N, C, h, w).
    """
    (features,) = outputs["instance_features"]
    x = features[image].flatten(1)
    for depth, kernels in enumerate(outputs["instance_kernels"]):
        layer = kernels.unflatten(0, (len(features), -1))[image, places]
        x = layer[..., :-1] @ (x.relu() if depth else x) + layer[..., -1:]
    yield torch.arange(len(places), device=places.device), x.reshape(-1, *features.shape[2:])


def by_channels(outputs: Outputs, image: int, places: Tensor) -> Found:
    """Take the channel of a place: ``instance_maps``, for every level (N, T, h, w)."""
    first = 0
    for maps in outputs["instance_maps"]:
        last = first + maps.shape[1]
        here = ((places >= first) & (places < last)).nonzero().flatten()
        yield here, maps[image][places[here] - first]
        first = last


def by_crossing(outputs: Outputs, image: int, places: Tensor) -> Found:
    """Multiply the probabilities of a cell's column and row.

    ``instance_columns`` and ``instance_rows``, for every level (N, S, h, w) of a grid of S x S cells.
    """
    first = 0
    for columns, rows in zip(outputs["instance_columns"], outputs["instance_rows"], strict=True):
        side = columns.shape[1]
        here = ((places >= first) & (places < first + side**2)).nonzero().flatten()
        cell = places[here] - first
        x, y = columns[image][cell % side], rows[image][cell.div(side, rounding_mode="floor")]
        yield here, -torch.stack([-x, -y, -x - y]).logsumexp(dim=0)  # the logit of sigmoid(x) sigmoid(y)
        first += side**2


WAYS: dict[tuple[str, ...], Way] = {
    ("instance_kernels", "instance_features"): by_kernels,
    ("instance_maps",): by_channels,
    ("instance_columns", "instance_rows"): by_crossing,
}
"""By the outputs that they read."""


def way_outputs(outputs: Mapping[str, object]) -> tuple[str, ...]:
    """Return the outputs that a detector's masks follow from, a key of `WAYS`; raises AbsentError if it has none."""
    for names in WAYS:
        if all(name in outputs for name in names):
            return names
    raise AbsentError("detector has no masks without regions")


def logits_on_boxes(outputs: Outputs, image: int, places: Tensor, boxes: Tensor) -> Tensor:
    """Return the mask logits (P, 1, 28, 28) of places (P,) of one image, each resampled on its box (P, 4) in pixels.

    ``instance_extents`` (N, 2) is the height and width in pixels that the detector's maps cover.
    """
    way, extent = WAYS[way_outputs(outputs)], outputs["instance_extents"][0][image]
    found = [(here, _resampled(maps, boxes[here], extent)) for here, maps in way(outputs, image, places)]
    order = torch.cat([here for here, _ in found]).argsort()
    return torch.cat([maps for _, maps in found])[order]


def _resampled(maps: Tensor, boxes: Tensor, extent: Tensor) -> Tensor:
    """RoI-align maps (M, h, w) each on its box: (M, 1, 28, 28)."""
    scale = extent.new_tensor(maps.shape[1:]) / extent
    owner = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    rois = torch.cat([owner, boxes * scale.flip(0).repeat(2)], dim=1)
    return roi_align(maps[:, None], rois, SIDE, 1.0, SAMPLES, aligned=True)
