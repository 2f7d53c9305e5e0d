"""Searches for narrow detectors of three families on BCCD, for a CPU: what `full_training.py` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ADAMW = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05}
RETINANET = {
    "config": "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py",
    "head": {"model.bbox_head.stacked_convs": 2},
}
FCOS = {
    "config": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "head": {"model.bbox_head.stacked_convs": 2, "model.bbox_head.norm_cfg": {"type": "GN", "num_groups": 8}},
}
GFL = {
    "config": "mmdet::gfl/gfl_r50_fpn_1x_coco.py",
    "head": {"model.bbox_head.stacked_convs": 2, "model.bbox_head.norm_cfg": {"type": "GN", "num_groups": 8}},
}
FAMILIES = {"retinanet": RETINANET, "fcos": FCOS, "gfl": GFL}


def narrow(family: dict[str, Any], base: int, channels: int) -> dict[str, Any]:
    """Return a detector narrow enough for a CPU, to be trained from scratch, as in ``configs/bccd.py``."""
    overrides = {
        "model.backbone.depth": 18,
        "model.backbone.base_channels": base,
        "model.backbone.stem_channels": base,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_eval": False,
        "model.backbone.norm_cfg.requires_grad": True,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [base, 2 * base, 4 * base, 8 * base],
        "model.neck.out_channels": channels,
        "model.neck.norm_cfg": {"type": "BN"},
        "model.bbox_head.in_channels": channels,
        "model.bbox_head.feat_channels": channels,
        "model.test_cfg.nms_pre": 300,
        **family["head"],
    }
    return {"config": family["config"], "overrides": overrides}


def search_config(name: str, data: Path, iterations: int, workers: int, *, quick: bool) -> dict[str, Any]:
    """Return the config of a family: the search, and what the full training changes of the student's own config.

    Args:
        name: of `FAMILIES`.
        data: the folder of BCCD in COCO format.
        iterations: of a full training.
        workers: how many candidates are trained at a time.
        quick: whether it need only work, in seconds.
    """
    family = FAMILIES[name]
    student, teacher = (
        narrow(family, *((8, 32) if quick else (16, 64))),
        narrow(family, *((12, 48) if quick else (32, 96))),
    )
    wrapper = {"_delete_": True, "type": "OptimWrapper", "optimizer": ADAMW, "clip_grad": {"max_norm": 10}}
    return {
        "primitive_set": "detkds_gp.primitives:DETKDS",
        "knowledge": ("global", "class_logits") if quick else None,
        "data": {
            "root": str(data.resolve()),
            **{
                split: {"ann_file": f"{file}.json", "images": "images"} | ({"part": (0.0, 0.1)} if quick else {})
                for split, file in (("train", "train"), ("selection", "val"), ("test", "test"))
            },
        },
        "student": student,
        "teacher": {
            **teacher,
            "train": {"iterations": 4 if quick else 700, "optimizer": ADAMW, "warmup": 50, "decay": 0.5},
        },
        "proxy": {
            "iterations": 2 if quick else 60,
            "image_size": (64, 64) if quick else (120, 160),
            "optimizer": ADAMW,
            "warmup": 10,
            "decay": 0.5,
            "calibration_iterations": 1 if quick else 20,
        },
        "search": {
            "divide": {"population": 2 if quick else 4, "offspring": 2, "generations": 0 if quick else 2},
            "conquer": {
                "population": 2 if quick else 6,
                "offspring": 2 if quick else 6,
                "generations": 0 if quick else 2,
            },
            "champions": 1,
            "warm_start": () if quick else ("zoo",),
        },
        "verdict": {"seeds": (1001, 1002) if quick else (1001, 1002, 1003, 1004)},
        "full_training": {
            "iterations": iterations,
            "batch_size": 8,
            "workers": 0,  # one process a training: two of them fill two cores
            "options": {
                "optim_wrapper": wrapper,
                "val_evaluator.metric": "bbox",
                "train_cfg.val_begin": iterations + 1,  # nobody reads the selection split's AP of a full training
            },
        },
        "execution": {"workers": workers},
        "require_better_teacher": not quick,
    }
