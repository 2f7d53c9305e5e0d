"""From a student's mmdet config to that of its full training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from detkds_gp.detectors import DetectorSpec, detector_config
from detkds_gp.errors import ConfigError
from detkds_gp.training import FullTrainingSettings, Recipe, SplitFiles, average_hook, left_out, training_config
from detkds_gp.training.loop import AveragedStudent
from detkds_gp.training.recipe import data_sets

CLASSES = ("red", "white")
RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
MASK_RCNN = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_ms-poly-3x_coco.py"
SPLITS = {name: SplitFiles(Path(f"/data/{name}.json"), Path("/data/images")) for name in ("train", "selection", "test")}


def made(config: str = RETINANET, student: Config | None = None, metric: str = "bbox", **settings: Any) -> Config:
    student = student or detector_config(DetectorSpec(config), CLASSES)
    model = {"type": "DistilledDetector", "student": student.model.to_dict()}
    return training_config(student, Recipe(model, CLASSES, SPLITS, FullTrainingSettings(**settings), metric=metric))


@pytest.mark.parametrize("config", [RETINANET, MASK_RCNN])
def test_every_loader_reads_our_splits(config: str) -> None:
    found = made(config)
    for loader, split in (("train", "train"), ("val", "selection"), ("test", "test")):
        (one,) = data_sets(found[f"{loader}_dataloader"]["dataset"])
        assert (one["ann_file"], one["data_root"]) == (f"/data/{split}.json", "")
        assert one["data_prefix"] == {"img": "/data/images/"}
        assert tuple(one["metainfo"]["classes"]) == CLASSES
        assert one["pipeline"]
    assert found.test_evaluator.ann_file == "/data/test.json"
    assert found.test_evaluator.metric == (["bbox"] if config == RETINANET else ["segm", "bbox"])


@pytest.mark.parametrize("own", [{"metric": "bbox"}, {"metric": ["bbox", "proposal"]}, {"type": "VOCMetric"}])
def test_the_evaluator_compares_what_scores(own: dict[str, Any]) -> None:
    student = detector_config(DetectorSpec(MASK_RCNN), CLASSES)
    student.test_evaluator = {"type": "CocoMetric", **own}
    found = made(student=student, metric="segm").test_evaluator
    assert found.type == "CocoMetric"
    assert found.metric[-1] == "segm"


def test_options_that_leave_nothing_to_score_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gives no segm AP, and proxy.metric is 'segm'; got .*'bbox'"):
        made(MASK_RCNN, metric="segm", options={"test_evaluator.metric": "bbox"})


@pytest.mark.parametrize("key", ["format_only", "prefix", "metric_items"])
def test_options_under_which_no_number_is_told_are_refused(key: str) -> None:
    value = {"format_only": True, "prefix": "own", "metric_items": ["mAP_50"]}[key]
    with pytest.raises(ConfigError, match=r"gives no bbox AP.*mAP among its metric_items"):
        made(options={f"test_evaluator.{key}": value})


def test_data_sets_inside_others_are_found() -> None:
    student = detector_config(DetectorSpec(RETINANET), CLASSES)
    inner = student.train_dataloader.dataset
    student.train_dataloader.dataset = {"type": "RepeatDataset", "times": 3, "dataset": inner}
    found = made(student=student)
    assert found.train_dataloader.dataset.times == 3
    assert found.train_dataloader.dataset.dataset.ann_file == "/data/train.json"


def test_mmdet_trains_on_every_image_unless_options_filter(tmp_path: Path) -> None:
    sizes = [(64, 64), (64, 64), (64, 20)]  # the second has no object, the third is below mmdet's usual min_size
    images = [{"id": n, "file_name": f"{n}.jpg", "width": w, "height": h} for n, (w, h) in enumerate(sizes, 1)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0} for n in (1, 3)]
    categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES, 1)]
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    for rule, wanted in (
        (None, {}),
        ({"filter_empty_gt": True, "min_size": 32}, {"filter_empty_gt": 1, "min_size": 1}),
    ):
        options = {} if rule is None else {"train_dataloader.dataset.filter_cfg": rule}
        config = made(options=options)
        found = config.train_dataloader.dataset
        found.ann_file = str(path)
        asked = {key: value for key, value in found.items() if key not in ("type", "_scope_")}
        with DefaultScope.overwrite_default_scope("mmdet"):
            assert len(CocoDataset(**asked)) == 3 - sum(wanted.values())
        assert left_out(config, [(*size, n != 1) for n, size in enumerate(sizes)]) == wanted


def test_without_settings_schedule_and_pipeline_are_the_students_own() -> None:
    student, found = detector_config(DetectorSpec(RETINANET), CLASSES), made()
    for key in ("train_cfg", "param_scheduler", "optim_wrapper", "default_hooks"):
        assert found[key] == student[key]
    assert found.train_dataloader.batch_size == student.train_dataloader.batch_size
    assert found.train_dataloader.dataset.pipeline == student.train_dataloader.dataset.pipeline
    assert found.auto_scale_lr.enable  # its rate is for 16 images a step
    assert found.find_unused_parameters
    assert [hook["type"] for hook in found.custom_hooks] == [
        "EMAHook", "ReadStudent", "StopNonfinite", "WriteStudent", "AverageLosses"
    ]  # fmt: skip


def test_weights_are_averaged_as_in_a_short_training_unless_the_students_config_does_so_itself() -> None:
    own = {"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.0002, "update_buffers": True}
    student = detector_config(DetectorSpec(RETINANET, {"custom_hooks": [own]}), CLASSES)
    assert average_hook(made(student=student)) == own
    assert average_hook(made(average=0)) is None
    hook = average_hook(made(average=0.9))
    assert hook is not None
    assert hook.pop("type") == "EMAHook"
    module, average = nn.BatchNorm1d(2), AveragedStudent(nn.BatchNorm1d(2), 0.9)
    theirs = MODELS.build({"type": hook.pop("ema_type"), **hook}, default_args={"model": module})
    for step in range(150):
        nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(step))
        module(torch.randn(5, 2, generator=torch.Generator().manual_seed(step)))
        theirs.update_parameters(module)
        average.update_parameters(module)
    for name in ("weight", "running_mean", "running_var"):
        torch.testing.assert_close(getattr(average.module, name), getattr(theirs.module, name))


def test_iterations_replace_epochs() -> None:
    found = made(iterations=300)
    assert found.train_cfg == {"type": "IterBasedTrainLoop", "max_iters": 300, "val_interval": 75}
    assert [(one["begin"], one["end"], one["by_epoch"]) for one in found.param_scheduler] == [
        (0, 30, False), (30, 300, False)
    ]  # fmt: skip
    assert found.train_dataloader.sampler.type == "InfiniteSampler"
    assert found.default_hooks.checkpoint.interval == 75
    assert not found.log_processor.by_epoch


def test_images_are_resized_to_one_size_everywhere() -> None:
    found = made(MASK_RCNN, image_size=(120, 160))
    steps = [
        step
        for loader in ("train", "val", "test")
        for one in data_sets(found[f"{loader}_dataloader"]["dataset"])
        for step in one["pipeline"]
        if "Resize" in step["type"]
    ]
    assert steps == [{"type": "Resize", "scale": (160, 120), "keep_ratio": True}] * 3


def test_options_come_last_and_a_given_rate_is_meant() -> None:
    found = made(batch_size=4, workers=0, options={"optim_wrapper.optimizer.lr": 0.5, "train_cfg.max_epochs": 3})
    assert (found.optim_wrapper.optimizer.lr, found.train_cfg.max_epochs) == (0.5, 3)
    assert (found.train_dataloader.batch_size, found.train_dataloader.num_workers) == (4, 0)
    assert not found.train_dataloader.persistent_workers
    assert not found.auto_scale_lr.enable


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ({"optim_wrapper.clip_grad": {"max_norm": 10}}, False),
        ({"optim_wrapper.optimizer.weight_decay": 0.01, "optim_wrapper.paramwise_cfg": {"norm_decay_mult": 0}}, False),
        ({"optim_wrapper": {"clip_grad": {"max_norm": 10}}}, False),
        ({"optim_wrapper.optimizer": {"lr": 0.5}}, True),
        ({"optim_wrapper": {"_delete_": True, "type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.5}}}, True),
    ],
)
def test_the_rate_is_scaled_unless_one_is_given(options: dict[str, Any], meant: bool) -> None:
    found = made(batch_size=4, options=options)
    assert found.auto_scale_lr.enable is not meant
    assert (found.optim_wrapper.optimizer.lr == 0.5) is meant


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ConfigError, match="has no train_dataloader"):
        made(student=Config({"model": {"type": "RetinaNet"}}))
    student = detector_config(DetectorSpec(RETINANET), CLASSES)
    del student.train_dataloader.dataset["ann_file"]
    with pytest.raises(ConfigError, match="train_dataloader reads no annotation file"):
        made(student=student)
    with pytest.raises(ConfigError, match="options do not fit"):
        made(options={"train_dataloader.dataset.pipeline.99": 1})


def test_joined_data_sets_become_one() -> None:
    student = detector_config(DetectorSpec(RETINANET), CLASSES)
    own = student.train_dataloader.dataset
    joined = {"type": "ConcatDataset", "datasets": [own, own]}
    student.train_dataloader.dataset = {"type": "RepeatDataset", "times": 3, "dataset": joined}
    found = made(student=student).train_dataloader.dataset
    assert (found.type, found.times, found.dataset.type) == ("RepeatDataset", 3, "CocoDataset")
    assert len(list(data_sets(found))) == 1


def test_a_check_of_the_number_of_classes_does_not_meet_the_teacher() -> None:
    student = detector_config(DetectorSpec(RETINANET), CLASSES)
    student.custom_hooks = [{"type": "NumClassCheckHook"}, {"type": "CheckInvalidLossHook", "interval": 50}]
    assert [hook["type"] for hook in made(student=student).custom_hooks if "Check" in hook["type"]] == [
        "CheckInvalidLossHook"
    ]
