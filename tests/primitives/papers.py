"""What papers say of a loss, computed anew in float64, with the papers' sums and weights.

Levels are added up as the papers do, so that the mean over levels has to be carried by the weight. The constants of
FGD, MGD and CrossKD are those of the configs that their authors released: FGD's gamma there is half of what its loss
class has by default, and FCOS has a temperature of its own. Their two-stage configs take P2 to P5; the sums here, over
P2 to P6, weigh those four as released. The values
expected of PKD, CWD and MGD were also compared by hand with mmrazor's `PKDLoss`, `ChannelWiseDivergence` and
`MGDLoss` on the maps below: CWD and MGD agree to rounding; mmrazor's PKD divides by the unbiased deviation, so
that its loss is (n - 1) / n of the paper's 1 - r for n numbers a channel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI
from detkds_gp.primitives.zoo import ZOO

GRIDS = ((12, 10), (6, 5), (3, 3), (2, 2), (1, 1))
N, C, K = 2, 6, 3
BOXES = [[(1, 2, 7, 8), (3, 3, 5, 5)], [(0, 0, 4, 6)]]  # x1, y1, x2, y2 as shares of twelfths of the grid
Pairs = list[tuple[Tensor, Tensor]]


def drawn(*size: int, seed: int) -> tuple[Tensor, Tensor]:
    student, teacher = torch.randn(2, *size, generator=torch.Generator().manual_seed(seed))
    return (1.5 * student + 0.3).requires_grad_(), 2 * teacher - 0.5


def maps(levels: int = 5) -> Pairs:
    return [drawn(N, C, *grid, seed=10 + index) for index, grid in enumerate(GRIDS[:levels])]


def masks(h: int, w: int) -> tuple[Tensor, Tensor]:
    """FGD, eq. 2 and 3: M S of the foreground and (1 - M) S of the background; the smallest box counts."""
    fg, bg = torch.zeros(N, 1, h, w, dtype=torch.double), torch.zeros(N, 1, h, w, dtype=torch.double)
    for n in range(N):
        outside = []
        for i in range(h):
            for j in range(w):
                areas = []
                for x1, y1, x2, y2 in BOXES[n]:
                    rows, columns = range(y1 * h // 12, y2 * h // 12 + 1), range(x1 * w // 12, x2 * w // 12 + 1)
                    if i in rows and j in columns:
                        areas.append(len(rows) * len(columns))
                if areas:
                    fg[n, 0, i, j] = 1 / min(areas)
                else:
                    outside.append((i, j))
        for i, j in outside:
            bg[n, 0, i, j] = 1 / len(outside)
    return fg, bg


# What the papers say, each of the levels' pairs (float64) and the loss, for the weights it starts with.


def mimic(levels: Pairs, loss: DistillationLoss) -> Tensor:
    return sum(((s - t) ** 2).mean() / 2 for s, t in levels)


def pkd(weight: float) -> Callable[[Pairs, DistillationLoss], Tensor]:
    def correlation(a: Tensor, b: Tensor) -> Tensor:
        a, b = a - a.mean(), b - b.mean()
        return (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()

    def papers(levels: Pairs, loss: DistillationLoss) -> Tensor:
        return weight * sum(
            torch.stack([1 - correlation(s[:, c], t[:, c]) for c in range(C)]).mean() for s, t in levels
        )

    return papers


def cwd(levels: Pairs, loss: DistillationLoss) -> Tensor:
    total = 0
    for s, t in levels:
        for n in range(N):
            for c in range(C):
                p, q = (x[n, c].exp() / x[n, c].exp().sum() for x in (t, s))
                total = total + 10 / (N * C) * (p * (p.log() - q.log())).sum()
    return total


def fgd(
    alpha: float, beta: float, gamma: float, lambda_: float, temperature: float = 0.5
) -> Callable[[Pairs, DistillationLoss], Tensor]:
    def attention(x: Tensor) -> tuple[Tensor, Tensor]:
        h, w = x.shape[1:]
        space = (x.abs().mean(0) / temperature).exp()
        channel = (x.abs().mean((1, 2)) / temperature).exp()
        return h * w * space / space.sum(), C * channel / channel.sum()

    def context(x: Tensor, part: torch.nn.Module) -> Tensor:
        """The context block, position by position."""
        weights = {name: value.detach().double() for name, value in part.state_dict().items()}
        scores = (weights["attend.weight"].view(C, 1, 1) * x).sum(0) + weights["attend.bias"]
        shares = scores.exp() / scores.exp().sum()
        pooled = (shares * x).sum((1, 2))
        inner = weights["narrow.weight"] @ pooled + weights["narrow.bias"]
        inner = (inner - inner.mean()) / (inner.var(unbiased=False) + 1e-5).sqrt()
        inner = (inner * weights["norm.weight"] + weights["norm.bias"]).clamp_min(0)
        return x + (weights["widen.weight"] @ inner + weights["widen.bias"]).view(C, 1, 1)

    def papers(levels: Pairs, loss: DistillationLoss) -> Tensor:
        total = 0
        for level, (s, t) in enumerate(levels):
            fg, bg = masks(*s.shape[2:])
            part = loss.parts["global_context(global)"][level]
            for n in range(N):
                (own_space, own_channel), (space, channel) = attention(s[n]), attention(t[n])
                square = space * channel.view(C, 1, 1) * (t[n] - s[n]) ** 2
                total = total + (alpha * fg[n] * square).sum() + (beta * bg[n] * square).sum()
                total = total + gamma * ((own_space - space).abs().sum() + (own_channel - channel).abs().sum())
                gap = context(t[n], part["teacher"]) - context(s[n], part["student"])
                total = total + lambda_ * (gap**2).sum()
        return total / N

    return papers


def generated(s: Tensor, level: int, loss: DistillationLoss, kept: float) -> Tensor:
    """MGD: M = 0 where the random number lies below the masked share; two convolutions, a ReLU between."""
    (levels,) = loss.parts.values()
    weights = [value.detach().double() for value in levels[level]["student"].state_dict().values()]
    mask = (torch.rand(N, 1, *s.shape[2:]) < kept).double()
    hidden = F.conv2d(s * mask, weights[0], weights[1], padding=1).clamp_min(0)
    return F.conv2d(hidden, weights[2], weights[3], padding=1)


def mgd(alpha: float, masked: float) -> Callable[[Pairs, DistillationLoss], Tensor]:
    def papers(levels: Pairs, loss: DistillationLoss) -> Tensor:
        gaps = [t - generated(s, level, loss, 1 - masked) for level, (s, t) in enumerate(levels)]
        return alpha * sum((gap**2).sum() for gap in gaps) / N

    return papers


def detkds_cascade(levels: Pairs, loss: DistillationLoss) -> Tensor:
    gaps = [t - generated(s, level, loss, 0.55) for level, (s, t) in enumerate(levels)]
    return 5e-7 * sum(gap.abs().sum() for gap in gaps) / N


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(1, keepdim=True).clamp_min(1e-24).sqrt()


def channel_attention(x: Tensor) -> Tensor:
    strength = (x.abs().mean((2, 3), keepdim=True) / 0.5).exp()
    return x * (x.shape[1] * strength / strength.sum(1, keepdim=True)).sqrt()


def detkds_global(gamma: float, levels: Pairs) -> Tensor:
    def side(x: Tensor) -> Tensor:
        x = channel_attention(x)
        h, w = x.shape[2:]
        cells = [x[:, :, i : i + 2, j : j + 2].amax((2, 3)) for i in range(0, h, 2) for j in range(0, w, 2)]
        return unit(torch.stack(cells, dim=2).unsqueeze(2))

    return gamma * sum((side(s) - side(t)).abs().mean() for s, t in levels)


def patch_vectors(x: Tensor) -> Tensor:
    h, w = x.shape[2:]
    x = F.pad(x, (0, -w % 4, 0, -h % 4))
    rows = [
        x[n, c, i : i + 4, j : j + 4].flatten()
        for n in range(N) for c in range(C) for i in range(0, x.shape[2], 4) for j in range(0, x.shape[3], 4)
    ]  # fmt: skip
    return unit(torch.stack(rows))


def masked_unit(s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """One draw for both sides keeps 35% of the positions."""
    mask = (torch.rand(len(s), 1, *s.shape[2:]) < 0.35).double()
    return unit(s * mask), unit(t * mask)


def pearson_gap(a: Tensor, b: Tensor) -> Tensor:
    """1 - r over the channels; 0 where both sides are constant."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((unit(a) - unit(b)).square().sum(1) / 2).mean()


def binary(s: Tensor, t: Tensor) -> Tensor:
    """The gap of the probabilities times their divergence, added up over classes."""
    p, q = t.sigmoid(), s.sigmoid()
    divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    return ((p - q).abs().detach() * divergence).sum(1)


FOREGROUND = {"foreground": 40, "background": 50}


def knowledge(name: str) -> dict[str, Pairs]:
    """Draw what a distiller takes, with as many levels as its paper has."""
    inputs = DistillationLoss(ZOO[name].distiller(OMNI), OMNI).inputs
    count = 4 if name == "detkds_faster_rcnn" else 5
    made: dict[str, Pairs] = {}
    for source in inputs:
        if source == "global":
            made[source] = maps(count)
        elif source in FOREGROUND:
            grids = enumerate(GRIDS[:count])
            made[source] = [drawn(N, C, *grid, seed=FOREGROUND[source] + index) for index, grid in grids]
        elif source == "instance":
            made[source] = [drawn(4, C, 7, 7, seed=60)]
        elif source in ("class_logits", "cross_logits"):
            levels = 1 if count == 4 else 5
            made[source] = [drawn(N * h * w, K, seed=70 + h) for h, w in GRIDS[:levels]]
        elif source == "box_bins":
            made[source] = [drawn(4 * N * h * w, 17, seed=80 + h) for h, w in GRIDS]
        elif source == "valuable_boxes":
            values = [(torch.arange(N * h * w) % 3 < 2).float()[:, None] for h, w in GRIDS]
            made[source] = [(x, x) for x in values]
        else:
            which = ("foreground_mask", "background_mask").index(source)
            fields = [masks(*grid)[which].float() for grid in GRIDS]
            made[source] = [(x, x) for x in fields]
    return made


def expected(name: str, given: dict[str, Pairs], loss: DistillationLoss) -> Tensor:
    """Compute a distiller as its paper says."""
    on_maps = {
        "mimic": mimic, "pkd": pkd(10), "pkd_two_stage": pkd(6), "cwd": cwd,
        "fgd": fgd(1e-3, 5e-4, 5e-4, 5e-6),
        "fgd_anchor_free": fgd(1.6e-3, 8e-4, 8e-4, 8e-6),
        "fgd_fcos": fgd(1.6e-3, 8e-4, 8e-4, 8e-6, 0.8),
        "fgd_two_stage": fgd(5e-5, 2.5e-5, 5e-5, 5e-7),
        "mgd": mgd(2e-5, 0.65), "mgd_two_stage": mgd(5e-7, 0.45),
        "detkds_cascade": detkds_cascade,
        "detkds_gfl": lambda levels, _: detkds_global(10, levels),
    }  # fmt: skip
    if name in on_maps:
        return on_maps[name](given["global"], loss)
    return OTHERS[name](given)


def ld(given: dict[str, Pairs]) -> Tensor:
    """0.25 T^2 KL at T = 10, averaged over bins as released, over a level's boxes in the region, and over levels."""
    losses = []
    for (s, t), (field, _) in zip(given["box_bins"], given["valuable_boxes"], strict=True):
        p, q = ((x / 10).softmax(1) for x in (t, s))
        divergence = (p * (p / q).log()).mean(1).view(-1, 4).mean(1)
        inside = field[:, 0] > 0
        losses.append(0.25 * 100 * divergence[inside].mean())
    return torch.stack(losses).mean()


def detkds_retinanet(given: dict[str, Pairs]) -> Tensor:
    total = detkds_global(6, given["global"])
    for source, gamma in (("foreground", 2), ("background", 1)):
        for s, t in given[source]:
            total = total + gamma * (patch_vectors(s) - patch_vectors(t)).abs().mean()
    return total


def masked_foreground(given: dict[str, Pairs]) -> Tensor:
    total = torch.zeros(())
    for level in range(len(given["foreground"])):
        for source, gamma in (("background", 1), ("foreground", 2)):  # the order of the draws
            s, t = masked_unit(*given[source][level])
            total = total + gamma * (s - t).abs().mean()
    return total


def detkds_faster(given: dict[str, Pairs]) -> Tensor:
    total = detkds_global(2, given["global"]) + masked_foreground(given)
    ((s, t),) = given["instance"]
    total = total + 4 * 0.1 * pearson_gap(*masked_unit(s, t))
    ((s, t),) = given["class_logits"]
    return total + 4 * 0.1 * pearson_gap(s.softmax(1), t.softmax(1))


def instance_only(given: dict[str, Pairs]) -> Tensor:
    ((s, t),) = given["instance"]
    return 5 * 50 * (unit(channel_attention(s)) - unit(channel_attention(t))).abs().mean()


OTHERS = {
    "ld": ld,
    "bckd": lambda given: sum(binary(s, t).mean() for s, t in given["class_logits"]),
    "crosskd": lambda given: torch.stack([binary(s, t).mean() for s, t in given["cross_logits"]]).mean(),
    "detkds_retinanet_r101": detkds_retinanet,
    "detkds_retinanet_x101": instance_only,
    "detkds_fcos": lambda given: detkds_global(5, given["global"]) + masked_foreground(given),
    "detkds_faster_rcnn": detkds_faster,
}


def doubled(given: dict[str, Pairs]) -> dict[str, Pairs]:
    return {
        name: [(s.detach().double().requires_grad_(), t.double()) for s, t in levels] for name, levels in given.items()
    }
