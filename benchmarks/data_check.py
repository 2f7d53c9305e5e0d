"""Measures `gp_search data check` and `gp_search check` on a made data set of 100,000 tiny images.

`check CONFIG` imports, builds and times two detectors as well; what that costs by itself is measured on the 420 images
of ``--quick`` and subtracted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

COUNTS = {"train": 90_000, "val": 5_000, "test": 5_000}
QUICK = {"train": 300, "val": 60, "test": 60}
SIDES = (24, 32)
BOXES = 3
LIMITS = {"seconds": 30.0, "mebibytes": 1024.0}
CLASSES = tuple("abcdefgh")
PAIR = """
_base_ = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
model = dict(
    backbone=dict(base_channels=8, stem_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1),
)
"""
SEARCH = """
primitive_set = "detkds_gp.primitives:DETKDS"
data = dict(
    root="{root}",
    train=dict(ann_file="train.json", images="images"),
    selection=dict(ann_file="val.json", images="images"),
    test=dict(ann_file="test.json", images="images"),
)
student = dict(config="{root}/pair.py")
teacher = dict(config="{root}/pair.py")
proxy = dict(iterations=60, batch_size=8, image_size=(32, 32), device="cpu")
cache_dir = "{root}/cache"
"""
GP_SEARCH = [sys.executable, "-c", "from detkds_gp.cli.app import main; main()"]


def make(root: Path, counts: dict[str, int]) -> None:
    """Write images of noise, as JPEG files of about 1 KiB, and a COCO file for each split."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    for split, count in counts.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(1, count + 1):
            pixels = rng.integers(0, 256, (*SIDES, 3), dtype=np.uint8)
            name = f"{split}_{number:06d}.jpg"
            (root / "images" / name).write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
            images.append({"id": number, "file_name": name, "width": SIDES[1], "height": SIDES[0]})
            for x, y in rng.integers(0, 12, (BOXES, 2)).tolist():
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": int(rng.integers(1, len(CLASSES) + 1)),
                        "bbox": [x, y, 8, 9],
                        "area": 72,
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"{split}.json").write_text(json.dumps(content))


def measured(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds and the most memory that it held, in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "mebibytes": round(usage.ru_maxrss / 1024, 1),
    }


def measured_on(root: Path, counts: dict[str, int]) -> dict[str, dict[str, float]]:
    """Make a data set and return what each command costs on it."""
    root.mkdir()
    make(root, counts)
    (root / "pair.py").write_text(PAIR)
    (root / "search.py").write_text(SEARCH.format(root=root))
    return {
        "data check": measured([*GP_SEARCH, "data", "check", str(root), "--json"]),
        "check": measured([*GP_SEARCH, "check", str(root / "search.py"), "--random-weights", "--json"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="420 images: see that it works")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        few = measured_on(Path(folder) / "few", QUICK)
        told = few if quick else measured_on(Path(folder) / "many", COUNTS)
    data = {key: round(told["check"][key] - few["check"][key], 1) for key in few["check"]}
    told = {**told, "check without the detectors' part": data}
    judged = [cost for name, cost in told.items() if name != "check"]
    within = all(cost[key] <= limit for cost in judged for key, limit in LIMITS.items())
    print(
        json.dumps({"images": sum((QUICK if quick else COUNTS).values()), **told, "limits": LIMITS, "within": within})
    )
    if not within:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
