"""Non-maximum suppression against loops over boxes; among tied scores torch's sort says who comes first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from detkds_gp.operators.suppression import GAUSSIAN, LINEAR, NAIVE, nms, nms_match, softnms

# Whole numbers: overlaps are exact, and an overlap of the very threshold is met.
CORNERS = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(0, 4)] * 2)
FOUND = st.lists(st.tuples(CORNERS, st.integers(0, 3)), max_size=12)


def tensors(found: list[tuple[tuple[int, int, int, int], int]]) -> tuple[Tensor, Tensor]:
    boxes = [[x, y, x + w, y + h] for (x, y, w, h), _ in found]
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor([s / 4 for _, s in found])


def overlap(a: Tensor, b: Tensor, offset: int = 0) -> float:
    a, b = a.double(), b.double()
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2]) + offset).clamp(min=0)
    both = sides.prod()
    either = (a[2:] - a[:2] + offset).prod() + (b[2:] - b[:2] + offset).prod() - both
    return float(both / either) if either else 0.0


@given(FOUND, st.sampled_from([0.25, 0.5]), st.sampled_from([0, 1]))
@settings(max_examples=200, deadline=None)
def test_a_box_stays_unless_a_better_one_that_stays_overlaps_it(found: list, threshold: float, offset: int) -> None:
    boxes, scores = tensors(found)
    kept: list[int] = []
    for index in scores.sort(descending=True)[1].tolist():
        if all(overlap(boxes[index], boxes[other], offset) <= threshold for other in kept):
            kept.append(index)
    assert nms(boxes, scores, threshold, offset).tolist() == kept


@given(FOUND, st.sampled_from([0.25, 0.5]))
@settings(max_examples=100, deadline=None)
def test_every_box_is_matched_once_with_the_best_that_reaches_it(found: list, threshold: float) -> None:
    boxes, scores = tensors(found)
    left = scores.sort(descending=True)[1].tolist()
    groups = []
    while left:
        near = [index for index in left[1:] if overlap(boxes[left[0]], boxes[index]) >= threshold]
        groups.append([left[0], *near])
        left = [index for index in left[1:] if index not in near]
    assert nms_match(torch.cat([boxes, scores[:, None]], dim=1), threshold) == groups


@pytest.mark.parametrize("method", [NAIVE, LINEAR, GAUSSIAN])
@given(found=FOUND)
@settings(max_examples=100, deadline=None)
def test_soft_suppression_lowers_every_score_by_every_better_box(method: int, found: list) -> None:
    boxes, scores = tensors(found)
    scores = scores + torch.arange(len(scores)) / 97  # no ties: their order is asserted on recorded numbers
    dets = torch.zeros(len(boxes), 5)
    kept = softnms(boxes, scores, dets, 0.3, 0.5, 0.1, method, 0)

    left, expected = {index: float(score) for index, score in enumerate(scores)}, []
    while left:
        best = max(left, key=left.__getitem__)
        assume(all(abs(score - left[best]) > 1e-5 for index, score in left.items() if index != best))
        expected.append((best, left.pop(best)))
        for index in list(left):
            shared = overlap(boxes[best], boxes[index])
            hard = {NAIVE: 0.0, LINEAR: 1 - shared}.get(method, 0.0) if shared >= 0.3 else 1.0
            left[index] *= float(np.exp(-(shared**2) / 0.5)) if method == GAUSSIAN else hard
            assume(abs(left[index] - 0.1) > 1e-5)  # rounding decides neither who is next nor who stays
            if left[index] < 0.1:
                del left[index]
    assert kept.tolist() == [index for index, _ in expected]
    rows = dets[: len(kept)]
    assert torch.equal(rows[:, :4], boxes[kept])
    torch.testing.assert_close(rows[:, 4], torch.tensor([score for _, score in expected]).reshape(-1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_a_cpu_is_compared_in_single(dtype: torch.dtype) -> None:
    boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]], dtype=dtype)
    assert nms(boxes, torch.tensor([0.5, 0.75, 0.25], dtype=dtype), 0.5, 0).tolist() == [1, 2]
