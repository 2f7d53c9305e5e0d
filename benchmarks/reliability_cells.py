"""What `reliability.py` trains: pairs on data sets, and a sample of distillers from the student alone to bad ones."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrow_bccd import FAMILIES, narrow

from detkds_gp.config import ExperimentConfig, load_config, parse_config
from detkds_gp.data.formats import data_in

ROOT = Path(__file__).resolve().parents[1]

PKD, CWD = "l2(standardize_channel(global))", "kl(softmax_space(global, 1))"
LOGITS, GIOU = "binary_kl(units(class_logits, 1))", "weighted_giou(boxes, box_score)"


def weighted(**weights: float) -> str:
    """Write a mix of the formulas below, each at a number of calibrated units."""
    return " + ".join(f"{weight:g} * calibrated * {FORMULAS[name]}" for name, weight in weights.items())


FORMULAS = {
    "pkd": PKD, "cwd": CWD, "logits": LOGITS, "giou": GIOU, "mimic": "l2(global)", "absolute": "l1(global)",
    "foreground": "l2_sum(foreground)", "instance": "l2(instance)",
}  # fmt: skip
# Ordered so that the first few of them are a sample of all: alone, published, mixed, bad.
SAMPLE = (
    "none",
    weighted(pkd=5),
    weighted(pkd=25, logits=2, giou=2),
    weighted(mimic=500),
    weighted(logits=2),
    weighted(cwd=2),
    weighted(pkd=80),
    weighted(giou=2),
    weighted(pkd=5, logits=2),
    weighted(instance=2),
    weighted(foreground=2),
    weighted(pkd=2, foreground=2, instance=2, logits=2, giou=2),
    weighted(cwd=100),
    weighted(pkd=0.5),
    weighted(mimic=2),
    weighted(logits=20),
    weighted(absolute=50, giou=20),
    weighted(cwd=10, logits=1),
)


@dataclass(frozen=True)
class Cell:
    """A pair on a data set.

    Attributes:
        name: of the cell.
        config: what is trained.
    """

    name: str
    config: ExperimentConfig


def cells(names: Sequence[str], arguments: argparse.Namespace) -> Iterator[Cell]:
    """Yield the pairs that are asked for; all are trained at a constant rate."""
    constant = {"proxy.decay": 0.0, "require_better_teacher": False}
    local = {"cache_dir": str(arguments.work_dir / "cache"), "data.root": str(arguments.data.resolve())}
    for name in names:
        if name == "bccd_narrow":
            yield Cell(name, load_config(ROOT / "configs" / "bccd_narrow.py", {**constant, **local}))
            continue
        config = load_config(ROOT / "configs" / "bccd.py", {**constant, **local}).model_dump()
        if name == "bccd_gfl":
            config["student"] = narrow(FAMILIES["gfl"], 16, 64)
            config["teacher"] = {**config["teacher"], **narrow(FAMILIES["gfl"], 32, 96)}
        elif name == "raccoon_retinanet":
            config["data"] = raccoon(arguments)
            config["proxy"]["image_size"] = (160, 160)
        elif name != "bccd_retinanet":
            raise SystemExit(f"unknown cell {name}")
        yield Cell(name, parse_config(config | (shrunk(config) if arguments.quick else {})))


def shrunk(config: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a cell a matter of a minute."""
    return {
        "proxy": {**config["proxy"], "image_size": (64, 64), "batch_size": 2, "calibration_iterations": 1},
        "teacher": {**config["teacher"], "train": {"iterations": 4, "checks": 1, "batch_size": 2}},
    }


def raccoon(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the data of a VOC data set, converted once."""
    found = data_in(arguments.raccoon, arguments.work_dir / "raccoon")
    splits = {name: {"ann_file": s.ann_file, "images": s.images, "part": s.part} for name, s in found.splits.items()}
    return {"root": str(found.root.resolve()), **splits}
