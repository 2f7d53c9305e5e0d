"""What a step of a full training takes for each of the paper's eight pairs, at COCO's size.

Builds student and teacher of ``configs/coco`` without their weights, and counts a step's operations (multiply and add
are two) and the bytes that are held for the backward pass, for the student alone and under PKD, on images of random
pixels at mmdet's 1333x800 with COCO's mean of 7 objects. Both counts hold on any machine; the seconds hold on this one.
Deformable convolutions are compiled and not counted.

    python benchmarks/full_step.py [--quick] [--pairs gfl_r101_to_r50 ...] [--batch 1] [--steps 1] [--device cuda]
        [--save]

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from mmdet.datasets import CocoDataset
from torch.utils.flop_counter import FlopCounterMode

from detkds_gp.detectors import ImageInput, build_detector, check_pair, finds_masks, make_batch
from detkds_gp.experiment import load_config
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI
from detkds_gp.training import DistilledDetector

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "full_step.json"
CLASSES = CocoDataset.METAINFO["classes"]
OBJECTS = 7
FORMULA = "1 * 25 * l2(standardize_channel(global))"
PAIRS = sorted(path.stem for path in (ROOT / "configs" / "coco").glob("*.py"))


def images(count: int, size: tuple[int, int]) -> list[ImageInput]:
    """Return images of random pixels with objects that are rectangles."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        corner = rng.uniform(0, 0.6, (OBJECTS, 2)) * (size[1], size[0])
        boxes = np.concatenate([corner, corner + rng.uniform(0.05, 0.4, (OBJECTS, 2)) * (size[1], size[0])], axis=1)
        masks = [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in boxes.tolist()]
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        labels = rng.integers(0, len(CLASSES), OBJECTS)
        made.append(ImageInput(pixels, size, (1.0, 1.0), size, boxes.astype(np.float32), labels, number, masks))
    return made


def measure(pair: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return seconds and memory of a step, alone and distilled, and the sizes of what is written."""
    config = load_config(ROOT / "configs" / "coco" / f"{pair}.py")
    bare = {"checkpoint": None, "overrides": {"model.backbone.init_cfg": None}}
    student, teacher = (
        build_detector(side.model_copy(update=bare).spec(), CLASSES, initialise=False)
        for side in (config.student, config.teacher)
    )
    size = (128, 160) if arguments.quick else (800, 1333)
    for detector in (student, teacher):
        detector.to(arguments.device)
    shared = check_pair(student, teacher, (256, 320), (CLASSES, CLASSES), ["global"])
    batch = make_batch(images(arguments.batch, size), masks=finds_masks(student))
    models = {
        "alone": DistilledDetector(student),
        "distilled": DistilledDetector(student, DistillationLoss(FORMULA, OMNI), shared, teacher),
    }
    costs = {name: _cost(model.to(arguments.device).train(), batch, arguments) for name, model in models.items()}
    weights = sum(p.numel() for p in student.state_dict().values())
    trained = sum(p.numel() for p in models["distilled"].parameters() if p.requires_grad)
    return {
        **{f"{name}_{key}": value for name, cost in costs.items() for key, value in cost.items()},
        "student_pth_mb": round(4 * weights / 1e6),
        "checkpoint_mb": round(4 * (weights + trained) / 1e6),
        "teacher_pth_mb": round(4 * sum(p.numel() for p in teacher.state_dict().values()) / 1e6),
    }


def _cost(model: DistilledDetector, batch: dict[str, Any], arguments: argparse.Namespace) -> dict[str, float]:
    """Count one step, then time some."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-6, momentum=0.9)

    def step() -> float:
        started = time.perf_counter()
        total, _ = model.parse_losses(model(**batch, mode="loss"))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        total.item()
        return time.perf_counter() - started

    held: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.state_dict().values()}

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return x

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        step()
    images = len(batch["inputs"])
    return {
        "tflop_an_image": round(counter.get_total_flops() / images / 1e12, 4),
        "held_gib_an_image": round(sum(held.values()) / images / 2**30, 3),
        "step_seconds": round(median(step() for _ in range(arguments.steps)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="*", default=PAIRS, choices=PAIRS)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="small images, one step: measures nothing")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    figures = {}
    for pair in arguments.pairs:
        figures[pair] = measure(pair, arguments)
        print(pair, figures[pair], flush=True)
    name = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else platform.machine()
    told = {
        "pairs": figures,
        "batch": arguments.batch,
        "machine": f"{arguments.device}: {name}, {torch.get_num_threads()} threads",
        "versions": {one: version(one) for one in ("torch", "mmdet", "mmcv")},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
