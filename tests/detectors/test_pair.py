from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from detkds_gp.detectors import (
    DetectorSpec,
    Pair,
    Pairing,
    Scene,
    build_detector,
    check_pair,
    knowledge_names,
    outputs_of,
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


PREDICTIONS = {"predicted_logits", "predicted_boxes", "predicted_score"}


def strides(shared) -> tuple[int, ...]:
    return tuple(level.stride for level in shared.levels)


def test_two_retinanets_share_all_that_one_stage_offers(pair):
    offered = set(knowledge_names()) - set(pair.refused)
    assert set(pair.shared) == offered
    assert set(pair.refused) == {
        "box_bins", "objectness", "objectness_map", "proposals", "proposal_score", "mask_logits",
        "query_logits", "query_boxes", "query_score", "memory",
    }  # fmt: skip
    maps = pair.shared["global"]
    assert maps.student == tuple((64, h, w) for h, w in GRIDS)
    assert maps.teacher == tuple((96, h, w) for h, w in GRIDS)
    rows = pair.shared["class_logits"]
    assert rows.student == rows.teacher == tuple((h * w * 9, 3) for h, w in GRIDS)
    assert {name for name, shared in pair.shared.items() if not shared.levels} == PREDICTIONS
    assert {strides(pair.shared[name]) for name in offered - PREDICTIONS} == {(8, 16, 32, 64, 128)}


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


def test_unlike_anchors_are_matched_by_the_best_scoring_one(student, built):
    pair = check_pair(student, built("gfl"), SIZE)
    rows = pair.shared["class_logits"]
    assert rows.student == rows.teacher == tuple((h * w, 3) for h, w in GRIDS)
    assert rows.notes == ("the best-scoring anchor of each location and class",)
    assert pair.shared["boxes"].student == tuple((h * w, 4) for h, w in GRIDS)
    assert check_pair(built("fcos"), built("gfl"), SIZE).shared["class_logits"].notes == ()


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
    assert pair.refused["class_logits"] == "the student has one stage, the teacher two stages"
    assert pair.refused["cross_map"] == "the teacher's FasterRCNN has no dense head"
    assert {"global", "foreground", "background", "instance"} <= set(pair.shared)
    assert strides(pair.shared["global"]) == (8, 16, 32, 64, 128)
    assert strides(check_pair(teacher, student, SIZE).shared["global"]) == (8, 16, 32, 64, 128)


def test_levels_are_matched_by_stride_and_the_rest_is_listed(student, spec):
    fewer = _changed(
        spec("teacher"),
        model__neck__num_outs=3,
        model__neck__start_level=2,
        model__bbox_head__anchor_generator__strides=[16, 32, 64],
    )
    maps = check_pair(student, fewer, SIZE).shared["global"]
    assert [(level.stride, level.student, level.teacher) for level in maps.levels] == [
        (16, 1, 0),
        (32, 2, 1),
        (64, 3, 2),
    ]
    assert maps.notes[0] == "left out: the student's strides 8, 128"


def test_another_grid_is_refused(student, spec):
    padded = _changed(spec("teacher"), model__data_preprocessor__pad_size_divisor=256)
    with pytest.raises(DetectorError, match="map of stride 8 is 16x12 in the student, 32x32 in the teacher"):
        check_pair(student, padded, SIZE, names=("global", "class_logits"))
    pair = check_pair(student, padded, SIZE)
    assert set(pair.shared) == PREDICTIONS  # boxes in pixels need no common grid
    assert pair.refused["global"] == "the map of stride 8 is 16x12 in the student, 32x32 in the teacher"


def test_a_softmax_head_is_not_compared_with_a_sigmoid_head(student, spec):
    softmax = {"type": "CrossEntropyLoss", "use_sigmoid": False, "_delete_": True}
    pair = check_pair(student, _changed(spec("teacher"), model__bbox_head__loss_cls=softmax), SIZE)
    assert "global" in pair.shared
    why = "the student's class logits go through a sigmoid, the teacher's through a softmax"
    assert pair.refused["class_map"] == why


def test_another_number_of_classes_needs_names(student, spec):
    other = build_detector(spec("teacher"), ("plate", "red", "white", "cup"))
    pair = check_pair(student, other, SIZE)
    assert pair.refused["class_logits"] == "the student has 3 classes, the teacher 4"
    named = check_pair(student, other, SIZE, (CLASSES, ("plate", "red", "white", "cup")))
    assert named.shared["class_logits"].notes == ("classes matched by name",)
    assert not named.shared["teacher_score"].softmax  # one class more is no background
    unknown = check_pair(student, other, SIZE, (CLASSES, ("plate", "red", "blue", "cup")))
    assert unknown.refused["class_logits"] == "the teacher does not know the class 'white'"
    assert "global" in unknown.shared


def test_a_misspelt_module_names_the_nearest(student, teacher):
    with pytest.raises(DetectorError, match=r"'backbone.layr3' is neither.*did you mean 'backbone.layer3'"):
        check_pair(student, teacher, SIZE, names=["backbone.layr3"])


def _paired(pairing, student, teacher, names):
    inputs = torch.randn(2, 3, *SIZE)
    scene = Scene((torch.tensor([[10.0, 20.0, 60.0, 70.0]]), torch.zeros(0, 4)), SIZE)
    ours = outputs_of(student, inputs, pairing.student_outputs)
    return ours, pairing(ours, outputs_of(teacher, inputs, pairing.teacher_outputs), scene, teacher)


def test_adapters_bring_the_channels_together_and_are_drawn_from_their_generator(pair, student, teacher):
    rng = torch.get_rng_state()
    names = list(pair.shared)
    first, again, other = (Pairing(pair, names, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), rng)
    weights = [[w.detach() for w in a.parameters()] for a in (first, again, other)]
    assert all(map(torch.equal, weights[0], weights[1]))
    assert not all(map(torch.equal, weights[0], weights[2]))
    assert list(first.adapters) == ["global"]
    assert [tuple(layer.weight.shape) for layer in first.adapters["global"]] == [(96, 64, 1, 1)] * 5
    ours, pairs = _paired(first, student, teacher, names)
    for name in pair.shared:
        assert [s.shape for s, _ in pairs[name]] == [t.shape for _, t in pairs[name]]
    layer, x = first.adapters["global"][2], ours["global"][2]
    expected = torch.einsum("nchw,dc->ndhw", x, layer.weight[:, :, 0, 0])
    assert torch.allclose(pairs["global"][2][0], expected, atol=1e-5)
    noise = torch.randn(4, 64, 50, 50)
    assert 0.8 < float(layer(noise).detach().std()) < 1.2  # it keeps the scale


def test_equal_channels_need_no_adapter(student):
    pair = check_pair(student, student, SIZE)
    assert list(Pairing(pair, list(pair.shared), torch.Generator()).adapters) == []


def test_only_what_is_wanted_is_recorded(pair):
    pairing = Pairing(pair, ["class_logits"], torch.Generator())
    assert (pairing.student_outputs, pairing.teacher_outputs) == (("class_map",), ("class_map",))
    assert not pairing.runs_teacher
    assert list(pairing.adapters) == []
    assert Pairing(pair, ["cross_map"], torch.Generator()).runs_teacher


def test_adapters_are_made_for_nothing_that_is_not_compared(pair):
    """A field needs the grid of the maps only; an adapter without a gradient would stop distributed training."""
    pairing = Pairing(pair, ["class_map", "foreground_mask", "valuable_region"], torch.Generator())
    assert "global" in pairing.student_outputs
    assert list(pairing.adapters) == []


def test_boxes_need_no_classes(student, built):
    pair = check_pair(student, student, SIZE, (CLASSES, ("a", "b", "c")))
    assert {"boxes", "valuable_boxes"} <= set(pair.shared)
    assert "does not know the class 'red'" in pair.refused["box_score"]
    unlike = check_pair(student, built("gfl"), SIZE, (CLASSES, ("a", "b", "c")))  # classes choose among anchors
    assert "does not know the class 'red'" in unlike.refused["boxes"]


SECOND_STAGES = {
    "mmdet::scnet/scnet_r50_fpn_1x_coco.py": ("class_logits", "SCNetRoIHead runs its box head in a way"),
    "mmdet::grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco.py": ("boxes", "the student's box head predicts classes alone"),
}


@pytest.mark.parametrize("config", SECOND_STAGES)
def test_second_stages_of_another_kind_share_what_comes_before_and_say_so(config):
    first, reason = SECOND_STAGES[config]
    detector = build_detector(DetectorSpec(config, {"model.backbone.init_cfg": None}), CLASSES)
    pair = check_pair(detector, detector, SIZE)
    assert {"global", "instance", "objectness", "proposals"} <= set(pair.shared)
    assert reason in pair.refused[first]
    assert reason in pair.refused["boxes"]
    assert ("class_logits" in pair.shared) == (first == "boxes")


def test_detectors_like_detr_share_maps_and_predictions_with_others(student):
    overrides = {
        "model.backbone.depth": 18,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [512],
        "model.encoder.num_layers": 1,
        "model.decoder.num_layers": 1,
    }
    detr = build_detector(DetectorSpec("mmdet::detr/detr_r50_8xb2-150e_coco.py", overrides), CLASSES)
    for pair in (check_pair(detr, student, SIZE), check_pair(student, detr, SIZE)):
        wanted = {"global", "foreground", "background", "instance", *PREDICTIONS}
        fields = {"foreground_mask", "background_mask", "valuable_region", "teacher_score"}
        assert wanted <= set(pair.shared) <= wanted | fields
        assert strides(pair.shared["global"]) == (32,)
        assert pair.refused["class_logits"].endswith("DETR has no dense head")
