"""Distances: d(x, x) = 0, d >= 0, a finite gradient everywhere; 0 on no rows.

Means are over all elements; the ``_sum`` variants sum per image and average over images, as FGD and
MGD do.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from detkds_gp.language import Features, Map, Probs, RowField, Units, distance
from detkds_gp.primitives.row_weights import weighted_mean

EPS = 1e-6


def _mean(x: Tensor) -> Tensor:
    return x.mean() if x.numel() else x.sum()


def _lifted(mean: Tensor) -> Tensor:
    """Lift to zero a mean that rounding put below, keeping its gradient."""
    return mean + torch.relu(-mean).detach()


def _per_row(divergence: Tensor, rows: Tensor) -> Tensor:
    return _lifted(divergence / max(len(rows), 1))


def _binary_divergences(student: Tensor, teacher: Tensor) -> Tensor:
    p = teacher.sigmoid()
    positive = p * (F.logsigmoid(teacher) - F.logsigmoid(student))
    return positive + (1 - p) * (F.logsigmoid(-teacher) - F.logsigmoid(-student))


@distance(Features, latex=r"\|#1\|_{1}")
def l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean absolute difference."""
    return _mean((student - teacher).abs())


@distance(Features, latex=r"\|#1\|_{2}^{2}")
def l2(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(student, teacher) if student.numel() else (student - teacher).sum()


@distance(Features, latex=r"h(#1)")
def smooth_l1(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean Huber distance: squared / 2 below a difference of 1, absolute - 1/2 beyond."""
    return F.smooth_l1_loss(student, teacher) if student.numel() else (student - teacher).sum()


@distance(Map, latex=r"\Sigma\|#1\|_{1}")
def l1_sum(student: Tensor, teacher: Tensor) -> Tensor:
    """Absolute differences, summed per image, averaged over images."""
    return (student - teacher).abs().sum() / max(len(student), 1)


@distance(Map, latex=r"\Sigma\|#1\|_{2}^{2}")
def l2_sum(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared differences, summed per image, averaged over images. Source: FGD, MGD."""
    return (student - teacher).square().sum() / max(len(student), 1)


@distance(Probs, latex=r"\mathrm{KL}(#1)")
def kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of the teacher's distribution from the student's, averaged over rows.

    Both are log-probabilities. Source: Hinton et al. (2015); the factor T^2 belongs to the weight.
    """
    divergence = F.kl_div(student, teacher, reduction="sum", log_target=True)
    return _per_row(divergence, student)


@distance((Probs, RowField), latex=r"\mathrm{KL}_{#2}(#1)")
def weighted_kl(student: Tensor, teacher: Tensor, field: Tensor) -> Tensor:
    """KL divergence of the teacher's distribution from the student's, averaged by a field's weights.

    Both are log-probabilities. Rows that come k to a number of the field share it.
    """
    divergences = F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)
    return _lifted(weighted_mean(divergences, field))


@distance(Units, latex=r"\mathrm{BKL}(#1)")
def binary_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of independent probabilities, summed over a row, averaged over rows.

    Both are logits, so that no probability rounds to 0 or 1.
    """
    return _per_row(_binary_divergences(student, teacher).sum(), student)


@distance(Units, latex=r"\mathrm{BKL}_{\delta}(#1)")
def weighted_binary_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Binary KL weighted by the magnitude of the difference of probabilities, without its gradient.

    Source: BCKD (ICCV 2023), eq. 3.
    """
    gap = (student.sigmoid() - teacher.sigmoid()).abs().detach()
    return _per_row((gap * _binary_divergences(student, teacher)).sum(), student)


@distance(Features, latex=r"1 - \cos(#1)")
def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine over the features, averaged over positions or rows.

    It is 0 where both sides are zero, 1/2 where one of them is.
    """
    a, b = F.normalize(student, dim=1, eps=EPS), F.normalize(teacher, dim=1, eps=EPS)
    # |a - b|^2 / 2 equals 1 - cos for unit vectors and, unlike it, is exactly 0 at a = b.
    return _mean((a - b).square().sum(dim=1)) / 2


@distance(Features, latex=r"1 - r(#1)")
def pearson(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus Pearson's correlation over the features, averaged over positions or rows."""
    a = F.normalize(student - student.mean(dim=1, keepdim=True), dim=1, eps=EPS)
    b = F.normalize(teacher - teacher.mean(dim=1, keepdim=True), dim=1, eps=EPS)
    return _mean((a - b).square().sum(dim=1)) / 2
