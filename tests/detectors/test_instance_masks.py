"""Masks that no region names: against mmdet's own code, place by place, and on the objects' boxes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.detectors.base import BaseDetector
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import roi_align

from detkds_gp.detectors import (
    DetectorSpec,
    ImageInput,
    Pairing,
    Taps,
    build_detector,
    check_pair,
    cut_outputs,
    make_batch,
    outputs_on,
    scene_of,
)
from detkds_gp.detectors.sources import _mask_heads
from detkds_gp.detectors.sources._mask_ways import logits_on_boxes
from detkds_gp.detectors.sources.instance_masks import best_in_boxes, matched_queries

from ..scripts import benchmark
from .mask_oracle import HEIGHT, WIDTH, chosen, places

_, _, families = map(benchmark, ("family_list", "family_page", "families"))
CLASSES = ("0", "1", "4", "7")
KINDS = ("yolact", "condinst", "rtmdet_ins", "solo", "decoupled_solo", "solov2", "mask2former")
every = pytest.mark.parametrize("kind", KINDS)
FEW = {
    "model.panoptic_head.num_queries": 12,
    "model.panoptic_head.pixel_decoder.encoder.num_layers": 1,
    "model.panoptic_head.transformer_decoder.num_layers": 2,
    "model.train_cfg.num_points": 200,
}
SMALL = {
    "mask2former": FEW,
    **{kind: {"model.mask_head.num_grids": [10, 8, 6, 5, 4]} for kind in ("solo", "decoupled_solo", "solov2")},
}


def made(kind: str, seed: int = 0) -> BaseDetector:
    """Build a tiny detector whose weights are stirred, so that its places differ."""
    torch.manual_seed(seed)
    overrides = {**families.overrides_of(kind), **SMALL.get(kind, {})}
    detector = build_detector(DetectorSpec(f"mmdet::{families.FAMILIES[kind]}", overrides), CLASSES)
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return detector


@pytest.fixture(scope="module")
def built() -> Callable[[str], BaseDetector]:
    """Give a tiny detector, built once; a test leaves it as it found it."""
    kept: dict[str, BaseDetector] = {}

    def build(kind: str) -> BaseDetector:
        if kind not in kept:
            kept[kind] = made(kind)
        return kept[kind]

    return build


def images(boxes: tuple[tuple[list[int], ...], ...]) -> dict[str, Any]:
    """Return a batch of noise with some boxes on every image, whose masks are triangles; the second is mirrored."""
    rng, items = np.random.default_rng(0), []
    for number, found in enumerate(boxes):
        array = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        masks = [[[x1, y1, x2, y1, x2, y2]] for x1, y1, x2, y2 in found]
        rows = np.array(found, np.float32).reshape(-1, 4)
        items.append(
            ImageInput(array, (HEIGHT, WIDTH), (1, 1), (HEIGHT, WIDTH), rows, np.arange(len(rows)), number, masks)
        )
    return make_batch(items, [number == 1 for number in range(len(items))], masks=True)


@pytest.fixture
def batch() -> dict[str, Any]:
    return images((([4, 6, 60, 52], [20, 20, 44, 40], [70, 50, 73, 52]), ([30, 8, 90, 60],), ()))


def learned(detector: BaseDetector, batch: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, Any, Any]:
    """Return the student's outputs, its losses and the scene of a training step."""
    data = detector.train().data_preprocessor(copy.deepcopy(batch), True)
    torch.manual_seed(0)
    with Taps(detector, names) as taps:
        losses = detector.loss(data["inputs"], data["data_samples"])
    return taps.outputs(), losses, scene_of(data)


def paired(student: BaseDetector, teacher: BaseDetector, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    pairing = Pairing(check_pair(student, teacher, (HEIGHT, WIDTH)), ["mask_logits"], torch.Generator())
    assert not pairing.runs_teacher
    ours, _, scene = learned(student, batch, pairing.student_outputs)
    (pair,) = pairing(ours, outputs_on(teacher, batch, pairing.teacher_outputs), scene)["mask_logits"]
    return pair


@every
def test_a_students_logits_are_those_of_mmdets_own_code(
    kind: str, built: Callable[[str], BaseDetector], batch: dict[str, Any]
) -> None:
    """At the place that a loop over all of them finds, resampled at the stride of the head's masks."""
    student = built(kind)
    pairing = Pairing(check_pair(student, student, (HEIGHT, WIDTH)), ["mask_logits"], torch.Generator())
    ours, _, scene = learned(student, batch, pairing.student_outputs)
    with torch.no_grad():
        ((found, again),) = pairing(ours, ours, scene)["mask_logits"]
        data = student.data_preprocessor(copy.deepcopy(batch), True)
        wanted = []
        for image, boxes in enumerate(scene.boxes[:2]):
            known = list(places(kind, student, data, image))
            if kind == "mask2former":
                scores, maps = torch.stack([p[0] for p in known]), torch.stack([p[2]() for p in known])
                order = brute_force(scores[:, : len(boxes)], maps, scene.drawn_masks(image, HEIGHT, WIDTH))
                picked = [known[query] for query in order]
            else:
                picked = [chosen(known, boxes, number) for number in range(len(boxes))]
            for box, (_, _, mask, stride) in zip(boxes, picked, strict=True):
                rois = torch.cat([torch.zeros(1), box])[None]
                wanted.append(roi_align(mask()[None, None], rois, 28, 1 / stride, 2, aligned=True)[0])
    assert found.shape == (4, 1, 28, 28)
    assert torch.equal(found, again)
    assert found.std() > 0
    assert torch.allclose(found, torch.stack(wanted), rtol=1e-3, atol=1e-4)


def brute_force(scores: Tensor, maps: Tensor, masks: Tensor) -> tuple[int, ...]:
    """Return the queries of least cost among all ways to match a few of the (Q, R) pairs; Mask2Former's costs."""
    truth = F.interpolate(masks[None].float(), maps.shape[1:], mode="bilinear")[0].flatten(1)
    cost = torch.zeros(len(maps), len(truth))
    for q, logits in enumerate(maps.flatten(1)):
        for r, target in enumerate(truth):
            p = logits.sigmoid()
            dice = 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)
            entropy = F.binary_cross_entropy_with_logits(logits, target)
            cost[q, r] = 5 * dice + 5 * entropy - 2 * scores[q, r]
    ways = permutations(range(len(maps)), len(truth))
    return min(ways, key=lambda way: float(sum(cost[q, r] for r, q in enumerate(way))))


@every
def test_gradients_reach_the_backbone_and_the_loss_is_mmdets(
    kind: str, built: Callable[[str], BaseDetector], batch: dict[str, Any]
) -> None:
    student, teacher = built(kind), made(kind, seed=1)
    state = copy.deepcopy(student.state_dict())
    names = check_pair(student, teacher, (HEIGHT, WIDTH)).student_outputs(["mask_logits"])
    _, plain, _ = learned(student, batch, ())
    student.load_state_dict(state)
    _, tapped, _ = learned(student, batch, names)
    for ours, theirs in zip(plain.values(), tapped.values(), strict=True):
        sides = [x if isinstance(x, (list, tuple)) else [x] for x in (ours, theirs)]
        assert all(map(torch.equal, *sides))
    student.load_state_dict(state)
    student.zero_grad()
    s, t = paired(student, teacher, batch)
    assert not t.requires_grad
    assert not torch.equal(s, t)
    (s - t).abs().mean().backward()
    gradient = student.backbone.stem[0].conv.weight.grad if kind == "rtmdet_ins" else first(student).weight.grad
    assert gradient.isfinite().all()
    assert gradient.any()
    assert all(p.grad is None for p in teacher.parameters())
    student.zero_grad()
    student.load_state_dict(state)


def first(detector: Any) -> Any:
    """Return the backbone's first convolution that is trained: mmdet freezes ResNet's stem and first stage."""
    return next(m for m in detector.backbone.modules() if hasattr(m, "weight") and m.weight.requires_grad)


@every
def test_a_teacher_as_its_own_student_has_nothing_to_teach_and_images_can_be_cut(
    kind: str, built: Callable[[str], BaseDetector], batch: dict[str, Any]
) -> None:
    detector = built(kind)
    pairing = Pairing(check_pair(detector, detector, (HEIGHT, WIDTH)), ["mask_logits"], torch.Generator())
    outputs = outputs_on(detector, batch, pairing.student_outputs)
    scene = scene_of(detector.data_preprocessor(copy.deepcopy(batch), True))
    ((s, t),) = pairing(outputs, outputs, scene)["mask_logits"]
    assert torch.equal(s, t)
    assert len(s) == 4
    cut = cut_outputs(outputs, (1, 2, 0), 3)
    ((moved, _),) = pairing(cut, cut, scene.of_images((1, 2, 0)))["mask_logits"]
    assert torch.equal(moved, s[[3, 0, 1, 2]])


@every
def test_a_batch_without_objects_teaches_nothing(kind: str, built: Callable[[str], BaseDetector]) -> None:
    detector = built(kind)
    pairing = Pairing(check_pair(detector, detector, (HEIGHT, WIDTH)), ["mask_logits"], torch.Generator())
    empty = images(((), ()))
    outputs = outputs_on(detector, empty, pairing.student_outputs)
    outputs = {name: [x.requires_grad_() for x in levels] for name, levels in outputs.items()}
    scene = scene_of(detector.data_preprocessor(copy.deepcopy(empty), True))
    ((s, t),) = pairing(outputs, outputs, scene)["mask_logits"]
    assert s.shape == t.shape == (0, 1, 28, 28)
    s.sum().backward()


@pytest.mark.parametrize(
    ("ours", "theirs", "whose"),
    [
        ("rtmdet_ins", "condinst", "each side's"),
        ("solov2", "solo", "the teacher's"),
        ("yolact", "mask2former", "each side's"),
        ("decoupled_solo", "rtmdet_ins", "each side's"),
        ("mask2former", "yolact", "each side's"),
    ],
)
def test_ways_can_be_mixed(
    ours: str, theirs: str, whose: str, built: Callable[[str], BaseDetector], batch: dict[str, Any]
) -> None:
    student, teacher = built(ours), built(theirs)
    state = copy.deepcopy(student.state_dict())
    shared = check_pair(student, teacher, (HEIGHT, WIDTH), (CLASSES, CLASSES)).shared["mask_logits"]
    assert shared.notes[:2] == ("on the objects' boxes", f"at {whose} best place for each object")
    s, t = paired(student, teacher, batch)
    student.load_state_dict(state)
    assert s.shape == t.shape == (4, 1, 28, 28)
    assert s.requires_grad
    assert not t.requires_grad


def test_labels_are_those_of_the_teachers_classes(built: Callable[[str], BaseDetector], batch: dict[str, Any]) -> None:
    """A teacher that counts its classes otherwise chooses as one whose score maps are in that order."""
    detector = built("solov2")
    order = (2, 0, 3, 1)
    classes = tuple(CLASSES[index] for index in order)
    outputs = outputs_on(detector, batch)
    moved = {**outputs, "instance_scores": [outputs["instance_scores"][0][:, order]]}
    scene = scene_of(detector.data_preprocessor(copy.deepcopy(batch), True))
    found = []
    for names, theirs in ((CLASSES, outputs), (classes, moved)):
        pair = check_pair(detector, detector, (HEIGHT, WIDTH), (CLASSES, names))
        found.append(Pairing(pair, ["mask_logits"], torch.Generator())(outputs, theirs, scene)["mask_logits"][0][1])
    assert torch.equal(*found)
    assert "classes matched by name" in pair.shared["mask_logits"].notes


def test_masks_with_regions_and_without_are_not_compared(built: Callable[[str], BaseDetector]) -> None:
    config = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
    mask_rcnn = build_detector(DetectorSpec(config, families.overrides_of("mask_rcnn")), CLASSES, initialise=False)
    retina = build_detector(
        DetectorSpec("mmdet::retinanet/retinanet_r18_fpn_1x_coco.py", families.overrides_of("retinanet")),
        CLASSES,
        initialise=False,
    )
    for ours, theirs, reason in (
        (mask_rcnn, built("solov2"), "the student has masks on regions, the teacher masks without regions"),
        (built("solov2"), mask_rcnn, "the student has masks without regions, the teacher masks on regions"),
        (retina, built("solov2"), "the student's RetinaNet has no mask head"),
        (built("solov2"), retina, "the teacher's RetinaNet has no mask head"),
        (retina, retina, "the student's RetinaNet has no mask head"),
    ):
        assert check_pair(ours, theirs, (HEIGHT, WIDTH)).refused["mask_logits"] == reason


def test_a_head_that_is_not_known_says_so(
    built: Callable[[str], BaseDetector], monkeypatch: pytest.MonkeyPatch
) -> None:
    yolact = built("yolact")
    assert "mask_logits" in check_pair(yolact, yolact, (75, 101), names=["mask_logits"]).shared
    monkeypatch.setattr(_mask_heads, "HEADS", {})
    refused = check_pair(yolact, yolact, (HEIGHT, WIDTH), names=["mask_logits"]).refused
    assert refused["mask_logits"] == "the student's YOLACT finds its masks in a way that is not known here"


def test_a_ramp_over_the_image_is_resampled_to_the_pixels_of_a_box() -> None:
    """Each cell of a compared mask holds the coordinate of its own centre."""
    x = (torch.arange(24.0) + 0.5) * 4
    y = (torch.arange(16.0) + 0.5) * 4
    maps = torch.stack([x.expand(16, -1), y[:, None].expand(-1, 24)])[None]
    outputs = {"instance_maps": [maps[:, :1], maps[:, 1:]], "instance_extents": [torch.tensor([[64.0, 96.0]])]}
    boxes = torch.tensor([[10.0, 8.0, 66.0, 50.0], [20.0, 12.0, 48.0, 40.0]])
    found = logits_on_boxes(outputs, 0, torch.tensor([1, 0]), boxes)
    steps = (torch.arange(28) + 0.5) / 28
    assert torch.allclose(found[0, 0], (8 + 42 * steps)[:, None].expand(-1, 28), atol=1e-3)
    assert torch.allclose(found[1, 0], (20 + 28 * steps).expand(28, -1), atol=1e-3)


def test_a_point_in_two_boxes_belongs_to_the_smaller_and_a_box_without_points_takes_the_nearest() -> None:
    points = torch.tensor([[2.0, 2.0], [6.0, 6.0], [8.0, 8.0], [20.0, 20.0]])
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 9.0, 9.0], [15.0, 15.0, 16.0, 16.0]])
    scores = torch.tensor([[0.1, 0.9, 0.8, 1.0], [0.0, 0.2, 0.3, 1.0], [1.0, 1.0, 1.0, 0.0]])
    assert best_in_boxes(scores, points, boxes).tolist() == [0, 2, 3]


def test_more_objects_than_queries_and_numbers_that_are_not_finite_leave_some_without() -> None:
    maps = torch.full((2, 8, 8), float("nan"))
    maps[1] = 3.0
    found = matched_queries(torch.rand(3, 2), maps, torch.ones(3, 16, 16, dtype=torch.uint8))
    assert sorted(found.tolist()) == [-1, 0, 1]
