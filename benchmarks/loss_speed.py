"""What a compiled formula costs against the same loss written by hand.

Forward and backward over the five levels of a RetinaNet's FPN (256 channels, strides 8 to 128) at
800 x 1333, in turns (formula, hand, hand, formula, ...), so that the machine's noise hits both
alike. Wanted: time and peak memory at most 1.05 times those of the hand-written loss;
it is not held where the whole 95% interval of a time lies above.

    python benchmarks/loss_speed.py [--quick] [--device cuda] [--scale 0.5] [--repeats 60]

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI

CHANNELS, STRIDES, IMAGE, WANTED = 256, (8, 16, 32, 64, 128), (800, 1333), 1.05
Pair = tuple[Tensor, Tensor]
Levels = Sequence[Pair]


def mimic(student: Tensor, teacher: Tensor) -> Tensor:
    return F.mse_loss(student, teacher)


def pkd(student: Tensor, teacher: Tensor) -> Tensor:
    def norm(x: Tensor) -> Tensor:
        centred = x - x.mean((0, 2, 3), keepdim=True)
        return centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-12).sqrt()

    return F.mse_loss(norm(student), norm(teacher))


def cwd(student: Tensor, teacher: Tensor) -> Tensor:
    rows = [x.flatten(2).log_softmax(2).flatten(0, 1) for x in (student, teacher)]
    return F.kl_div(*rows, reduction="batchmean", log_target=True)


def detkds(student: Tensor, teacher: Tensor) -> Tensor:
    def norm(x: Tensor) -> Tensor:
        attention = (x.abs().mean((2, 3), keepdim=True) / 0.5).softmax(1) * x.shape[1]
        return F.normalize(F.max_pool2d(x * attention.sqrt(), 2, ceil_mode=True), dim=1, eps=1e-6)

    return F.l1_loss(norm(student), norm(teacher))


CASES: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "mimic": ("l2(global)", mimic),
    "PKD": ("l2(standardize_channel(global))", pkd),
    "CWD": ("kl(softmax_space(global, 1))", cwd),
    "DetKDS": ("l1(unit_channel(max_pool_2(channel_attention(global, 0.5))))", detkds),
}


@dataclass(frozen=True)
class Result:
    """Formula against hand-written: time (median and its 95% interval) and peak memory."""

    name: str
    formula: str
    time_ratio: float
    time_low: float
    time_high: float
    memory_ratio: float
    hand_ms: float
    difference: float


def feature_levels(scale: float, device: str) -> Levels:
    sides = [[math.ceil(side * scale / stride) for side in IMAGE] for stride in STRIDES]
    sizes = [(1, CHANNELS, *side) for side in sides]
    pairs = [(torch.randn(size, device=device), torch.randn(size, device=device)) for size in sizes]
    return [(student.requires_grad_(), teacher) for student, teacher in pairs]


def step(loss: Callable[[], Tensor], levels: Levels) -> list[Tensor]:
    """Run forward and backward as a training does; return the loss and the gradients."""
    total = loss()
    total.backward()
    outcome = [total.detach(), *(student.grad for student, _ in levels)]
    for student, _ in levels:
        student.grad = None
    return outcome


def difference(ours: list[Tensor], by_hand: list[Tensor]) -> float:
    """Return the largest difference of loss and gradients, relative to the largest number."""
    pairs = zip(ours, by_hand, strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def wall_ms(loss: Callable[[], Tensor], levels: Levels) -> float:
    start = time.perf_counter()
    step(loss, levels)[0].item()  # waits for the device
    return 1e3 * (time.perf_counter() - start)


def peak_bytes(loss: Callable[[], Tensor], levels: Levels) -> int:
    """Return the most memory held at once during a step, on top of the features."""
    if levels[0][0].is_cuda:
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(loss, levels)
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(loss, levels)
    held = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def interval(ratios: list[float], draws: int = 2000) -> tuple[float, float]:
    """Return the bootstrap's 95% interval of the median."""
    rng = random.Random(0)
    medians = sorted(median(rng.choices(ratios, k=len(ratios))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws)]


def compare(name: str, levels: Levels, repeats: int) -> Result:
    text, by_hand = CASES[name]
    compiled = DistillationLoss(text, OMNI).to(levels[0][0].device)

    def formula() -> Tensor:
        return compiled({"global": levels}).total

    def hand() -> Tensor:
        return torch.stack([by_hand(student, teacher) for student, teacher in levels]).mean()

    gap = difference(step(formula, levels), step(hand, levels))
    times: dict[Callable[[], Tensor], list[float]] = {formula: [], hand: []}
    gc.disable()
    for repeat in range(repeats):
        for loss in (formula, hand) if repeat % 2 else (hand, formula):
            times[loss].append(wall_ms(loss, levels))
    gc.enable()
    ratios = [a / b for a, b in zip(times[formula], times[hand], strict=True)]
    return Result(
        name, text, median(ratios), *interval(ratios),
        memory_ratio=peak_bytes(formula, levels) / peak_bytes(hand, levels),
        hand_ms=median(times[hand]), difference=gap,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", type=float, default=1.0, help="of the image's sides")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="a check in seconds, no measurement")
    options = parser.parse_args()
    scale, repeats = (0.2, 7) if options.quick else (options.scale, options.repeats)
    torch.manual_seed(0)
    levels = feature_levels(scale, options.device)
    results = [compare(name, levels, repeats) for name in CASES]
    print(f"{'':8}{'time':>8}{'95% interval':>16}{'memory':>9}{'by hand':>12}{'difference':>12}")
    for r in results:
        spread, hand = f"{r.time_low:.3f} - {r.time_high:.3f}", f"{r.hand_ms:.2f} ms"
        ratios = f"{r.time_ratio:8.3f}{spread:>16}{r.memory_ratio:9.3f}"
        print(f"{r.name:8}{ratios}{hand:>12}{r.difference:12.1e}")
    held = all(max(r.time_low, r.memory_ratio) <= WANTED and r.difference < 1e-6 for r in results)
    setting = {"device": options.device, "scale": scale, "repeats": repeats}
    report = {"wanted": WANTED, "held": held, **setting, "torch": torch.__version__}
    print(json.dumps({**report, "results": [asdict(r) for r in results]}))


if __name__ == "__main__":
    main()
