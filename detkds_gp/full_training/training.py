"""Full training: the real student on all the data under one distiller, and what it gained."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from detkds_gp.config import ExperimentConfig
from detkds_gp.errors import ConfigError
from detkds_gp.full_training.folder import (
    ASKED_FILE,
    CONFIG,
    CONFIG_FILE,
    FOUND_FILE,
    RESULT_FILE,
    bind,
    made,
    read,
    results_in,
    write,
)
from detkds_gp.full_training.recipe import prepared_configs
from detkds_gp.listener import Listener
from detkds_gp.naming import Named
from detkds_gp.setup.fingerprints import file_hash, hash_of
from detkds_gp.training import (
    alone,
    first_does,
    process_count,
    processes,
    score_student,
    score_teacher,
    spent_seconds,
    trained,
    wait_for_all,
)
from detkds_gp.training.recipe import data_sets

PROTOCOL = (
    "train_dataloader",
    "test_dataloader",
    "test_evaluator",
    "custom_hooks",
    "train_cfg",
    "optim_wrapper",
    "param_scheduler",
    "auto_scale_lr",
    "randomness",
)
"""What a student and its baseline must have in common, beside the student itself and the number of processes."""
NOTHING_FOUND = 0.0
"""The AP of a detector that finds nothing at all: mmdet's evaluator, which was asked for it, then gives no number. A
training that diverged never comes to be scored (`StopNonfinite`)."""


@dataclass(frozen=True)
class FullTraining:
    """One full training, asked for.

    Attributes:
        config: the search's: student, teacher, data.
        named: what is added to the student's loss.
        work_dir: where everything is written.
        seed: of the initial student, the batches and the augmentation.
        amp: whether the student runs in mixed precision.
    """

    config: ExperimentConfig
    named: Named
    work_dir: Path
    seed: int = 0
    amp: bool = False

    @property
    def finished(self) -> bool:
        """Whether its result is there to be read."""
        return (self.work_dir / RESULT_FILE).is_file()


def run_full_training(asked: FullTraining, listener: Listener) -> dict[str, Any]:
    """Train, and score student and teacher on the test split; a stopped training goes on, a finished one is read.

    ``work_dir`` then holds ``config.py`` (for mmdet's own tools too), mmengine's checkpoints and logs, ``student.pth``
    with ``student.py`` (plain mmdet reads both) and ``result.json``.

    Returns:
        the content of ``result.json``: plain JSON values, APs in [0, 1].

    Raises:
        UserError: a mistake in config, data, detectors, distiller or work directory, in one line.
    """
    with processes() as first:
        torch.set_num_threads(asked.config.threads)
        first_does(lambda: _begin(asked, listener))
        if not asked.finished:
            told, found = _trained_and_scored(asked)
            if first:
                write(asked.work_dir / FOUND_FILE, json.dumps(found) + "\n")
                write(asked.work_dir / RESULT_FILE, json.dumps(told, indent=2) + "\n")
            wait_for_all()
    return read(asked.work_dir / RESULT_FILE, "remove it, and the same command scores the student again")


def _trained_and_scored(asked: FullTraining) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what goes to `RESULT_FILE` and to `FOUND_FILE`."""
    settings = read(asked.work_dir / ASKED_FILE, "give another --work-dir")
    config = Config.fromfile(asked.work_dir / CONFIG_FILE, import_custom_modules=False)
    runner = trained(config, asked.work_dir)
    started = time.monotonic()
    (student, found), (teacher, by_teacher) = score_student(runner), score_teacher(runner) or (None, [])
    metric = f"coco/{asked.config.proxy.metric}_mAP"
    told = {
        **{key: value for key, value in settings.items() if key != CONFIG},
        "ap": student.get(metric, NOTHING_FOUND),
        "teacher_ap": None if teacher is None else teacher.get(metric, NOTHING_FOUND),
        "metrics": {"student": student, "teacher": teacher},
        "hours": round((spent_seconds(runner) + time.monotonic() - started) / 3600, 4),
    }
    return told, {
        "classes": list(runner.test_loop.dataloader.dataset.metainfo["classes"]),
        "images": found,
        "teacher": by_teacher,
    }


def _begin(asked: FullTraining, listener: Listener) -> None:
    """Write the configs of a training, or check that those in the work directory are its own."""
    with made(asked.work_dir):
        if not asked.finished:
            _check_amp(asked)
        with alone():
            whole, student, distiller = prepared_configs(asked, listener)
        config, processes = _by_content(whole).to_dict(), process_count()
        settings = {
            "formula": distiller.text,
            "distiller": asked.named.name,
            "seed": asked.seed,
            "metric": asked.config.proxy.metric,
            "processes": processes,
            CONFIG: {key: value for key, value in config.items() if key != "visualizer"},
            "scaled_learning_rate": bool(whole.get("auto_scale_lr", {}).get("enable", False)),
            "protocol": protocol(whole, processes),
            "siblings": siblings(whole, processes),
        }
        try:
            bind(asked.work_dir, whole, student, settings)
        except ConfigError:
            _check_amp(asked)
            raise


def _check_amp(asked: FullTraining) -> None:
    if asked.amp and not torch.cuda.is_available():
        raise ConfigError("--amp is for a GPU, and there is none here; leave it out")


def protocol(config: Config, processes: int) -> str:
    """Return a hash of all that a student and its baseline have in common; files count by what they hold.

    The number of processes makes the global batch, and with ``auto_scale_lr`` the learning rate.
    """
    config = _by_content(config)
    shared = {key: config.get(key) for key in (*PROTOCOL, "load_from")}
    return hash_of({**shared, "student": config.model["student"], "processes": processes})


def siblings(config: Config, processes: int) -> str:
    """Return a hash of all that trainings have in common which differ in distiller and seed alone."""
    config = Config(config.to_dict())
    config.randomness = None
    config.load_from = None if config.load_from is None else "initial weights"  # a seed's own where a student inherits
    return protocol(config, processes)


def _by_content(config: Config) -> Config:
    """Return a config in which the files of data and initial weights are told by their names and what they hold."""
    config = Config(config.to_dict())
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for data_set in data_sets(config[loader]["dataset"]):
            data_set["ann_file"] = _content(data_set["ann_file"])
    for evaluator in ("val_evaluator", "test_evaluator"):
        config[evaluator]["ann_file"] = _content(config[evaluator].get("ann_file"))
    config.load_from = _content(config.load_from)
    return config


def _content(path: str | None) -> str | None:
    """Return a file's name and the hash of what it holds; what is none, such as an address, stands for itself."""
    if path is None or not Path(path).is_file():
        return path
    return f"{Path(path).name} (holds {file_hash(path)})"


def compared_with(told: Mapping[str, Any], folders: Path) -> list[Mapping[str, Any]]:
    """Return the results of the same training under other distillers, or none, as `results_in` finds them."""
    return [
        found
        for _, found in results_in(folders)
        if found.get("protocol") == told["protocol"] and found["formula"] != told["formula"]
    ]


def share_of_gap(ap: float, baseline: float, teacher: float) -> float | None:
    """Return how much of the gap between the student alone and the teacher is closed; None if there is no gap."""
    return None if teacher <= baseline else (ap - baseline) / (teacher - baseline)
