"""Structural similarity of maps."""

import torch
import torch.nn.functional as F
from torch import Tensor

from detkds_gp.language import Map, distance

WINDOW = 7
LEAST_RANGE = 1e-6  # of the teacher's values; it bounds the gradient at constant maps


def _windowed(x: Tensor) -> Tensor:
    """Average over the window round every position, as far as it lies on the map."""
    return F.avg_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)


def _variance(x: Tensor) -> Tensor:
    # Centred first: the variance does not change, but a map that hardly varies keeps its digits.
    x = x - x.detach().mean(dim=(2, 3), keepdim=True)
    return torch.relu(_windowed(x.square()) - _windowed(x).square())


@distance(Map, latex=r"1 - \mathrm{SSIM}(#1)")
def ssim(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the structural similarity, averaged over images, channels and positions.

    Means and variances are those of a 7 x 7 window, cut at the border; C1 = (0.01 L)^2 and
    C2 = (0.03 L)^2, where L is the range of the teacher's values in an image.
    Source: Wang et al. (IEEE TIP 2004), eq. 13.
    """
    if not student.numel():
        return (student - teacher).sum()
    values = teacher.flatten(1)
    extent = (values.amax(dim=1) - values.amin(dim=1)).clamp_min(LEAST_RANGE).view(-1, 1, 1, 1)
    a, b = _windowed(student), _windowed(teacher)
    # SSIM = (1 - light)(1 - shape); written as gaps, both are exactly 0 at equal sides.
    light = (a - b).square() / (a.square() + b.square() + (0.01 * extent).square())
    both = _variance(student) + _variance(teacher) + (0.03 * extent).square()
    shape = (_variance(student - teacher) / both).clamp_max(2)
    return (light + shape - light * shape).mean()
