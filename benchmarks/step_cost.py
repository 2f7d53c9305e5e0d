"""What distillation adds to a training step: all five kinds of knowledge at once, and global features alone.

A ResNet-18 student with mmdet's own head learns from a ResNet-50 teacher whose outputs are kept (its RoI head runs on
the student's regions). Plain and distilled steps alternate in one run; a ratio is of neighbours, so that a slow moment
of the machine hits both.

    python benchmarks/step_cost.py [--quick] [--side 320] [--rounds 12] [--save]

The last line printed is one JSON object: by family, the median ratio of each with its quartiles.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import torch

from detkds_gp.detectors import (
    DetectorSpec,
    ImageInput,
    Pair,
    build_detector,
    check_pair,
    make_batch,
    outputs_of,
)
from detkds_gp.losses import DistillationLoss
from detkds_gp.operators import active_operators
from detkds_gp.primitives import OMNI
from detkds_gp.training import DistilledDetector

CLASSES = tuple(f"class {number}" for number in range(20))
BATCH = 2
GLOBAL = "l2(global)"
MAPS = f"{GLOBAL} + add(l2_sum(foreground), l2_sum(background)) + l2(instance)"
DENSE = f"{MAPS} + binary_kl(units(class_logits, 1))"
FAMILIES = {
    "retinanet": ("retinanet/retinanet_r50_fpn_1x_coco.py", f"{DENSE} + giou(boxes)"),
    "gfl": ("gfl/gfl_r50_fpn_1x_coco.py", f"{DENSE} + kl(softmax_row(box_bins, 10))"),
    "faster_rcnn": (
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        f"{MAPS} + kl(softmax_row(class_logits, 1)) + giou(boxes)",
    ),
}
"""By family: mmdet's config and the formula on all five kinds."""


def spec(config: str, depth: int) -> DetectorSpec:
    channels = [64, 128, 256, 512] if depth == 18 else [256, 512, 1024, 2048]
    overrides = {"model.backbone.depth": depth, "model.backbone.init_cfg": None, "model.neck.in_channels": channels}
    return DetectorSpec(f"mmdet::{config}", overrides)


def images(side: int) -> list[ImageInput]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(BATCH):
        corner = rng.uniform(0, side * 0.6, (6, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, (6, 2)) * side], axis=1)
        pixels, labels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8), rng.integers(0, 20, 6)
        made.append(
            ImageInput(pixels, (side, side), (1.0, 1.0), (side, side), boxes.astype(np.float32), labels, number)
        )
    return made


def stepper(model: DistilledDetector, batch: dict[str, Any], outputs: Any) -> Callable[[], float]:
    """Return what makes one training step, forward to update, and returns its seconds."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-6)

    def step() -> float:
        started = time.perf_counter()
        optimizer.zero_grad()
        total, _ = model.parse_losses(model.losses(batch, outputs))
        total.backward()
        optimizer.step()
        return time.perf_counter() - started

    return step


def measure(family: str, side: int, rounds: int) -> dict[str, Any]:
    config, all_kinds = FAMILIES[family]
    torch.manual_seed(0)
    student, teacher = build_detector(spec(config, 18), CLASSES), build_detector(spec(config, 50), CLASSES)
    pair = check_pair(student, teacher, (side, side))
    batch = make_batch(images(side))
    steps = {"plain": stepper(DistilledDetector(student).train(), batch, None)}
    for name, text in (("global", GLOBAL), ("all", all_kinds)):
        steps[name] = stepper(*distilled(student, teacher, pair, text, batch))
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(step())
    ratios = {name: [a / b for a, b in zip(seconds[name], seconds["plain"], strict=True)] for name in ("global", "all")}
    summary = {name: spread(values) for name, values in ratios.items()}
    return {"plain_ms": round(1000 * spread(seconds["plain"])["median"], 1), **summary}


def distilled(student: Any, teacher: Any, pair: Pair, text: str, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
    model = DistilledDetector(student, DistillationLoss(text, OMNI), pair, teacher).train()
    assert model.pairing is not None
    inputs = teacher.data_preprocessor(batch, False)["inputs"]
    return model, batch, outputs_of(teacher, inputs, model.pairing.teacher_outputs)


def spread(values: list[float]) -> dict[str, float]:
    low, median, high = quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--side", type=int, default=320, help="of the square images, in pixels")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    side, rounds = (96, 1) if arguments.quick else (arguments.side, arguments.rounds)
    figures: dict[str, Any] = {}
    for family in FAMILIES:
        figures[family] = measure(family, side, rounds)
        print(family, figures[family], flush=True)
    figures |= {
        "side": side,
        "batch": BATCH,
        "rounds": rounds,
        "machine": f"{platform.machine()}, 1 thread",
        "versions": {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        target = Path(__file__).parent / "results" / "step_cost.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
