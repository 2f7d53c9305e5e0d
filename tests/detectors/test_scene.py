"""Masks, instances and regions against slow loops on random scenes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detkds_gp.detectors import ImageInput, Scene, make_batch, scene_of
from detkds_gp.detectors.scene import (
    background_masks,
    box_levels,
    foreground_masks,
    instance_features,
    valuable_regions,
)

H, W = 96, 128
STRIDES = (8, 16, 32)


@st.composite
def boxes(draw, most=4):
    """Draw R boxes inside (or over the edge of) the padded input, some smaller than a cell."""
    corner = st.floats(0, 120, width=32)
    side = st.one_of(st.floats(0.0, 4.0, width=32), st.floats(4.0, 100.0, width=32))
    rows = draw(st.lists(st.tuples(corner, corner, side, side), max_size=most))
    return torch.tensor([[x, y, x + w, y + h] for x, y, w, h in rows], dtype=torch.float32).reshape(-1, 4)


scenes = st.lists(boxes(), min_size=1, max_size=3).map(lambda images: Scene(tuple(images), (H, W)))


def cells(low: float, high: float, count: int, stride: int) -> range:
    """Return the cells that an interval touches, one at least."""
    first = min(max(math.floor(low / stride), 0), count - 1)
    return range(first, max(min(math.ceil(high / stride), count), first + 1))


def slow_foreground(image: np.ndarray, grid: tuple[int, int], stride: int) -> np.ndarray:
    mask = np.zeros(grid)
    for x1, y1, x2, y2 in image:
        rows, columns = cells(y1, y2, grid[0], stride), cells(x1, x2, grid[1], stride)
        for y in rows:
            for x in columns:
                mask[y, x] = max(mask[y, x], 1 / (len(rows) * len(columns)))
    return mask


def grid_of(stride: int) -> tuple[int, int]:
    return math.ceil(H / stride), math.ceil(W / stride)


@settings(max_examples=60, deadline=None)
@given(scenes, st.sampled_from(STRIDES))
def test_fgd_masks_agree_with_loops(scene, stride):
    grid = grid_of(stride)
    ours = foreground_masks(scene, grid, stride)
    outside = background_masks(ours)
    assert ours.shape == outside.shape == (len(scene.boxes), 1, *grid)
    for mask, rest, image in zip(ours, outside, scene.boxes, strict=True):
        expected = slow_foreground(image.double().numpy(), grid, stride)
        np.testing.assert_allclose(mask[0].numpy(), expected, rtol=1e-6)
        background = (expected == 0).sum()
        np.testing.assert_allclose(rest[0].numpy(), (expected == 0) / max(background, 1), rtol=1e-6)


def test_the_smallest_box_wins_and_each_box_alone_weighs_one():
    large, small = [0.0, 0.0, 64.0, 64.0], [16.0, 16.0, 32.0, 32.0]
    alone = foreground_masks(Scene((torch.tensor([large]),), (H, W)), (12, 16), 8)
    assert alone.sum() == pytest.approx(1)
    both = foreground_masks(Scene((torch.tensor([large, small]),), (H, W)), (12, 16), 8)
    assert both[0, 0, 2:4, 2:4].unique().tolist() == [1 / 4]
    assert both[0, 0, 0, 0] == 1 / 64


def test_an_image_without_objects_is_all_background():
    empty = foreground_masks(Scene((torch.zeros(0, 4),), (H, W)), (12, 16), 8)
    assert not empty.any()
    assert background_masks(empty).sum() == pytest.approx(1)


def slow_roi_align(x: np.ndarray, box: np.ndarray, stride: int, side: int = 7, samples: int = 2) -> np.ndarray:
    """RoI-align with half-pixel alignment by bilinear look-ups."""
    x1, y1, x2, y2 = box / stride - 0.5
    result = np.zeros((x.shape[0], side, side))
    height, width = (y2 - y1) / side, (x2 - x1) / side
    for i in range(side):
        for j in range(side):
            for a in range(samples):
                for b in range(samples):
                    y = y1 + (i + (a + 0.5) / samples) * height
                    z = x1 + (j + (b + 0.5) / samples) * width
                    result[:, i, j] += bilinear(x, y, z) / samples**2
    return result


def bilinear(x: np.ndarray, y: float, z: float) -> np.ndarray:
    h, w = x.shape[1:]
    if y < -1 or y > h or z < -1 or z > w:
        return np.zeros(x.shape[0])
    y, z = min(max(y, 0), h - 1), min(max(z, 0), w - 1)
    top, left = int(y), int(z)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    dy, dz = y - top, z - left
    above = (1 - dz) * x[:, top, left] + dz * x[:, top, right]
    below = (1 - dz) * x[:, bottom, left] + dz * x[:, bottom, right]
    return (1 - dy) * above + dy * below


def slow_level(box: np.ndarray) -> int:
    """FPN's rule: stride 4 up to twice 56 pixels, doubling; then the nearest stride that there is."""
    side = math.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 0))
    stride = 4 * 2 ** math.floor(math.log2(side / 56 + 1e-6))
    return min(
        range(len(STRIDES)), key=lambda level: (abs(math.log2(STRIDES[level]) - math.log2(max(stride, 8))), level)
    )


@settings(max_examples=25, deadline=None)
@given(scenes, st.integers(0, 9))
def test_instances_agree_with_a_slow_roi_align_on_the_level_of_their_size(scene, seed):
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(len(scene.boxes), 2, *grid_of(stride), generator=generator) for stride in STRIDES]
    ours = instance_features(list(zip(maps, STRIDES, strict=True)), scene)
    expected = []
    for level, stride in enumerate(STRIDES):
        for number, image in enumerate(scene.boxes):
            for box in image.double().numpy():
                if slow_level(box) == level:
                    expected.append(slow_roi_align(maps[level][number].double().numpy(), box, stride))
    assert ours.shape == (sum(map(len, scene.boxes)), 2, 7, 7)
    if expected:
        np.testing.assert_allclose(ours.numpy(), np.stack(expected), atol=2e-3)


def test_larger_boxes_come_from_coarser_levels():
    boxes = torch.tensor([[0, 0, s, s] for s in (2.0, 56, 111, 112, 224, 448, 4000)])
    assert box_levels(boxes, (4, 8, 16, 32)).tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert box_levels(boxes, (8, 16)).tolist() == [0, 0, 0, 0, 1, 1, 1]


def iou(a, b) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def diou(a, b) -> float:
    centre = [((c[0] + c[2]) / 2, (c[1] + c[3]) / 2) for c in (a, b)]
    apart = (centre[0][0] - centre[1][0]) ** 2 + (centre[0][1] - centre[1][1]) ** 2
    hull = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    return iou(a, b) - apart / hull


def slow_valuable(image: np.ndarray) -> list[np.ndarray]:
    """LD's algorithm 1 with ATSS's threshold, anchor by anchor."""
    anchors = {}
    for stride in STRIDES:
        for y in range(grid_of(stride)[0]):
            for x in range(grid_of(stride)[1]):
                centre = ((x + 0.5) * stride, (y + 0.5) * stride)
                half = 4 * stride
                anchors[stride, y, x] = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    regions = [np.zeros(grid_of(stride)) for stride in STRIDES]
    for box in image:
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        candidates = []
        for stride in STRIDES:
            own = [key for key in anchors if key[0] == stride]
            own.sort(key=lambda key: math.dist(middle, ((key[2] + 0.5) * stride, (key[1] + 0.5) * stride)))
            candidates += [iou(anchors[key], box) for key in own[:9]]
        threshold = np.mean(candidates) + np.std(candidates, ddof=1)
        for (stride, y, x), anchor in anchors.items():
            if diou(anchor, box) >= 0.25 * threshold:
                regions[STRIDES.index(stride)][y, x] = 1
    return regions


@pytest.mark.parametrize("seed", range(6))
def test_the_valuable_region_agrees_with_the_papers_algorithm(seed):
    rng = np.random.default_rng(seed)
    images = []
    for count in (2, 0, 1):
        corner = rng.uniform(0, 80, (count, 2))  # ties among the nearest anchors have no measure
        images.append(np.concatenate([corner, corner + rng.uniform(3, 60, (count, 2))], axis=1))
    scene = Scene(tuple(torch.tensor(image, dtype=torch.float32) for image in images), (H, W))
    ours = valuable_regions(scene, [grid_of(stride) for stride in STRIDES], STRIDES)
    for number, image in enumerate(images):
        for level, expected in zip(ours, slow_valuable(image), strict=True):
            assert np.array_equal(level[number, 0].numpy(), expected)
    assert not any(level[1].any() for level in ours)


def test_a_scene_follows_resize_padding_and_flip(student):
    """Boxes of 80x60 pixels, resized by 1.5 into a padded 128x128, one image mirrored within its 120 columns."""
    stored = np.array([[8.0, 10.0, 40.0, 50.0]], np.float32)
    item = ImageInput(
        array=np.zeros((128, 128, 3), np.uint8), resized=(90, 120), scale=(1.5, 1.5), original=(60, 80),
        boxes=stored, labels=np.array([1]), image_id=1,
    )  # fmt: skip
    data = student.data_preprocessor(make_batch([item, item], [False, True]), True)
    scene = scene_of(data)
    assert scene.shape == (128, 128)
    assert scene.boxes[0].tolist() == [[12, 15, 60, 75]]
    assert scene.boxes[1].tolist() == [[60, 15, 108, 75]]
    mask = foreground_masks(scene, (16, 16), 8)  # of the padded map, not of the image
    assert mask[0, 0].nonzero()[[0, -1]].tolist() == [[1, 1], [9, 7]]
    assert mask[1, 0].nonzero()[[0, -1]].tolist() == [[1, 7], [9, 13]]
