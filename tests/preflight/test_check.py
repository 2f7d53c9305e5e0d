"""What is said of a pair before anything is trained."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.detectors import RetinaNet

from detkds_gp.config import load_config
from detkds_gp.detectors import build_detector, save_weights
from detkds_gp.errors import DeclarationError, DetectorError
from detkds_gp.fitness import Evaluation, SplitImages
from detkds_gp.preflight import Offer, PairReport, check_experiment, knowledge_not_shared
from detkds_gp.preflight import check as preflight_check
from detkds_gp.setup.prepare import load_data

TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny"
SLOW = ("dino", "dino_to_retinanet", "faster_rcnn_to_fcos")


@pytest.fixture(scope="module")
def report(tiny_config: Path) -> PairReport:
    return check_experiment(load_config(tiny_config, {"knowledge": None}))


def test_every_input_is_listed_with_levels_or_a_reason(report: PairReport) -> None:
    offers = {offer.name: offer for offer in report.offers}
    assert offers["global"].strides == offers["boxes"].strides == (8, 16, 32)
    assert offers["global"].student == ((8, 8, 8), (8, 4, 4), (8, 2, 2))
    assert offers["global"].teacher == ((16, 8, 8), (16, 4, 4), (16, 2, 2))
    assert offers["global"].notes == ("1x1 adapters to the teacher's channels",)
    assert offers["objectness"].reason == "the student's RetinaNet has no region proposal network"
    assert (offers["box_score"].knowledge, offers["box_score"].formula) == ("", "")
    for offer in report.offers:
        assert bool(offer.reason) != bool(offer.student)


def test_scales_bring_every_knowledge_to_the_tasks_gradient(report: PairReport) -> None:
    sided = [offer for offer in report.offers if offer.formula and not offer.reason]
    assert {offer.name for offer in sided} >= {"global", "foreground", "instance", "class_logits", "boxes"}
    for offer in sided:
        assert offer.scale is not None
        assert offer.scale == float(f"{offer.scale:.3g}") > 0


def test_a_step_is_counted_and_costs_more_with_distillation(report: PairReport) -> None:
    assert report.alone.passes["student.backbone"] == report.distilled.passes["student.backbone"] == 1
    assert report.alone.passes["teacher.backbone"] == 0
    assert report.distilled.passes["teacher.backbone"] == 1
    assert 0 < report.alone.saved_mib < report.distilled.saved_mib
    assert report.alone.loss_ms > 0


def test_knowledge_asked_for_and_not_there_is_told(tiny_config: Path, report: PairReport) -> None:
    config = load_config(tiny_config, {"knowledge": ("global", "proposals")})
    missing = knowledge_not_shared(config, report)
    assert missing == {"proposals": "the student's RetinaNet has no region proposal network"}


def test_the_reason_told_is_that_of_the_first_input_of_a_knowledge(tiny_config: Path, report: PairReport) -> None:
    offers = (Offer("class logits", "class_logits", "the first"), Offer("class logits", "class_map", "the second"))
    config = load_config(tiny_config, {"knowledge": ("class logits",)})
    assert knowledge_not_shared(config, replace(report, offers=offers)) == {"class logits": "the first"}


def test_knowledge_without_a_plain_distance_is_there_all_the_same(tiny_config: Path, report: PairReport) -> None:
    """A set may weigh all its distances: the input is shared, though no simplest formula shows its scale."""
    bare = replace(report, offers=tuple(replace(offer, formula="", scale=None) for offer in report.offers))
    assert knowledge_not_shared(load_config(tiny_config), bare) == {}


def test_aps_of_given_checkpoints_are_those_of_the_selection_split(tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config)
    selection = load_data(config.data)["selection"]
    torch.manual_seed(3)
    teacher = build_detector(config.teacher.spec(), selection.classes)
    save_weights(teacher.state_dict(), tmp_path / "teacher.pth", selection.classes)
    student = build_detector(config.student.spec(), selection.classes)
    save_weights(student.state_dict(), tmp_path / "student.pth", selection.classes)
    options = {f"{role}.checkpoint": str(tmp_path / f"{role}.pth") for role in ("student", "teacher")}
    score = Evaluation(SplitImages(selection, config.proxy.image_size, 0))
    assert check_experiment(load_config(tiny_config, options)).ap == {
        "student": score(student),
        "teacher": score(teacher),
    }


def test_an_input_whose_kind_does_not_fit_is_refused_as_a_run_refuses_it(tiny_config: Path) -> None:
    config = load_config(tiny_config, {"primitive_set": "tests.run.misspelt:ROWS", "knowledge": None})
    with pytest.raises(DeclarationError, match="'stage' is a Rows, but 'backbone.layer3' gives tensors like"):
        check_experiment(config)


def test_random_weights_need_no_checkpoint_and_no_download(tiny_config: Path) -> None:
    pretrained = {"type": "Pretrained", "checkpoint": "torchvision://resnet18"}
    options = {"teacher.checkpoint": "missing.pth", "knowledge": None}
    config = load_config(tiny_config, options)
    student = config.student.model_copy(
        update={"overrides": {**config.student.overrides, "model.backbone.init_cfg": pretrained}}
    )
    report = check_experiment(config.model_copy(update={"student": student}), random_weights=True)
    assert report.ap == {}
    assert {offer.name for offer in report.offers if not offer.reason} >= {"global", "class_logits"}


def test_a_misspelt_module_is_told_with_the_nearest(tiny_config: Path) -> None:
    config = load_config(tiny_config, {"primitive_set": "tests.run.misspelt:OWN", "knowledge": None})
    with pytest.raises(DetectorError, match=r"'neck\.fpn_conv\.0' is neither.*did you mean 'neck\.fpn_convs\.0'"):
        check_experiment(config)


@pytest.mark.parametrize(
    "name", ["gfl", "mask_rcnn", "detr", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_other_families_are_checked_too(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_check, "STEPS", 1)  # that are timed
    config = load_config(TINY / f"{name}.py", {"data.digits.root": str(tmp_path / "digits")})
    found = {offer.name: offer for offer in check_experiment(config).offers if not offer.reason}
    assert ("box_bins" in found) == (name == "gfl")
    assert ("mask_logits" in found) == (name == "mask_rcnn")
    assert ("query_logits" in found) == ("query_boxes" in found) == (name in ("detr", "dino"))
    assert {"predicted_logits", "predicted_boxes"} <= set(found)
    assert np.isfinite([offer.scale for offer in found.values() if offer.scale is not None]).all()


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        ("loss", AttributeError("no '_gt_sem_seg'"), "RetinaNet cannot learn on these data: it needs semantic maps"),
        ("predict", KeyError("border"), "RetinaNet cannot predict on these data: fails() ends with KeyError: 'border'"),
    ],
)
def test_what_mmdet_itself_cannot_do_is_told_in_one_line(
    method: str, error: Exception, words: str, tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(RetinaNet, method, fails)
    with pytest.raises(DetectorError, match=f"the student's {re.escape(words)}.*; choose another detector$"):
        check_experiment(load_config(tiny_config))
