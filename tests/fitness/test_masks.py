"""Detectors with a mask head, from the annotations to both metrics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric

from detkds_gp.config import load_config
from detkds_gp.detections import Detections
from detkds_gp.detectors import BaseDetector, build_detector, make_batch, predict
from detkds_gp.detectors.masks import resized_masks, run_lengths
from detkds_gp.fitness import ProxyTraining
from detkds_gp.fitness.evaluation import Evaluation
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.score import Score, Trial
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.training import train

Metric = Literal["bbox", "segm"]
METRICS: tuple[Metric, ...] = ("bbox", "segm")
DISTILLED = "1 * 0.1 * l2(unit_channel(global))"


@pytest.fixture(scope="module")
def proxies(mask_config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProxyTraining]:
    """A proxy training of Mask R-CNNs for each metric; their teacher is the same."""
    made = {}
    for metric in METRICS:
        config = load_config(mask_config, {"proxy.metric": metric})
        task = prepare(config, gather(config), tmp_path_factory.mktemp(metric), Listener())
        made[metric] = ProxyTraining(task)
        assert made[metric].prepare_teacher().ok
    return made


@pytest.fixture(scope="module")
def trained(proxies: dict[str, ProxyTraining]) -> BaseDetector:
    """A Mask R-CNN after two steps under a distiller."""
    proxy = proxies["segm"]
    model = proxy.model(parse_distiller(DISTILLED, proxy.task.primitive_set), 0)
    before = {name: weight.clone() for name, weight in model.student.named_parameters()}
    train(model, proxy.batches(0, model), proxy.task.settings, 2, seed=0)
    moved = {name for name, weight in model.student.named_parameters() if not torch.equal(weight, before[name])}
    assert {"roi_head.mask_head.conv_logits.weight", "roi_head.bbox_head.fc_cls.weight"} <= moved
    return model.student


def test_a_step_has_a_mask_loss_and_a_distilled_one(proxies: dict[str, ProxyTraining]) -> None:
    proxy = proxies["segm"]
    model = proxy.model(parse_distiller(DISTILLED, proxy.task.primitive_set), 0)
    ((batch, teacher),) = islice(proxy.batches(0, model), 1)
    losses = model.losses(batch, teacher)
    assert 0 < float(losses["loss_mask"].detach()) < 5
    assert float(losses["loss_distill_global"].detach().mean()) > 0
    mirrored = [sample.flip for sample in batch["data_samples"]]
    assert any(mirrored)
    for sample in batch["data_samples"]:
        masks, boxes = sample.gt_instances.masks.masks, sample.gt_instances.bboxes.round().int().tolist()
        for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
            assert mask[y1:y2, x1:x2].sum() == mask.sum() > 0  # each mask lies in its box, mirrored or not


def test_batches_of_box_detectors_have_no_masks(proxy: ProxyTraining) -> None:
    model = proxy.model(parse_distiller("none", proxy.task.primitive_set), 0)
    ((batch, _),) = islice(proxy.batches(0, model), 1)
    assert all("masks" not in sample.gt_instances for sample in batch["data_samples"])


def reference(annotations: str, images: Sequence[Any], detections: Sequence[Detections], metric: Metric) -> float:
    """Score with mmdet's own metric."""
    scorer = CocoMetric(ann_file=annotations, metric=metric)
    scorer.dataset_meta = {"classes": tuple("0123456789")}
    for image, found in zip(images, detections, strict=True):
        arrays = {"bboxes": found.boxes, "scores": found.scores, "labels": found.labels}
        parts: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items()}
        parts["masks"] = [dict(mask) for mask in found.masks or ()]
        scorer.process({}, [{"img_id": image.image_id, "ori_shape": image.original, "pred_instances": parts}])
    return float(scorer.evaluate(len(images)).get(f"coco/{metric}_mAP", 0.0))


def near_truth(image: Any) -> Detections:
    """Return the ground truth, boxes and masks one pixel off."""
    masks = np.roll(resized_masks(image, False).masks, 1, axis=2)
    scores = np.arange(len(image.boxes), 0, -1) / 100
    return Detections(image.boxes + 1, scores, image.labels, run_lengths(masks))


@pytest.mark.parametrize("metric", METRICS)
def test_both_metrics_agree_with_mmdets(
    proxies: dict[str, ProxyTraining], trained: BaseDetector, mask_config: Path, metric: Metric
) -> None:
    proxy = proxies[metric]
    images = proxy.images["selection"]
    annotations = str(mask_config.with_name("digits") / "selection.json")
    evaluation = Evaluation(images, metric)
    found = predict(trained, make_batch(list(images)))
    assert sum(len(one.boxes) for one in found) > 0
    near = [near_truth(image) for image in images]
    for detections in (found, near):
        wanted = reference(annotations, images, detections, metric)
        assert evaluation._average_precision(detections) == pytest.approx(wanted, abs=6e-4)
    assert wanted > 0.3
    assert proxy.evaluate(trained, "selection") == pytest.approx(evaluation._average_precision(found), abs=1e-3)


def test_boxes_and_masks_of_the_same_finds_score_differently(proxies: dict[str, ProxyTraining]) -> None:
    images = proxies["bbox"].images["selection"]
    near = [near_truth(image) for image in images]
    boxes, masks = (Evaluation(images, metric)._average_precision(near) for metric in METRICS)
    assert boxes != masks


def test_a_trial_gives_a_score_whatever_the_metric(proxies: dict[str, ProxyTraining]) -> None:
    scores = {metric: proxies[metric](Trial(DISTILLED, 2, 0, True)) for metric in METRICS}
    assert all(isinstance(score, Score) and score.ok for score in scores.values())
    again = proxies["segm"](Trial(DISTILLED, 2, 0, True))
    assert (again.ap, again.test_ap) == (scores["segm"].ap, scores["segm"].test_ap)


def test_masks_that_nobody_finds_cannot_be_scored(proxy: ProxyTraining) -> None:
    detector = build_detector(proxy.task.teacher, proxy.task.splits["train"].classes)
    with pytest.raises(ValueError, match="got no masks"):
        Evaluation(proxy.images["selection"], "segm")(detector)
