"""Query heads: what is read against mmdet's own predictions and losses, and how queries are matched."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.detectors import SparseRCNN
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor
from torchvision.ops import generalized_box_iou

from detkds_gp.configs.tiny._base_ import narrow
from detkds_gp.detectors import (
    DetectorSpec,
    ImageInput,
    Pairing,
    Taps,
    build_detector,
    check_pair,
    make_batch,
    outputs_on,
    scene_of,
)
from detkds_gp.detectors.sources._partners import box_gaps, class_gaps, one_against_rest, partners
from detkds_gp.errors import DetectorError

CLASSES = ("0", "1", "4", "7")
KINDS = ("detr", "conditional_detr", "dab_detr", "deformable_detr", "dino", "ddq_detr", "sparse_rcnn")
SOFTMAX = ("detr",)
NAMES = ("query_logits", "query_boxes")
every = pytest.mark.parametrize("detector", KINDS, indirect=True)
SIZES = ((64, 64), (51, 61), (64, 37))
"""(height, width) of the images in their padding."""


@pytest.fixture(scope="module")
def detector(request: pytest.FixtureRequest) -> BaseDetector:
    return made(request.param)


def made(kind: str, seed: int = 0) -> BaseDetector:
    torch.manual_seed(seed)
    return build_detector(DetectorSpec(**getattr(narrow, kind)(8)), CLASSES)


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    """Three images of noise with three boxes, one and none; the second is mirrored."""
    rng, items = np.random.default_rng(0), []
    boxes = np.array([[2, 3, 20, 25], [30, 20, 35, 45], [10, 30, 33, 37]], np.float32)
    for number, (size, count) in enumerate(zip(SIZES, (3, 1, 0), strict=True)):
        array = np.zeros((64, 64, 3), np.uint8)
        array[: size[0], : size[1]] = rng.integers(0, 256, (*size, 3))
        items.append(ImageInput(array, size, (1.0, 1.0), size, boxes[:count], np.arange(count), number))
    return make_batch(items, [False, True, False])


def layers_of(detector: BaseDetector) -> int:
    return detector.roi_head.num_stages if isinstance(detector, SparseRCNN) else 2


def stirred(detector: BaseDetector) -> None:
    """Move all weights a little: the box branches of deformable detectors begin at zero, and pass no gradient."""
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape))


@every
def test_boxes_and_scores_are_those_that_the_detector_predicts(detector: BaseDetector, batch: dict[str, Any]) -> None:
    """Every prediction of its own is that of a query of the last layer, on odd sizes too."""
    outputs = outputs_on(detector, batch, NAMES)
    data = detector.data_preprocessor(batch, False)
    detector.eval()
    with torch.no_grad():
        found = detector.predict(data["inputs"], data["data_samples"], rescale=False)
    detector.train()
    assert [len(outputs[name]) for name in NAMES] == [layers_of(detector)] * 2
    logits, boxes = (outputs[name][-1].unflatten(0, (3, -1)) for name in NAMES)
    for image, (height, width) in enumerate(SIZES):
        own = found[image].pred_instances
        corners = boxes[image] * torch.tensor([width, height, width, height])
        if not isinstance(detector, SparseRCNN):  # which does not clip
            corners = torch.minimum(corners.clamp_min(0), torch.tensor([width, height] * 2))
        p = logits[image].softmax(dim=1)[:, :-1] if logits.shape[2] == 5 else logits[image].sigmoid()
        apart = (own.bboxes[:, None] - corners).abs().amax(dim=2) + (own.scores[:, None] - p[:, own.labels].T).abs()
        assert len(own)
        assert apart.amin(dim=1).max() < 1e-3


@every
def test_the_students_loss_is_the_plain_one(detector: BaseDetector, batch: dict[str, Any]) -> None:
    state = {key: value.clone() for key, value in detector.state_dict().items()}
    data = detector.data_preprocessor(batch, True)
    losses = []
    for tapped in (False, True):
        detector.load_state_dict(state)
        torch.manual_seed(0)
        with Taps(detector, NAMES if tapped else ()):
            losses.append(detector.loss(data["inputs"], data["data_samples"]))
    for ours, theirs in zip(*(total.values() for total in losses), strict=True):
        sides = [x if isinstance(x, list) else [x] for x in (ours, theirs)]
        assert all(map(torch.equal, *sides))
    detector.load_state_dict(state)


@pytest.mark.parametrize("detector", ["dino", "ddq_detr"], indirect=True)
def test_queries_of_training_alone_are_cut_out(
    detector: BaseDetector, batch: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the head's own loss takes for matching is the oracle."""
    seen: list[tuple[Tensor, Tensor]] = []
    split = type(detector.bbox_head).split_outputs

    def spy(logits: Tensor, boxes: Tensor, meta: dict[str, int]) -> Any:
        assert meta["num_denoising_queries"] > 0
        found = split(logits, boxes, meta)
        seen.append(found[:2])
        return found

    monkeypatch.setattr(detector.bbox_head, "split_outputs", spy)
    data = detector.data_preprocessor(batch, True)
    with Taps(detector, NAMES) as taps:
        detector.loss(data["inputs"], data["data_samples"])
    outputs = taps.outputs()
    logits, boxes = seen[0]
    assert outputs["query_logits"][0].shape == (3 * narrow.QUERIES, 4)
    for layer in range(2):
        ours, theirs = outputs["query_logits"][layer], logits[layer, :, : narrow.QUERIES]  # then DDQ's dense ones
        assert torch.equal(ours, theirs.flatten(0, 1))
        centre, half = boxes[layer, :, : narrow.QUERIES].split(2, dim=-1)
        half = half / 2
        assert torch.equal(outputs["query_boxes"][layer], torch.cat([centre - half, centre + half], -1).flatten(0, 1))


@every
def test_a_teacher_as_its_own_student_has_nothing_to_teach(detector: BaseDetector, batch: dict[str, Any]) -> None:
    pairing = Pairing(
        check_pair(detector, detector, (64, 64)), ("query_logits", "query_boxes", "query_score"), torch.Generator()
    )
    outputs = outputs_on(detector, batch, pairing.teacher_outputs)
    scene = scene_of(detector.data_preprocessor(batch, True))
    for levels in pairing(outputs, outputs, scene).values():
        assert len(levels) == layers_of(detector)
        assert all(torch.equal(s, t) and len(s) == 3 * narrow.QUERIES for s, t in levels)


@pytest.mark.parametrize(
    ("first", "second"),
    [("dino", "detr"), ("detr", "dino"), ("detr", "detr"), ("sparse_rcnn", "dino"), ("detr", "sparse_rcnn")],
)
def test_rows_are_matched_one_to_one_and_reach_the_backbone(first: str, second: str, batch: dict[str, Any]) -> None:
    student, teacher = made(first), made(second, seed=1)
    stirred(student)
    pair = check_pair(student, teacher, (64, 64))
    pairing = Pairing(pair, ("query_logits", "query_boxes", "query_score"), torch.Generator())
    data = student.data_preprocessor(batch, True)
    with Taps(student, pairing.student_outputs) as taps:
        student.loss(data["inputs"], data["data_samples"])
    ours, theirs = taps.outputs(), outputs_on(teacher, batch, pairing.teacher_outputs)
    pairs = pairing(ours, theirs, scene_of(data))
    sides = torch.tensor([(w, h, w, h) for h, w in SIZES])
    for back, (s, t) in enumerate(reversed(pairs["query_boxes"]), start=1):
        for side, outputs in ((s, ours), (t, theirs)):
            own = outputs["query_boxes"][-back].unflatten(0, (3, -1)) * sides[:, None]
            rows = side.unflatten(0, (3, -1))
            assert torch.equal(own.sort(dim=1).values, rows.sort(dim=1).values)  # each once, image by image
    softmax = [kind in SOFTMAX for kind in (first, second)]
    logits = pairs["query_logits"][-1]
    assert logits[0].shape == logits[1].shape == (60, 5 if all(softmax) else 4)
    if not all(softmax):  # probabilities are those of the head, whatever its activation
        raw = theirs["query_logits"][-1]
        p = raw.softmax(dim=1)[:, :-1] if softmax[1] else raw.sigmoid()
        assert torch.allclose(logits[1].sigmoid().sort(dim=0).values, p.sort(dim=0).values, atol=1e-6)
        assert torch.allclose(pairs["query_score"][-1][1], logits[1].sigmoid().amax(dim=1, keepdim=True), atol=1e-6)
    for name in ("query_logits", "query_boxes"):
        student.zero_grad()
        sum((s - t).abs().mean() for s, t in pairs[name]).backward(retain_graph=True)
        gradient = student.backbone.conv1.weight.grad
        assert gradient.isfinite().all()
        assert gradient.any()


@pytest.mark.parametrize("kind", ["detr", "deformable_detr", "dino", "ddq_detr"])
def test_the_memory_is_what_the_decoder_attends_to(
    kind: str, batch: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, seen = made(kind), list[dict[str, Any]]()
    decode = detector.pre_decoder

    def spy(memory: Tensor, *arguments: Any, **keywords: Any) -> Any:
        seen.append({"memory": memory, **keywords})
        return decode(memory, *arguments, **keywords)

    monkeypatch.setattr(detector, "pre_decoder", spy)
    data = detector.data_preprocessor(batch, True)
    with Taps(detector, ["memory"]) as taps:
        detector.loss(data["inputs"], data["data_samples"])
    maps, memory = taps.outputs()["memory"], seen[0]["memory"]
    assert torch.equal(torch.cat([level.flatten(2) for level in maps], dim=2).transpose(1, 2), memory)
    shapes = seen[0].get("spatial_shapes")
    wanted = [(4, 4)] if shapes is None else [tuple(map(int, shape)) for shape in shapes]
    assert [tuple(level.shape[2:]) for level in maps] == wanted
    sum(level.square().mean() for level in maps).backward()
    assert detector.backbone.conv1.weight.grad.any()


def test_layers_are_paired_from_the_end() -> None:
    spec = narrow.deformable_detr(8)
    spec["overrides"]["model.decoder.num_layers"] = 3
    torch.manual_seed(0)
    longer = build_detector(DetectorSpec(**spec), CLASSES)
    shared = check_pair(made("deformable_detr"), longer, (64, 64)).shared["query_boxes"]
    assert shared.layers == ((0, 1), (1, 2))
    assert "the last 2 decoder layers" in shared.notes
    assert check_pair(longer, made("deformable_detr"), (64, 64)).shared["query_boxes"].layers == ((1, 0), (2, 1))


def test_other_heads_say_why_they_share_no_logits() -> None:
    torch.manual_seed(0)
    dense = build_detector(DetectorSpec(**narrow.retinanet(8)), CLASSES)
    refused = check_pair(dense, made("dino"), (64, 64)).refused
    assert refused["query_logits"] == refused["query_score"] == "the student's RetinaNet has no query head"


def test_partners_are_the_best_of_all_assignments() -> None:
    """All permutations are the oracle; without enough columns, rows of low score go without."""
    generator = torch.Generator().manual_seed(0)
    for rows, columns in ((4, 4), (3, 5), (5, 3)):
        gaps, scores = 2 * torch.rand(rows, columns, generator=generator), torch.rand(rows, generator=generator)
        found = partners(gaps, scores)
        assert len(found[0]) == len(set(found[1].tolist())) == min(rows, columns)
        benefit = (2 - gaps) * scores[:, None]
        if rows <= columns:
            options = [benefit[range(rows), list(order)].sum() for order in permutations(range(columns), rows)]
        else:
            options = [benefit[list(order), range(columns)].sum() for order in permutations(range(rows), columns)]
        assert float(benefit[found].sum()) == pytest.approx(float(max(options)), abs=1e-6)
    broken = partners(torch.full((3, 3), float("nan")), torch.full((3,), float("nan")))
    assert broken[1].sort().values.tolist() == [0, 1, 2]


def test_gaps_are_those_of_probabilities_and_giou() -> None:
    corners = torch.rand(7, 2, 2, generator=torch.Generator().manual_seed(0)).sort(dim=1).values.flatten(1) * 50
    expected = (1 - generalized_box_iou(corners, corners)) / 2
    assert torch.allclose(box_gaps(corners[:, None], corners), expected, atol=1e-5)
    p = torch.rand(5, 3)
    assert torch.allclose(class_gaps(p, p), (p[:, None] - p).abs().amax(dim=2))
    logits = torch.randn(6, 4) * 30
    assert torch.allclose(one_against_rest(logits).sigmoid(), logits.softmax(dim=1)[:, :-1], atol=1e-6)
    assert one_against_rest(torch.tensor([[300.0, 0.0, 0.0]])).isfinite().all()


def test_an_image_too_small_for_the_queries_is_told_with_the_remedy() -> None:
    remedy = r"picks its \d+ queries among the positions of its maps; raise proxy.image_size"
    with pytest.raises(DetectorError, match=f"the student cannot take an image of 16x16 pixels: it {remedy}"):
        check_pair(made("dino"), made("dino"), (16, 16))
