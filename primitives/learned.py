"""Learned primitives: what is trained with the student and thrown away with the teacher.

Sources: MGD (ECCV 2022), FGD (CVPR 2022). Growth never draws them: they make a step several times
dearer, and a formula that may change what it compares is not judged as the others are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detkds_gp.language import Map, Ratio, learned

SAME = "n c h w -> n c h w"


@learned((Map, Ratio), Map, shape=SAME, latex=r"\mathcal{G}_{#2}(#1)", sides="student", random=True)
class masked_generation(nn.Module):  # noqa: N801 - the name that formulas write
    """Mask positions of the student's map at random, and generate the whole map from the rest.

    A position is kept with the given chance, the same in all channels; then a 3x3 convolution, a
    ReLU and another 3x3 convolution. The teacher's map stays whole. Draws from torch's global
    generator. Source: MGD, sec. 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.generate = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor, kept: float) -> Tensor:
        """Return (N, C, H, W), generated."""
        n, _, h, w = x.shape
        mask = (torch.rand(n, 1, h, w, device=x.device) < kept).to(x.dtype)
        generated: Tensor = self.generate(x * mask)
        return generated


@learned(Map, Map, shape=SAME, latex=r"\mathcal{R}(#1)", sides="each")
class global_context(nn.Module):  # noqa: N801 - the name that formulas write
    """Add to every position what the whole map says, through weights of each side's own.

    The map is averaged over the positions with the softmax of a 1x1 convolution as weights; a 1x1
    convolution to half the channels, layer norm, ReLU and a 1x1 convolution back give what is added,
    nothing at first. Source: FGD, sec. 3.2, after GCNet (ICCV workshops 2019).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.attend = nn.Conv2d(channels, 1, 1)
        nn.init.kaiming_normal_(self.attend.weight)
        self.narrow = nn.Linear(channels, inner)
        self.norm = nn.LayerNorm(inner)
        self.widen = nn.Linear(inner, channels)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W), the map and its context."""
        weights = self.attend(x).flatten(2).softmax(dim=2)
        context = torch.matmul(x.flatten(2), weights.transpose(1, 2)).flatten(1)
        added: Tensor = self.widen(F.relu(self.norm(self.narrow(context))))
        return x + added[:, :, None, None]


LEARNED = (masked_generation, global_context)
