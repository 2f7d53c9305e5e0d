"""The cells of the proof: data sets and pairs of detectors, at a CPU's widths and at mmdet's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrow_bccd import FAMILIES, narrow

from detkds_gp.config import ExperimentConfig, load_config, parse_config
from detkds_gp.configs.tiny._base_.narrow import cascade_rcnn, dino, faster_rcnn, retinanet, rtmdet

ROOT = Path(__file__).resolve().parents[1]
ADAMW = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05, "fused": True}
ALONG = 300
"""Averaged steps of a student that is not trained to its end, on a CPU."""

Sides = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One data set and one pair of detectors.

    Attributes:
        data: name of the data set.
        pair: name of the pair.
        to_the_end: whether students are trained until twice the steps bring no more than seeds differ by.
        config: makes the config of a search, given the folder of the data.
    """

    data: str
    pair: str
    to_the_end: bool
    config: Callable[[Path], ExperimentConfig]

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.data}-{self.pair}".replace(" ", "_").replace("->", "to")


def _splits(root: Path, selection: str) -> dict[str, Any]:
    files = {"train": "train", "selection": selection, "test": "test"}
    folder = {"images": "images"} if (root / "images").is_dir() else {}
    return {"root": str(root.resolve())} | {
        split: {"ann_file": f"{file}.json", **folder} for split, file in files.items()
    }


def blood_cells(folder: Path) -> dict[str, Any]:
    """Return what BCCD in COCO format asks of a config."""
    data = _splits(folder / "bccd", "val")
    return {"data": data, "proxy": {"image_size": (120, 160), "iterations": 120}}


def raccoons(folder: Path) -> dict[str, Any]:
    """Return what the raccoons ask, converted by ``gp_search data voc``."""
    data = _splits(folder / "raccoon", "selection")
    return {"data": data, "proxy": {"image_size": (160, 160), "iterations": 120}}


def digits(folder: Path) -> dict[str, Any]:
    """Return what scenes of all ten digits ask: nothing is downloaded."""
    scenes = {"root": str(folder / "digits"), "train": 400, "selection": 120, "test": 200, "size": 96}
    return {"data": {"digits": scenes}, "proxy": {"image_size": (96, 96), "iterations": 150}}


def _retinanet() -> Sides:
    return narrow(FAMILIES["retinanet"], 8, 32), narrow(FAMILIES["retinanet"], 32, 96)


def _gfl() -> Sides:
    return narrow(FAMILIES["gfl"], 8, 32), narrow(FAMILIES["gfl"], 32, 96)


def _fcos() -> Sides:
    return narrow(FAMILIES["fcos"], 8, 32), narrow(FAMILIES["fcos"], 32, 96)


def _tiny_retinanet() -> Sides:
    return retinanet(8), retinanet(32)


def _faster_rcnn() -> Sides:
    return faster_rcnn(8), faster_rcnn(32)


def _rtmdet() -> Sides:
    return rtmdet(8), rtmdet(32)


def _cascade_to_retinanet() -> Sides:
    return retinanet(8), cascade_rcnn(32)


def _dino_to_retinanet() -> Sides:
    return retinanet(8), dino(32)


def on_a_cpu(data: Callable[[Path], dict[str, Any]], sides: Callable[[], Sides]) -> Callable[[Path], ExperimentConfig]:
    """Return what makes the config of a cell of narrow detectors, a search of some seventy trainings."""

    def config(folder: Path) -> ExperimentConfig:
        asked, (student, teacher) = data(folder), sides()
        training = {"iterations": 2000, "optimizer": ADAMW, "warmup": 50, "decay": 0.5}
        return parse_config(
            {
                "primitive_set": "detkds_gp.primitives:DETKDS",
                "data": asked["data"],
                "student": student,
                "teacher": {**teacher, "train": training},
                "proxy": {**asked["proxy"], "optimizer": ADAMW, "warmup": 10, "calibration_iterations": 20},
                "search": {
                    "divide": {"population": 2, "offspring": 1, "generations": 3},
                    "conquer": {"population": 6, "offspring": 6, "generations": 3},
                    "champions": 2,
                    "warm_start": ("zoo",),
                },
                "anchors": 0,
                "verdict": {"share": 0.5},
                "cache_dir": str(folder / "cache"),
                "require_better_teacher": False,
            }
        )

    return config


def _shipped(pair: str) -> Callable[[Path], ExperimentConfig]:
    """Return what makes the config of a COCO pair on a GPU."""

    def config(folder: Path) -> ExperimentConfig:
        options = {"data.root": str(folder / "coco"), "cache_dir": str(folder / "cache"), "proxy.device": "cuda"}
        return load_config(ROOT / "configs" / "coco" / f"{pair}.py", options)

    return config


CPU = (
    Cell("blood cells", "RetinaNet", True, on_a_cpu(blood_cells, _retinanet)),
    Cell("digits", "RetinaNet", True, on_a_cpu(digits, _tiny_retinanet)),
    Cell("blood cells", "GFL", True, on_a_cpu(blood_cells, _gfl)),
    Cell("raccoons", "RetinaNet", True, on_a_cpu(raccoons, _retinanet)),
    Cell("blood cells", "FCOS", False, on_a_cpu(blood_cells, _fcos)),
    Cell("blood cells", "Faster R-CNN", False, on_a_cpu(blood_cells, _faster_rcnn)),
    Cell("blood cells", "Cascade R-CNN -> RetinaNet", False, on_a_cpu(blood_cells, _cascade_to_retinanet)),
    Cell("digits", "RTMDet", False, on_a_cpu(digits, _rtmdet)),
    Cell("digits", "DINO -> RetinaNet", False, on_a_cpu(digits, _dino_to_retinanet)),
)
GPU = tuple(
    Cell("COCO", pair, True, _shipped(pair))
    for pair in (
        "retinanet_r101_to_r50",
        "fcos_r101_to_r50",
        "gfl_r101_to_r50",
        "faster_rcnn_r101_to_r50",
        "rtmdet_l_to_tiny",
        "cascade_mask_x101_to_fcos_r50",
        "dino_r50_to_retinanet_r50",
        "dino_r50_to_rtmdet_tiny",
    )
)
SCALES: Mapping[str, tuple[Cell, ...]] = {"cpu": CPU, "gpu": GPU}
"""By ``--scale``; at ``gpu`` with mmdet's widths, on COCO."""
