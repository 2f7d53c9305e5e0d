"""Where the objects of a batch lie on the maps: FGD's masks, LD's valuable region, a level for every box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from mmdet.structures.bbox import bbox2roi
from torch import Tensor
from torch.nn.functional import pad
from torchvision.ops import box_iou, roi_align

T = TypeVar("T")

INSTANCE_SIDE = 7
"""Cells of an instance's features along each side."""

FINEST_SCALE = 56
"""A box up to twice this side, in pixels, is taken from the map of stride 4, as FPN's rule has it."""

ANCHOR_STRIDES = 8
"""Side of a location's anchor in strides, ATSS's; LD's valuable region is defined by it."""

CANDIDATES = 9
"""Locations of each level that ATSS looks at for a box."""

VALUABLE = 0.25
"""LD's gamma: the share of a box's positive threshold from which a location is valuable."""

SAMPLES = 2
"""Points that RoI-align averages along each side of a cell."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The objects of a batch.

    Attributes:
        boxes: for each image (R, 4) xyxy in input pixels, resized and flipped as the image is; R may be 0.
        shape: (height, width) of the padded input.
        sizes: (height, width) of each image in it, without its padding; empty where they are not known.
        labels: for each image the classes (R,) of its objects; empty where they are not known.
        masks: for each image what mmdet keeps of the masks of its objects; empty where a batch has none.
    """

    boxes: tuple[Tensor, ...]
    shape: tuple[int, int]
    sizes: tuple[tuple[int, int], ...] = ()
    labels: tuple[Tensor, ...] = ()
    masks: tuple[Any, ...] = ()

    @property
    def image_sizes(self) -> tuple[tuple[int, int], ...]:
        """The size of each image without its padding; that of the padded input where it is not known."""
        return self.sizes or (self.shape,) * len(self.boxes)

    def of_images(self, images: Sequence[int]) -> Scene:
        """Return the scene of some images, by index, as if these alone were the batch."""

        def of(parts: tuple[T, ...]) -> tuple[T, ...]:
            return tuple(parts[image] for image in images) if parts else ()

        return Scene(of(self.boxes), self.shape, of(self.sizes), of(self.labels), of(self.masks))

    def drawn_masks(self, image: int, height: int, width: int) -> Tensor:
        """Return the masks of an image's objects, (R, H, W) of 0 and 1, cut or filled up with 0 to a height and width.

        Raises:
            ValueError: the batch has none.
        """
        if not self.masks:
            raise ValueError("got a batch without masks, wanted those of its objects")
        masks, device = self.masks[image], self.boxes[image].device
        drawn = masks if isinstance(masks, Tensor) else masks.to_tensor(dtype=torch.uint8, device=device)
        return pad(drawn, (0, width - drawn.shape[2], 0, height - drawn.shape[1]))


def scene_of(data: dict[str, Any]) -> Scene:
    """Read the scene of a batch that went through a detector's ``data_preprocessor``."""
    objects = [sample.gt_instances for sample in data["data_samples"]]
    boxes = tuple(getattr(one.bboxes, "tensor", one.bboxes).float() for one in objects)
    masks = tuple(one.masks for one in objects if "masks" in one)
    height, width = data["inputs"].shape[-2:]
    sizes = tuple((int(h), int(w)) for h, w in (sample.img_shape[:2] for sample in data["data_samples"]))
    return Scene(boxes, (height, width), sizes, tuple(one.labels for one in objects), masks)


def location_centres(height: int, width: int, stride: float, like: Tensor) -> Tensor:
    """Return the centre of every location, (H, W, 2) as x, y in input pixels."""
    x = (torch.arange(width, device=like.device, dtype=torch.float32) + 0.5) * stride
    y = (torch.arange(height, device=like.device, dtype=torch.float32) + 0.5) * stride
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1)


def foreground_masks(scene: Scene, grid: tuple[int, int], stride: int) -> Tensor:
    """Return FGD's foreground mask (N, 1, H, W) of a level, of a grid (H, W) with so many pixels between locations.

    Inside a box the value is 1 / (its cells on that level), at most 1; where boxes overlap the smallest wins. A box
    covers the cells it touches, one at least. Source: FGD (CVPR 2022), eq. 3, 4.
    """
    return torch.stack([_box_mask(boxes, grid, stride) for boxes in scene.boxes])[:, None]


def background_masks(foreground: Tensor) -> Tensor:
    """Return FGD's background mask (N, 1, H, W): 1 / (background cells of the image) where there is no foreground."""
    outside = (foreground == 0).float()
    return outside / outside.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)


def _box_mask(boxes: Tensor, grid: tuple[int, int], stride: int) -> Tensor:
    if not len(boxes):
        return boxes.new_zeros(grid)
    y = _touched(boxes[:, 1], boxes[:, 3], grid[0], stride)
    x = _touched(boxes[:, 0], boxes[:, 2], grid[1], stride)
    cells = (y.sum(dim=1) * x.sum(dim=1)).clamp_min(1)
    inside = y[:, :, None] * x[:, None, :] / cells[:, None, None]
    return inside.amax(dim=0)


def _touched(low: Tensor, high: Tensor, cells: int, stride: int) -> Tensor:
    """Return for each interval which cells it touches, (R, cells) of 0 and 1."""
    index = torch.arange(cells, device=low.device)
    first = (low / stride).floor().clamp(0, cells - 1)[:, None]
    last = torch.maximum((high / stride).ceil().clamp(0, cells)[:, None], first + 1)
    return ((index >= first) & (index < last)).float()


def instance_features(maps: Sequence[tuple[Tensor, int]], scene: Scene) -> Tensor:
    """Cut the features (R, C, 7, 7) of every object out of the level that suits its size, level by level.

    Args:
        maps: for each level its (N, C, H, W) and its stride.
        scene: the objects; there may be none.
    """
    rois = bbox2roi(scene.boxes)
    owner = box_levels(rois[:, 1:], [stride for _, stride in maps])
    cut = [
        roi_align(level, rois[owner == index], INSTANCE_SIDE, 1 / stride, SAMPLES, aligned=True)
        for index, (level, stride) in enumerate(maps)
    ]
    return torch.cat(cut)


def box_levels(boxes: Tensor, strides: Sequence[int]) -> Tensor:
    """Return for each box (R, 4) the index of its level, by FPN's rule, among the strides that there are."""
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp_min(0).sqrt()
    wanted = 2 + torch.floor(torch.log2(side / FINEST_SCALE + 1e-6))
    have = torch.tensor([math.log2(stride) for stride in strides], device=boxes.device)
    return (wanted.clamp(have.min(), have.max())[:, None] - have).abs().argmin(dim=1)


def valuable_regions(scene: Scene, grids: Sequence[tuple[int, int]], strides: Sequence[int]) -> list[Tensor]:
    """Return LD's main and valuable localization region of every level.

    A location is in it where the DIoU of its anchor, a square of 8 strides, with a box is at least a quarter of
    that box's positive threshold, which is ATSS's: mean plus deviation of the IoUs of its nearest anchors.

    Returns:
        (N, 1, H, W) of 0 and 1 a level. Source: LD (CVPR 2022), algorithm 1.
    """
    like = scene.boxes[0]
    squares = [_squares(grid, stride, like) for grid, stride in zip(grids, strides, strict=True)]
    anchors, counts = torch.cat(squares), [len(level) for level in squares]
    rows = torch.stack([_valuable(anchors, boxes, counts) for boxes in scene.boxes])
    levels = rows.split(counts, dim=1)
    return [level.reshape(-1, 1, *grid) for level, grid in zip(levels, grids, strict=True)]


def _squares(grid: tuple[int, int], stride: int, like: Tensor) -> Tensor:
    """Return the anchor (H W, 4) of every location of a level."""
    centres, half = location_centres(*grid, stride, like).reshape(-1, 2), ANCHOR_STRIDES * stride / 2
    return torch.cat([centres - half, centres + half], dim=1)


def _valuable(anchors: Tensor, boxes: Tensor, counts: Sequence[int]) -> Tensor:
    """Return for each anchor (T,) whether it is in the region of one of the boxes, 0 or 1."""
    if not len(boxes):
        return anchors.new_zeros(len(anchors))
    overlap = box_iou(anchors, boxes)  # (T, R)
    apart = torch.cdist((anchors[:, :2] + anchors[:, 2:]) / 2, (boxes[:, :2] + boxes[:, 2:]) / 2)
    diou = overlap - apart.square() / _hull_diagonals(anchors, boxes)
    nearest = torch.cat(
        [
            overlap_level.gather(0, apart_level.topk(min(CANDIDATES, len(apart_level)), dim=0, largest=False).indices)
            for overlap_level, apart_level in zip(overlap.split(list(counts)), apart.split(list(counts)), strict=True)
        ]
    )
    deviation = nearest.std(dim=0) if len(nearest) > 1 else torch.zeros_like(nearest[0])
    return (diou >= VALUABLE * (nearest.mean(dim=0) + deviation)).any(dim=1).float()


def _hull_diagonals(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared diagonals (T, R) of the smallest boxes around each pair."""
    low = torch.minimum(a[:, None, :2], b[None, :, :2])
    high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).square().sum(dim=2).clamp_min(1e-6)
