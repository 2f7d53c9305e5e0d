"""What full training gains: student, every published distiller, the searched one and the teacher, on the test split.

For each family a search first finds a distiller on the selection split; then the student is trained in full by
mmdet's own schedule and pipeline alone, under every published distiller that applies to the pair, and under the found
one, on the same seeds. Gains over the student alone are paired, with 95% intervals.

    python benchmarks/full_training.py --data DIR [--quick] [--families retinanet fcos] [--iterations 300]
        [--seeds 3] [--distillers pkd cwd ...] [--work-dir work_dirs/full_training] [--save]

DIR holds BCCD in COCO format: train.json, val.json, test.json, images. What is finished in the work directory is not
trained again, so a stopped benchmark goes on. With ``--save`` each family is written to
``benchmarks/results/full_training.json`` when it is done. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.experiment import Experiment, ExperimentConfig, Listener, load_config
from detkds_gp.experiment.full_training import share_of_gap
from detkds_gp.experiment.naming import reason_against
from detkds_gp.experiment.prepare import gather, prepare
from detkds_gp.gain import paired_gain
from detkds_gp.language import NONE, load_primitive_set, load_zoo

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "full_training.json"
FOUND = "searched"
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


def config_file(name: str, arguments: argparse.Namespace, folder: Path) -> Path:
    """Write the config of a family: the search, and what the full training changes of the student's own config."""
    quick, family = arguments.quick, FAMILIES[name]
    student, teacher = (
        narrow(family, *((8, 32) if quick else (16, 64))),
        narrow(family, *((12, 48) if quick else (32, 96))),
    )
    wrapper = {"_delete_": True, "type": "OptimWrapper", "optimizer": ADAMW, "clip_grad": {"max_norm": 10}}
    values = {
        "primitive_set": "detkds_gp.primitives:DETKDS",
        "knowledge": ("global", "class_logits") if quick else None,
        "data": {
            "root": str(Path(arguments.data).resolve()),
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
            "divide_weight": 2.0,
            "warm_start": () if quick else ("zoo",),
        },
        "verdict": {"seeds": (1001, 1002) if quick else (1001, 1002, 1003, 1004)},
        "full_training": {
            "iterations": arguments.iterations,
            "batch_size": 8,
            "workers": 0 if quick else 1,
            "options": {"optim_wrapper": wrapper, "val_evaluator.metric": "bbox"},
        },
        "cache_dir": str(folder / "cache"),
        "require_better_teacher": not quick,
    }
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")
    return path


def applicable(config: ExperimentConfig, folder: Path) -> dict[str, str]:
    """Return the names of the zoo, each with the reason why it does not apply; empty where it does."""
    everything = load_primitive_set("detkds_gp.primitives:OMNI")
    asked = config.model_copy(update={"primitive_set": "detkds_gp.primitives:OMNI", "knowledge": None})
    task = prepare(asked, gather(asked), folder, Listener())
    return {name: reason_against(entry, everything, task.pair) for name, entry in load_zoo(config.zoo).items()}


def searched(path: Path, folder: Path) -> tuple[str, float]:
    """Search, or read the search that is finished; return the file of its distiller and the hours it took."""
    outcome = Experiment(load_config(path), folder / "search").run()
    seconds = outcome.summary["wall_seconds"]["since_start"]
    return str(folder / "search" / "distiller.json"), seconds / 3600


def trained(path: Path, name: str, source: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train in a process of its own, and return its result; a finished training is only read."""
    work_dir = folder / f"{name}-{seed}"
    if not (work_dir / "result.json").is_file():
        command = [sys.executable, "-c", "from detkds_gp.cli.app import main; main()", "train", str(path)]
        command += ["--distiller", source, "--work-dir", str(work_dir), "--seed", str(seed)]
        log = folder / f"{name}-{seed}.log"
        with log.open("w") as out:
            ended = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
        if ended.returncode:
            return {"failed": log.read_text().strip().splitlines()[-1][:300]}
    return dict(json.loads((work_dir / "result.json").read_text()))


def measure(name: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Search, train everything on every seed, and return the table of a family."""
    path = config_file(name, arguments, folder)
    config = load_config(path)
    against = applicable(config, folder / "check")
    found, search_hours = searched(path, folder)
    sources = {NONE: NONE, **{entry: entry for entry, reason in against.items() if not reason}, FOUND: found}
    if arguments.distillers is not None:
        sources = {key: value for key, value in sources.items() if key in (NONE, FOUND, *arguments.distillers)}
    results: dict[str, list[dict[str, Any]]] = {key: [] for key in sources}
    for seed in range(arguments.seeds):  # seed by seed, so that a stopped benchmark has whole comparisons
        for key, source in sources.items():
            results[key].append(trained(path, key, source, seed, folder))
            print(name, key, seed, results[key][-1].get("ap", results[key][-1].get("failed")), flush=True)
    alone = [result["ap"] for result in results[NONE]]
    teacher = [r["teacher_ap"] for one in results.values() for r in one if r.get("teacher_ap") is not None]
    rows = {key: _row(found_results, alone, fmean(teacher)) for key, found_results in results.items() if key != NONE}
    return {
        "iterations": arguments.iterations,
        "seeds": arguments.seeds,
        "teacher": round(fmean(teacher), 4),
        "student": alone,
        "distillers": rows,
        "not_applicable": {key: reason for key, reason in against.items() if reason},
        "search_hours": round(search_hours, 3),
        "training_hours": round(sum(r.get("hours", 0.0) for one in results.values() for r in one), 3),
    }


def _row(results: list[dict[str, Any]], alone: list[float], teacher: float) -> dict[str, Any]:
    failed = [result["failed"] for result in results if "failed" in result]
    if failed:
        return {"failed": failed[0]}
    aps = [result["ap"] for result in results]
    share = share_of_gap(fmean(aps), fmean(alone), teacher)
    return {
        "formula": results[0]["formula"],
        "ap": aps,
        "gain": paired_gain(aps, alone).to_json(),
        "share_of_gap": None if share is None else round(share, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/bccd", help="BCCD in COCO format")
    parser.add_argument("--families", nargs="*", default=["retinanet", "gfl"], choices=FAMILIES)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--distillers", nargs="*", help="of the zoo; default: all that apply")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/full_training"))
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.iterations, arguments.seeds = 2, 2
        arguments.distillers = arguments.distillers or ["pkd"]
        arguments.families = arguments.families[:1]
    figures: dict[str, Any] = {}
    for name in arguments.families:
        started = time.time()
        figures[name] = measure(name, arguments, arguments.work_dir / name)
        figures[name]["hours"] = round((time.time() - started) / 3600, 3)
        if arguments.save:
            _saved(name, figures[name])
    print(json.dumps(figures))


def _saved(name: str, figures: dict[str, Any]) -> None:
    """Write a family's table beside those of the others."""
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    made = {
        "machine": f"{platform.machine()} {platform.processor()}",
        "versions": {one: version(one) for one in ("torch", "mmdet", "mmcv", "mmengine", "detkds_gp")},
        "command": shlex.join(["python", *sys.argv]),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**known, name: {**figures, **made}}, indent=2) + "\n")


if __name__ == "__main__":
    main()
