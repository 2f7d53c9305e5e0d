"""What a step of a full training takes for each of the paper's eight pairs, at COCO's size.

Builds student and teacher of ``configs/coco`` without their weights, and counts a step's operations (multiply and add
are two) and the bytes held for the backward pass, for the student alone and under PKD. Counted are two small sizes, on
images of random pixels with COCO's mean of 7 objects; what a second stage does is constant, the rest grows with the
area, so that two sizes give mmdet's 1333x800, here 1344x800 with its padding. Mask R-CNN is no such sum: its mask head
runs on as many regions as are positive, so only the difference of its two counts says something. Counts hold on any
machine. Deformable convolutions are compiled and not counted. With ``--seconds`` the full size is also timed on this
machine.

    python benchmarks/full_step.py [--quick] [--pairs gfl_r101_to_r50 ...] [--seconds] [--device cuda] [--save]

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

from detkds_gp.config import load_config
from detkds_gp.detectors import ImageInput, build_detector, check_pair, finds_masks, make_batch
from detkds_gp.losses import DistillationLoss
from detkds_gp.operators import active_operators
from detkds_gp.primitives import OMNI
from detkds_gp.training import DistilledDetector

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "full_step.json"
CLASSES = CocoDataset.METAINFO["classes"]
OBJECTS = 7
SMALL = ((96, 160), (192, 320))
FULL = (800, 1344)
STEPS = 3
FORMULA = "1 * 25 * l2(standardize_channel(global))"
PAIRS = sorted(path.stem for path in (ROOT / "configs" / "coco").glob("*.py") if "DetKDS" in path.read_text())
"""The paper's, whose files say what DetKDS gains."""


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
    """Return what a step takes an image, alone and distilled, and the sizes of what is written."""
    config = load_config(ROOT / "configs" / "coco" / f"{pair}.py")
    bare = {"checkpoint": None, "overrides": {"model.backbone.init_cfg": None}}
    student, teacher = (
        build_detector(side.model_copy(update=bare).spec(), CLASSES, initialise=False).to(arguments.device)
        for side in (config.student, config.teacher)
    )
    shared = check_pair(student, teacher, SMALL[0], (CLASSES, CLASSES), ["global"])
    models = {
        "alone": DistilledDetector(student),
        "distilled": DistilledDetector(student, DistillationLoss(FORMULA, OMNI), shared, teacher),
    }
    told: dict[str, Any] = {}
    for name, model in models.items():
        model.to(arguments.device).train()
        counts = [counted(model, batch_of(student, size)) for size in SMALL]
        told |= {f"{name}_{key}": round(at_full(*(count[key] for count in counts)), 3) for key in counts[0]}
        if arguments.seconds:
            told[f"{name}_seconds"] = round(seconds(model, batch_of(student, FULL)), 3)
    weights = sum(p.numel() for p in student.state_dict().values())
    momentum = sum(p.numel() for p in models["distilled"].parameters() if p.requires_grad)
    return {
        **told,
        "student_pth_mb": round(4 * weights / 1e6),
        "checkpoint_mb": round(4 * (weights + momentum) / 1e6),
        "teacher_pth_mb": round(4 * sum(p.numel() for p in teacher.state_dict().values()) / 1e6),
    }


def batch_of(student: Any, size: tuple[int, int]) -> dict[str, Any]:
    return make_batch(images(1, size), masks=finds_masks(student))


def at_full(first: float, second: float) -> float:
    """Return a count at the full size from those at the two small ones, linear in the area."""
    areas = [height * width for height, width in (*SMALL, FULL)]
    return first + (second - first) / (areas[1] - areas[0]) * (areas[2] - areas[0])


def counted(model: DistilledDetector, batch: dict[str, Any]) -> dict[str, float]:
    """Return the operations of a step and what it holds for the backward pass."""
    held: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.state_dict().values()}

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return x

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        total, _ = model.parse_losses(model(**batch, mode="loss"))
        total.backward()
    model.zero_grad()
    return {"tflop_an_image": counter.get_total_flops() / 1e12, "held_gib_an_image": sum(held.values()) / 2**30}


def seconds(model: DistilledDetector, batch: dict[str, Any]) -> float:
    """Return the median of a few steps' seconds, after one that warms up."""
    taken = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        total, _ = model.parse_losses(model(**batch, mode="loss"))
        total.backward()
        total.item()
        taken.append(time.perf_counter() - started)
    return median(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="*", default=PAIRS, choices=PAIRS)
    parser.add_argument("--seconds", action="store_true", help="time steps at the full size, too")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="one pair, as a check that it works")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    figures = {}
    for pair in arguments.pairs[: 1 if arguments.quick else None]:
        figures[pair] = measure(pair, arguments)
        print(pair, figures[pair], flush=True)
    name = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else platform.machine()
    told = {
        "pairs": figures,
        "size": FULL,
        "machine": f"{arguments.device}: {name}, {torch.get_num_threads()} threads",
        "versions": {one: version(one) for one in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": shlex.join(["python", *sys.argv]),
    }
    if arguments.save:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
