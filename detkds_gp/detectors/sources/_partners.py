"""Partners of predictions: which prediction of one detector stands for which of another, one to one.

Two predictions differ by the largest difference of their class probabilities plus (1 - GIoU) / 2 of their boxes: 0
where they are the same, 2 at most. What is compared carries no gradient.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

MOST = 2.0
"""The most that two predictions differ."""

EPS = 1e-9
"""An area or score that counts as none."""


def one_against_rest(logits: Tensor) -> Tensor:
    """Bring logits (R, K + 1) of a softmax to those of sigmoids with the same probabilities.

    Returns:
        (R, K): of every class its logit against all others and the background, which is the last column.
    """
    width = logits.shape[1]
    own = torch.eye(width, dtype=torch.bool, device=logits.device)
    others = logits[:, None].masked_fill(own, float("-inf")).logsumexp(dim=2)
    return (logits - others)[:, :-1]


def class_probabilities(logits: Tensor, *, softmax: bool) -> Tensor:
    """Return the probabilities (..., K) of a head's logits; after a softmax those of all but the background."""
    return logits.softmax(dim=-1)[..., :-1] if softmax else logits.sigmoid()


def box_gaps(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return (1 - GIoU) / 2 of boxes (..., 4) and (..., 4) that broadcast, in [0, 1]; 0 where both are the same."""
    low, high = torch.maximum(ours[..., :2], theirs[..., :2]), torch.minimum(ours[..., 2:], theirs[..., 2:])
    intersection = (high - low).clamp_min(0).prod(dim=-1)
    union = _areas(ours) + _areas(theirs) - intersection
    low, high = torch.minimum(ours[..., :2], theirs[..., :2]), torch.maximum(ours[..., 2:], theirs[..., 2:])
    hull = (high - low).clamp_min(0).prod(dim=-1)
    giou = intersection / union.clamp_min(EPS) - (hull - union) / hull.clamp_min(EPS)
    return (1 - giou.clamp(-1, 1)) / 2


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(dim=-1)


def class_gaps(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the largest difference of class probabilities (..., T, K) and (..., S, K) of all pairs, (..., T, S)."""
    return torch.cdist(ours, theirs, p=float("inf"))


def partners(gaps: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Give every row a column of its own, so that the sum of gaps weighed by scores is least.

    Where there are fewer columns than rows, those with low scores stay without.

    Args:
        gaps: (T, S), at most `MOST`; what is not finite counts as that.
        scores: (T,), never negative.

    Returns:
        indices of rows, rising, and of their columns, (min(T, S),) each.
    """
    weights = torch.nan_to_num(scores.detach().double(), 0.0, 1.0, 0.0) + EPS  # rows without a score are matched too
    cost = (torch.nan_to_num(gaps.detach().double(), MOST, MOST, MOST) - MOST) * weights[:, None]
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    return torch.from_numpy(rows).to(gaps.device), torch.from_numpy(columns).to(gaps.device)
