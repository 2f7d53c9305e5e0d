"""Non-maximum suppression: greedy, soft, and with its matches.

Boxes are (N, 4) xyxy. Tied scores keep mmcv's order, which is that of torch's ``sort``: it decides first, and
torchvision's kernel gets boxes already in order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

NAIVE, LINEAR, GAUSSIAN = range(3)
"""mmcv's numbers of the three ways to lower a score."""


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of boxes that overlap no kept box of a higher score by more than ``iou_threshold``.

    Args:
        boxes: (N, 4).
        scores: (N,).
        iou_threshold: compared as a float32, as mmcv does.
        offset: 1 counts a box's last pixel as inside, 0 does not.

    Returns:
        Indices, best score first.
    """
    order = scores.sort(0, descending=True)[1]
    corners = boxes[order] + boxes.new_tensor([0, 0, offset, offset])
    if boxes.device.type == "cpu":
        corners = corners.float()  # torchvision has no kernel for half precision there
    kept = torchvision_nms(corners, scores[order].to(corners), float(np.float32(iou_threshold)))
    return order[kept]


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that overlap a better one, and drop those that fall below ``min_score``.

    A dropped box's place is taken by the last one, as in mmcv, so that ties end in the same order.

    Args:
        boxes: (N, 4), on the CPU.
        scores: (N,).
        dets: (N, 5), whose first K rows are set to box and lowered score.
        iou_threshold: overlap at which ``NAIVE`` and ``LINEAR`` act.
        sigma: width of ``GAUSSIAN``.
        min_score: of boxes that stay.
        method: ``NAIVE``, ``LINEAR`` or ``GAUSSIAN``.
        offset: 1 counts a box's last pixel as inside, 0 does not.

    Returns:
        (K,) indices of the boxes that stay, best lowered score first.
    """
    corners, lowered = boxes.float().numpy(), scores.float().numpy().copy()
    left = np.arange(len(corners))
    done = 0
    while done < len(left):
        best = done + int(np.argmax(lowered[left[done:]]))
        left[[done, best]] = left[[best, done]]
        rest = left[done + 1 :]
        overlap = _overlaps(corners[left[done]], corners[rest], offset)
        lowered[rest] *= _factors(overlap, iou_threshold, sigma, method)
        left = np.concatenate([left[: done + 1], _without(rest, lowered[rest] < np.float32(min_score))])
        done += 1
    kept = torch.from_numpy(left)
    dets[: len(kept), :4] = boxes[kept]
    dets[: len(kept), 4] = torch.from_numpy(lowered)[kept]
    return kept


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Return for each kept box its index and those of the boxes it suppresses, best score first.

    Args:
        dets: (N, 5) boxes and scores, on the CPU.
        iou_threshold: an overlap of at least this suppresses.
    """
    corners, scores = dets[:, :4].float().numpy(), dets[:, 4].contiguous()
    left = scores.sort(0, descending=True)[1].numpy()
    groups = []
    while len(left):
        matched = _overlaps(corners[left[0]], corners[left[1:]], 0) >= np.float32(iou_threshold)
        groups.append([int(left[0]), *left[1:][matched].tolist()])
        left = left[1:][~matched]
    return groups


def _overlaps(box: np.ndarray, others: np.ndarray, offset: int) -> np.ndarray:
    """Return the IoU of one box (4,) with others (N, 4); 0 where both have no area."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]) + np.float32(offset)
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]) + np.float32(offset)
    both = np.maximum(width, 0) * np.maximum(height, 0)
    sides = (boxes[:, 2:] - boxes[:, :2] + np.float32(offset) for boxes in (box[None], others))
    mine, theirs = (side[:, 0] * side[:, 1] for side in sides)
    either = mine + theirs - both
    return np.divide(both, either, out=np.zeros_like(both), where=either != 0)


def _factors(overlap: np.ndarray, iou_threshold: float, sigma: float, method: int) -> np.ndarray:
    if method == GAUSSIAN:
        return np.exp(-(overlap * overlap) / np.float32(sigma))
    lowered = 1 - overlap if method == LINEAR else np.zeros_like(overlap)
    return np.where(overlap >= np.float32(iou_threshold), lowered, np.float32(1))


def _without(items: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """Return the items that stay; the last takes the place of one that is dropped."""
    kept, end, place = items.copy(), len(items), 0
    gone = dict(zip(items.tolist(), dropped.tolist(), strict=True))
    while place < end:
        if gone[kept[place]]:
            end -= 1
            kept[place] = kept[end]
        else:
            place += 1
    return kept[:end]
