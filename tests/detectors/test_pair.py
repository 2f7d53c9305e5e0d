from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from detkds_gp.detectors import (
    DetectorSpec,
    Pair,
    adapt,
    adapters,
    build_detector,
    check_pair,
    teacher_knowledge,
)
from detkds_gp.errors import DetectorError

CLASSES = ("red", "white", "plate")
SIZE = (128, 96)
GRIDS = ((16, 12), (8, 6), (4, 3), (2, 2), (1, 1))


@pytest.fixture(scope="module")
def pair(student, teacher) -> Pair:
    return check_pair(student, teacher, SIZE)


def _changed(spec: DetectorSpec, **overrides):
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return build_detector(replace(spec, overrides={**spec.overrides, **dotted}), CLASSES)


def test_two_retinanets_share_everything(pair):
    assert pair.num_classes == 3
    assert list(pair.shared) == ["global", "class_map", "class_logits"]
    assert pair.refused == {}
    maps = pair.shared["global"]
    assert maps.levels == 5
    assert maps.student == tuple((64, h, w) for h, w in GRIDS)
    assert maps.teacher == tuple((96, h, w) for h, w in GRIDS)
    rows = pair.shared["class_logits"]
    assert rows.student == rows.teacher == tuple((h * w * 9, 3) for h, w in GRIDS)
    for shared in pair.shared.values():
        assert shared.grids == GRIDS
        assert shared.strides == (8, 16, 32, 64, 128)


def test_the_check_leaves_no_trace(student, teacher):
    student.train()
    teacher.eval()
    flags = [m.training for d in (student, teacher) for m in d.modules()]
    states = [{k: v.clone() for k, v in d.state_dict().items()} for d in (student, teacher)]
    rng = torch.get_rng_state()
    check_pair(student, teacher, SIZE)
    assert [m.training for d in (student, teacher) for m in d.modules()] == flags
    for detector, state in zip((student, teacher), states, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in detector.state_dict().items())
        assert not any(m._forward_hooks for m in detector.modules())
    assert torch.equal(torch.get_rng_state(), rng)
    teacher.train()


def test_unlike_heads_share_the_pyramid_and_say_why_not_the_rest(student, built):
    pair = check_pair(student, built("gfl"), SIZE)
    assert list(pair.shared) == ["global"]
    why = "the student has 9 anchors a location, the teacher 1"
    assert pair.refused == {"class_map": why, "class_logits": why}
    assert list(check_pair(built("fcos"), built("gfl"), SIZE).shared) == [
        "global",
        "class_map",
        "class_logits",
    ]


def test_a_two_stage_teacher_shares_the_pyramid(student):
    teacher = build_detector(
        DetectorSpec(
            "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
            {
                "model.backbone.depth": 18,
                "model.backbone.base_channels": 8,
                "model.backbone.init_cfg": None,
                "model.neck.in_channels": [8, 16, 32, 64],
                "model.neck.out_channels": 16,
                "model.neck.start_level": 1,
                "model.neck.add_extra_convs": "on_input",
                "model.rpn_head.in_channels": 16,
                "model.roi_head.bbox_roi_extractor.out_channels": 16,
                "model.roi_head.bbox_head.in_channels": 16,
                "model.roi_head.bbox_head.fc_out_channels": 32,
            },
        ),
        CLASSES,
    )
    pair = check_pair(student, teacher, SIZE)
    assert list(pair.shared) == ["global"]
    assert pair.refused["class_logits"] == "the teacher's FasterRCNN has no dense head"
    assert pair.shared["global"].strides == (8, 16, 32, 64, 128)
    swapped = check_pair(teacher, student, SIZE)  # the student's head names no strides
    assert swapped.shared["global"].strides == (8, 16, 32, 64, 128)


def test_another_number_of_levels_or_another_grid_is_refused(student, spec):
    fewer = _changed(
        spec("teacher"),
        model__neck__num_outs=4,
        model__bbox_head__anchor_generator__strides=[8, 16, 32, 64],
    )
    with pytest.raises(DetectorError, match="global: the student has 5 levels, the teacher 4"):
        check_pair(student, fewer, SIZE)
    padded = _changed(spec("teacher"), model__data_preprocessor__pad_size_divisor=256)
    with pytest.raises(DetectorError, match="level 0 is 16x12 in the student, 32x32 in the teac"):
        check_pair(student, padded, SIZE)


def test_softmax_heads_have_a_column_more(student, spec):
    softmax = {"type": "CrossEntropyLoss", "use_sigmoid": False, "_delete_": True}
    pair = check_pair(student, _changed(spec("teacher"), model__bbox_head__loss_cls=softmax), SIZE)
    assert list(pair.shared) == ["global"]
    assert pair.refused["class_map"] == "the student has 3 columns for the classes, the teacher 4"


def test_another_number_of_classes_is_an_error(student, spec):
    other = build_detector(spec("teacher"), ("a", "b"))
    with pytest.raises(DetectorError, match="the student has 3 classes, the teacher 2"):
        check_pair(student, other, SIZE)


def test_adapters_bridge_the_channels_and_are_drawn_from_their_generator(pair, student, teacher):
    rng = torch.get_rng_state()
    first, again, other = (adapters(pair, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), rng)
    weights = [[w.detach() for w in a.parameters()] for a in (first, again, other)]
    assert all(map(torch.equal, weights[0], weights[1]))
    assert not all(map(torch.equal, weights[0], weights[2]))
    assert list(first) == ["global"]
    assert [tuple(layer.weight.shape) for layer in first["global"]] == [(96, 64, 1, 1)] * 5
    inputs = torch.randn(2, 3, *SIZE)
    ours = teacher_knowledge(student, inputs)
    adapted = adapt(ours, first)
    theirs = teacher_knowledge(teacher, inputs)
    for name in pair.shared:
        assert [x.shape for x in adapted[name]] == [x.shape for x in theirs[name]]
    layer, x = first["global"][2], ours["global"][2]
    expected = torch.einsum("nchw,dc->ndhw", x, layer.weight[:, :, 0, 0])
    assert torch.allclose(adapted["global"][2], expected, atol=1e-5)
    assert adapted["class_map"] is ours["class_map"]
    noise = torch.randn(4, 64, 50, 50)
    assert 0.8 < float(layer(noise).detach().std()) < 1.2  # it keeps the scale


def test_equal_channels_need_no_adapter(student):
    pair = check_pair(student, student, SIZE)
    assert list(adapters(pair, torch.Generator())) == []
