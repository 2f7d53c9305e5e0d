"""How mmdet's config of a student becomes that of its full training: model, data, image size, schedule, hooks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from detkds_gp.errors import ConfigError
from detkds_gp.training.hooks import switch_at_iterations
from detkds_gp.training.image_size import LOADERS, set_image_size
from detkds_gp.training.loop import WARMUP
from detkds_gp.training.settings import FullTrainingSettings

RATE = ["optim_wrapper", "optimizer", "lr"]
IMPORTS = "detkds_gp.training.registered"
CHECKPOINTS = 4
"""How many checkpoints a training of a given number of iterations writes, each scored on the selection split; the last
two are kept."""


@dataclass(frozen=True)
class SplitFiles:
    """One split as mmdet reads it.

    Attributes:
        ann_file: COCO annotations, whose categories are the classes in their order.
        images: the folder that its image names start from.
    """

    ann_file: Path
    images: Path


@dataclass(frozen=True)
class Recipe:
    """A full training.

    Attributes:
        model: of type ``DistilledDetector``.
        classes: names in the order of the labels.
        splits: train, selection (looked at during the training) and test (at its end).
        settings: what is changed of the student's config.
        seed: of the initial student, the batches and the augmentation.
        load_from: weights that the student starts with.
        metric: the AP that is told of student and teacher: of boxes (``bbox``) or of masks (``segm``).
        amp: whether the student runs in mixed precision.
    """

    model: Mapping[str, Any]
    classes: tuple[str, ...]
    splits: Mapping[str, SplitFiles]
    settings: FullTrainingSettings
    seed: int = 0
    load_from: str | None = None
    metric: str = "bbox"
    amp: bool = False


def training_config(student: Config, recipe: Recipe) -> Config:
    """Return the student's whole config as a recipe makes it one that mmdet's ``tools/train.py`` trains.

    Raises:
        ConfigError: if the student's config has no data set to replace, or an option does not fit it.
    """
    config = Config(student.to_dict())
    config.model = dict(recipe.model)
    config.pop("data_preprocessor", None)
    for name in (*LOADERS, "train_cfg", "optim_wrapper"):
        if not config.get(name):
            raise ConfigError(f"the student's config has no {name}; give one of mmdet's whole configs")
    _set_data(config, recipe)
    _set_loading(config, recipe.settings)
    if recipe.settings.image_size is not None:
        set_image_size(config, recipe.settings.image_size)
    if recipe.settings.iterations is not None:
        _set_iterations(config, recipe.settings.iterations)
    _set_average(config, recipe.settings.average)
    _set_hooks(config)
    config.randomness = {"seed": recipe.seed}
    config.load_from, config.resume = recipe.load_from, False
    config.find_unused_parameters = True
    if recipe.amp:
        config.optim_wrapper.update(type="AmpOptimWrapper", loss_scale="dynamic")
    try:
        config.merge_from_dict(dict(recipe.settings.options))
    except Exception as error:
        raise ConfigError(f"full_training.options do not fit the student's config: {error}") from error
    _check_evaluator(config.test_evaluator, recipe.metric)
    return config


def data_sets(part: Any) -> Iterator[ConfigDict]:
    """Yield the data sets of a data loader's config, those inside repeating and mixing ones too."""
    if isinstance(part, dict) and "ann_file" in part:
        yield part
    elif isinstance(part, (dict, list, tuple)):
        for child in part.values() if isinstance(part, dict) else part:
            yield from data_sets(child)


def _one(part: Any) -> Any:
    """Return a data set without joining: ours stands for all that are joined, and each image comes once."""
    if not isinstance(part, dict):
        return part
    if str(part.get("type")).endswith("ConcatDataset") and part.get("datasets"):
        return _one(part["datasets"][0])
    if isinstance(part.get("dataset"), dict):
        part["dataset"] = _one(part["dataset"])
    return part


def left_out(config: Config, images: Sequence[tuple[int, int, bool]]) -> dict[str, int]:
    """Return how many training images mmdet's filters leave out, by the filter's key; nothing without a filter.

    Only ``full_training.options`` can bring one back.

    Args:
        config: of the training.
        images: width, height, and whether there is an object, crowds included, of each.
    """
    rule = next(data_sets(config.train_dataloader.dataset)).get("filter_cfg") or {}
    counts = Counter[str]()
    for width, height, has_objects in images:
        if rule.get("filter_empty_gt") and not has_objects:
            counts["filter_empty_gt"] += 1
        elif min(width, height) < rule.get("min_size", 0):
            counts["min_size"] += 1
    return dict(counts)


def _set_data(config: Config, recipe: Recipe) -> None:
    """Let every loader read our splits, and every evaluator compare with them."""
    for loader, split in (("train", "train"), ("val", "selection"), ("test", "test")):
        files, loading = recipe.splits[split], config[f"{loader}_dataloader"]
        loading["dataset"] = _one(loading["dataset"])
        found = list(data_sets(loading["dataset"]))
        if not found:
            raise ConfigError(f"the student's {loader}_dataloader reads no annotation file; give a COCO-style config")
        for data_set in found:
            data_set.update(
                type="CocoDataset",
                data_root="",
                ann_file=str(files.ann_file),
                data_prefix={"img": f"{files.images}{os.sep}"},
                metainfo={"classes": recipe.classes},
            )
            data_set.pop("filter_cfg", None)  # as the search, it trains on all images: background ones, small ones
        if loader != "train":
            own = compared(config.get(f"{loader}_evaluator"))
            config[f"{loader}_evaluator"] = {
                "type": "CocoMetric",
                "ann_file": str(files.ann_file),
                "metric": [*(one for one in own if one != recipe.metric), recipe.metric],  # classes are of the last
                "classwise": loader == "test",
                "format_only": False,
            }


def compared(evaluator: Any) -> list[str]:
    """Return what an evaluator's config compares, ``bbox`` and the like; nothing if it is no `CocoMetric`."""
    if not isinstance(evaluator, dict) or evaluator.get("type") != "CocoMetric":
        return []
    metric = evaluator.get("metric", "bbox")
    return [metric] if isinstance(metric, str) else list(metric)


def _check_evaluator(evaluator: Any, metric: str) -> None:
    """Refuse one that may give no AP although something was found."""
    items = evaluator.get("metric_items") if isinstance(evaluator, dict) else None
    told = metric in compared(evaluator) and (items is None or "mAP" in items) and not evaluator.get("format_only")
    if not told or evaluator.get("prefix") not in (None, "coco"):
        raise ConfigError(
            f"full_training.options leave a test_evaluator that gives no {metric} AP, and proxy.metric is {metric!r}; "
            f"got {evaluator}, wanted type='CocoMetric' with {metric!r} among its metric, mAP among its metric_items "
            "if it has any, and neither format_only nor a prefix"
        )


def _set_loading(config: Config, settings: FullTrainingSettings) -> None:
    if settings.batch_size is not None:
        config.train_dataloader.batch_size = settings.batch_size
    if settings.workers is not None:
        for loader in LOADERS:
            config[loader].num_workers = settings.workers
            config[loader].persistent_workers = settings.workers > 0
            if not settings.workers:
                config[loader].pop("prefetch_factor", None)
    if "auto_scale_lr" in config and "base_batch_size" in config.auto_scale_lr:
        # the student's rate is for its own batch; a given one is meant
        config.auto_scale_lr.enable = not _give_a_rate(settings.options)


def _give_a_rate(options: Mapping[str, Any]) -> bool:
    """Tell whether options of an mmdet config say the learning rate, by its dotted key or inside a value."""
    for key, value in options.items():
        path = key.split(".")
        if RATE[: len(path)] == path:
            for name in RATE[len(path) :]:
                value = value.get(name) if isinstance(value, Mapping) else None
            if value is not None:
                return True
    return False


def _set_iterations(config: Config, iterations: int) -> None:
    """Train a number of iterations instead of epochs; the rate warms up, then falls along a cosine."""
    if "max_epochs" in config.train_cfg:
        switch_at_iterations(config, config.train_cfg.max_epochs, iterations)
    warmup = min(500, iterations // 10)
    interval = max(1, iterations // CHECKPOINTS)
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": iterations, "val_interval": interval}
    rise = {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": warmup}
    fall = {"type": "CosineAnnealingLR", "by_epoch": False, "begin": warmup, "end": iterations}
    config.param_scheduler = (
        [rise, {**fall, "T_max": iterations - warmup}] if warmup else [{**fall, "T_max": iterations}]
    )
    config.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    config.train_dataloader.pop("batch_sampler", None)
    config.setdefault("log_processor", {"type": "LogProcessor", "window_size": 50})["by_epoch"] = False
    hooks = config.setdefault("default_hooks", {})
    hooks["checkpoint"] = {"type": "CheckpointHook", "by_epoch": False, "interval": interval, "max_keep_ckpts": 2}
    hooks["logger"] = {"type": "LoggerHook", "interval": max(1, min(50, iterations // 10))}


def _set_average(config: Config, decay: float) -> None:
    """Add mmengine's hook that averages the weights, where the student's config has none."""
    if decay and average_hook(config) is None:
        rule = {"ema_type": "MomentumAnnealingEMA", "momentum": round(1 - decay, 12), "gamma": WARMUP}
        hook = {"type": "EMAHook", **rule, "update_buffers": True}
        config.custom_hooks = [*(config.get("custom_hooks") or []), hook]


def average_hook(config: Config) -> dict[str, Any] | None:
    """Return the config of the hook that averages the weights of a training; None where nothing does."""
    hooks = (dict(hook) for hook in config.get("custom_hooks") or [])
    return next((hook for hook in hooks if str(hook.get("type")).endswith("EMAHook")), None)


def _set_hooks(config: Config) -> None:
    """Add what makes checkpoints the student's, losses the batch's and divergence an end; TensorBoard; the import."""
    own_hooks = [{"type": name} for name in ("ReadStudent", "StopNonfinite", "WriteStudent", "AverageLosses")]
    # a check of the number of classes, which is ours to set, would refuse a teacher that knows more
    theirs = [h for h in config.get("custom_hooks") or [] if not str(h.get("type")).endswith("NumClassCheckHook")]
    config.custom_hooks = [*theirs, *own_hooks]
    own = config.get("custom_imports") or {"imports": [], "allow_failed_imports": False}
    imports = [own["imports"]] if isinstance(own["imports"], str) else list(own["imports"])
    config.custom_imports = {**own, "imports": [*imports, IMPORTS]}
    if find_spec("tensorboard") is not None:
        visualizer = config.setdefault("visualizer", {"type": "DetLocalVisualizer", "name": "visualizer"})
        visualizer["vis_backends"] = [*visualizer.get("vis_backends", []), {"type": "TensorboardVisBackend"}]
