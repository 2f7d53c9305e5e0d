"""How two detectors are brought together: classes, anchors, regions and heads, against mmdet's own computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from detkds_gp.detectors import (
    DetectorSpec,
    Pairing,
    Taps,
    build_detector,
    output_names,
    outputs_of,
    save_weights,
    scene_of,
)
from detkds_gp.detectors.sources.mask_head import run_mask_stages
from detkds_gp.detectors.sources.roi_head import run_box_stages
from detkds_gp.fitness import ProxyTraining
from detkds_gp.language import parse_distiller

ProxyOf = Callable[..., ProxyTraining]


def paired(
    proxy: ProxyTraining, *names: str
) -> tuple[dict[str, Any], dict[str, list[Tensor]], dict[str, list[Tensor]]]:
    """Return the pairs of the first batch, and the outputs of both."""
    model = proxy.model(parse_distiller("none", proxy.task.primitive_set), seed=0)
    pairing = Pairing(proxy.task.pair, names, torch.Generator().manual_seed(0))
    ((batch, _),) = islice(proxy.batches(0, model), 1)
    data = model.student.train().data_preprocessor(batch, True)
    with Taps(model.student, [*output_names(), *pairing.student_outputs]) as taps:
        model.student.loss(data["inputs"], data["data_samples"])
    ours = taps.outputs()
    inputs = proxy.teacher.data_preprocessor(batch, False)["inputs"]
    theirs = outputs_of(proxy.teacher, inputs, [*output_names(), *pairing.teacher_outputs])
    return pairing(ours, theirs, scene_of(data), proxy.teacher), ours, theirs


def untrained(proxy: ProxyTraining) -> DetectorSpec:
    return replace(proxy.task.teacher, checkpoint=None)


def test_the_best_scoring_anchor_is_taken_per_location_and_class(proxy_of: ProxyOf) -> None:
    """A RetinaNet student with 4 anchors learns from a GFL teacher with 1."""
    pairs, ours, theirs = paired(proxy_of("gfl_to_retinanet"), "class_logits", "class_map", "boxes", "box_score")
    for level, class_map in enumerate(ours["class_map"]):
        logits = class_map.detach().numpy()
        n, channels, h, w = logits.shape
        anchors = channels // 4
        boxes = ours["box_map"][level].detach().numpy()
        rows = pairs["class_logits"][level][0].detach().numpy()
        decoded = pairs["boxes"][level][0].detach().numpy()
        stride = (8, 16, 32)[level]
        for row, (i, y, x) in enumerate(np.ndindex(n, h, w)):
            of_anchors = [logits[i, 4 * a : 4 * a + 4, y, x] for a in range(anchors)]
            assert np.array_equal(rows[row], np.max(of_anchors, axis=0))
            best = int(np.argmax([one.max() for one in of_anchors]))
            left, top, right, bottom = boxes[i, 4 * best : 4 * best + 4, y, x] * stride
            cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
            np.testing.assert_allclose(decoded[row], [cx - left, cy - top, cx + right, cy + bottom], atol=1e-3)
        assert torch.equal(pairs["class_map"][level][1], theirs["class_map"][level])
        p = theirs["class_map"][level].sigmoid().amax(dim=1)
        assert torch.allclose(pairs["box_score"][level][1], p.reshape(-1, 1))


@pytest.mark.parametrize("name", ["retinanet", pytest.param("faster_rcnn", marks=pytest.mark.slow), "mask_rcnn"])
def test_classes_are_matched_by_name(name: str, proxy_of: ProxyOf, tmp_path: Path) -> None:
    """The teacher knows the student's classes in another order, and two more."""
    classes, path = ("hat", "7", "4", "0", "1", "shoe"), tmp_path / "teacher.pth"
    save_weights(build_detector(untrained(proxy_of(name)), classes).state_dict(), path, classes)
    proxy = proxy_of(name, **{"teacher.checkpoint": str(path)})
    columns = [3, 4, 2, 1]  # of "0", "1", "4", "7"
    regional = name != "retinanet"
    names = ["class_logits", "box_score", *(["mask_logits"] if name == "mask_rcnn" else [])]
    pairs, ours, theirs = paired(proxy, *names)
    if regional:
        found = run_box_stages(proxy.teacher, theirs["global"], ours["rois"], [(64, 64)] * 4)
        assert torch.equal(pairs["class_logits"][0][1], found[0].logits[:, [*columns, 6]])
        known = found[0].logits.softmax(dim=1)[:, columns].amax(dim=1)  # among all that the teacher knows
        assert torch.allclose(pairs["box_score"][0][0][:, 0], known)
    else:
        for (_, rows), level in zip(pairs["class_logits"], theirs["class_map"], strict=True):
            split = level.unflatten(1, (-1, 6))[:, :, columns]
            assert torch.equal(rows, split.permute(0, 3, 4, 1, 2).reshape(-1, 4))
    if "mask_logits" in names:
        (masks,) = run_mask_stages(proxy.teacher, theirs["global"], ours["mask_rois"])
        assert torch.equal(pairs["mask_logits"][0][1], masks[:, columns])


@pytest.mark.slow
def test_a_teachers_detections_are_scored_under_the_datas_labels(proxy_of: ProxyOf, tmp_path: Path) -> None:
    plain = proxy_of("retinanet", **{"teacher.train.iterations": 60})
    wanted = plain.evaluate(plain.teacher, "selection")
    assert wanted > 0
    classes, path = ("7", "4", "0", "1", "hat"), tmp_path / "teacher.pth"
    order = [3, 2, 0, 1]  # where these stand among "0", "1", "4", "7"
    other = build_detector(untrained(plain), classes)
    weights = plain.teacher.state_dict()
    for key in ("bbox_head.retina_cls.weight", "bbox_head.retina_cls.bias"):
        split = weights[key].unflatten(0, (-1, 4))
        extra = torch.full_like(split[:, :1], -10.0 if key.endswith("bias") else 0.0)
        weights[key] = torch.cat([split[:, order], extra], dim=1).flatten(0, 1)
    other.load_state_dict(weights)
    save_weights(other.state_dict(), path, classes)
    proxy = proxy_of("retinanet", **{"teacher.checkpoint": str(path)})
    assert proxy.evaluate(proxy.teacher, "selection") == pytest.approx(wanted, abs=1e-6)


def test_a_two_stage_teacher_predicts_on_the_students_regions_as_its_own_head_does(proxy_of: ProxyOf) -> None:
    pairs, ours, theirs = paired(proxy_of("faster_rcnn"), "class_logits", "boxes", "box_score")
    proxy = proxy_of("faster_rcnn")
    head = proxy.teacher.roi_head
    (rois,) = ours["rois"]
    with torch.no_grad():
        logits, deltas = head.bbox_head(head.bbox_roi_extractor(theirs["global"][:4], rois))
    assert torch.allclose(pairs["class_logits"][0][1], logits)
    label = logits[:, :4].argmax(dim=1)
    score = logits.softmax(dim=1)[torch.arange(len(label)), label]
    assert torch.allclose(pairs["box_score"][0][0][:, 0], score)
    for row in range(0, len(rois), 7):
        x1, y1, x2, y2 = rois[row, 1:].tolist()
        mean, std = (torch.tensor(head.bbox_head.bbox_coder.means), torch.tensor(head.bbox_head.bbox_coder.stds))
        dx, dy, dw, dh = (deltas[row, 4 * label[row] : 4 * label[row] + 4] * std + mean).tolist()
        width, height = (x2 - x1) * np.exp(dw), (y2 - y1) * np.exp(dh)
        cx, cy = (x1 + x2) / 2 + dx * (x2 - x1), (y1 + y2) / 2 + dy * (y2 - y1)
        expected = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
        assert pairs["boxes"][0][1][row].tolist() == pytest.approx(expected, abs=1e-2)


def test_a_cascade_on_regions_of_one_stage_predicts_as_ever(proxy_of: ProxyOf) -> None:
    """mmdet's own prediction on the same regions, without NMS, is the oracle."""
    proxy = proxy_of("cascade_mask_to_faster")
    teacher = proxy.teacher
    inputs = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = teacher.extract_feat(inputs)
        boxes = torch.tensor([[4.0, 6.0, 30.0, 40.0], [10.0, 2.0, 60.0, 50.0], [20.0, 20.0, 36.0, 44.0]])
        metas = [{"img_shape": (40, 56), "scale_factor": (1, 1)}]  # padded to 64x64
        head = teacher.roi_head
        _, scores, _ = head._refine_roi(
            x=maps, rois=bbox2roi([boxes]), batch_img_metas=metas, num_proposals_per_img=(3,)
        )
        (found,) = run_box_stages(teacher, maps, [bbox2roi([boxes])], [(40, 56)])
    assert torch.allclose(found.logits, scores[0], atol=1e-5)
    assert found.boxes.shape[1] == 1  # the cascade's boxes are the same for all classes


def test_cross_head_logits_are_the_teachers_head_on_the_students_maps(proxy_of: ProxyOf) -> None:
    proxy = proxy_of("fcos")
    pairs, ours, theirs = paired(proxy, "cross_map", "global")
    adapted = [s for s, _ in pairs["global"]]
    assert [x.shape for x in adapted] == [x.shape for x in theirs["global"]]
    expected = proxy.teacher.bbox_head(tuple(adapted))[0]
    for (crossed, own), wanted, level in zip(pairs["cross_map"], expected, theirs["class_map"], strict=True):
        assert torch.allclose(crossed, wanted, atol=1e-6)
        assert torch.equal(own, level)
    assert ours["global"][0].shape != adapted[0].shape


def test_an_input_of_ones_own_is_a_module_by_its_path(proxy_of: ProxyOf) -> None:
    proxy = proxy_of("retinanet", primitive_set="tests.pairs.own_input:OWN", knowledge=("layer3",))
    pairs, _, _ = paired(proxy, "backbone.layer3")
    ((student, teacher),) = pairs["backbone.layer3"]
    assert student.shape == teacher.shape == (4, 64, 4, 4)
    model = proxy.model(parse_distiller("l2(layer3)", proxy.task.primitive_set), seed=0).train()
    ((batch, outputs),) = islice(proxy.batches(0, model), 1)
    model.losses(batch, outputs)["loss_distill_layer3"].mean().backward()
    assert model.student.backbone.conv1.weight.grad.any()
    assert model.student.backbone.layer4[0].conv1.weight.grad is None
