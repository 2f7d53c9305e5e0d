from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric

from detkds_gp.detections import Detections
from detkds_gp.detectors import build_detector, make_batch, predict
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.evaluation import Evaluation


def test_agrees_with_mmdets_metric(task: ProxyTask, tiny_config: Path) -> None:
    proxy = ProxyTraining(task)
    detector = build_detector(task.teacher, task.splits["train"].classes)
    images = proxy.images["selection"]
    found = predict(detector, make_batch([images[i] for i in range(len(images))]))
    truths = [Detections(image.boxes + 1, np.arange(len(image.boxes), 0, -1) / 100, image.labels) for image in images]
    annotations = str(tiny_config.with_name("digits") / "selection.json")
    for detections in (found, truths):
        metric = CocoMetric(ann_file=annotations, metric="bbox")
        metric.dataset_meta = {"classes": task.splits["selection"].classes}
        for image, one in zip(images, detections, strict=True):
            parts = {"bboxes": one.boxes, "scores": one.scores, "labels": one.labels}
            parts = {name: torch.from_numpy(part) for name, part in parts.items()}
            sample = {"img_id": image.image_id, "ori_shape": image.original, "pred_instances": parts}
            metric.process({}, [sample])
        wanted = metric.evaluate(len(images)).get("coco/bbox_mAP", 0.0)
        assert Evaluation(images)._average_precision(detections) == pytest.approx(wanted, abs=6e-4)
    assert wanted > 0.3  # near the truth
    evaluated = Evaluation(images)(detector)
    assert evaluated == Evaluation(images)._average_precision(found)


def test_a_detector_is_left_as_it_was_and_flips_are_no_matter(task: ProxyTask) -> None:
    detector = build_detector(task.teacher, task.splits["train"].classes).train()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    images = ProxyTraining(task).images["selection"]
    assert Evaluation(images)(detector) == Evaluation(images)(detector)
    assert detector.neck.training
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
    assert json.loads(json.dumps(Evaluation(images)(detector))) >= 0
