"""The registered model, as mmdet's tools build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS

from detkds_gp.config import load_config
from detkds_gp.detectors import DetectorSpec, build_detector, detector_config, save_weights
from detkds_gp.errors import ConfigError, DetectorError, FormulaError
from detkds_gp.training import DistilledDetector
from detkds_gp.training import registered as registered

CLASSES = tuple("0123456789")
FORMULA = "2 * 0.5 * l2(global)"


@pytest.fixture(scope="module")
def parts(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Configs of student and teacher, the teacher's with weights."""
    config, path = load_config(tiny_config), tmp_path_factory.mktemp("teacher") / "teacher.pth"
    torch.manual_seed(3)
    save_weights(build_detector(config.teacher.spec(), CLASSES).state_dict(), path, CLASSES)
    student, teacher = (
        detector_config(side.spec(), CLASSES).model.to_dict() for side in (config.student, config.teacher)
    )
    teacher["init_cfg"] = {"type": "Pretrained", "checkpoint": str(path)}
    return {"type": "DistilledDetector", "student": student, "teacher": teacher, "distiller": FORMULA,
            "image_size": (64, 64), "classes": CLASSES}  # fmt: skip


def test_it_is_the_class_that_the_search_trains(parts: dict[str, Any]) -> None:
    model = MODELS.build(parts)
    assert isinstance(model, DistilledDetector)
    assert model.distillation.distiller.text == FORMULA
    assert list(model.pairing.adapters) == ["global"]


def test_the_teacher_has_its_weights_and_keeps_them_when_a_runner_initialises(parts: dict[str, Any]) -> None:
    saved = torch.load(parts["teacher"]["init_cfg"]["checkpoint"], weights_only=True)["state_dict"]
    model = MODELS.build(parts)
    before = {key: value.clone() for key, value in model.student.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(value, saved[key]) for key, value in model.teacher.state_dict().items())
    assert any(not torch.equal(value, before[key]) for key, value in model.student.state_dict().items())
    assert not any(p.requires_grad for p in model.teacher.parameters())


def test_adapters_are_the_same_in_every_process(parts: dict[str, Any]) -> None:
    first, second, other = (MODELS.build({**parts, "seed": seed}).pairing.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert not torch.equal(first["adapters.global.0.weight"], other["adapters.global.0.weight"])


def test_without_distillation_it_needs_no_teacher(parts: dict[str, Any]) -> None:
    model = MODELS.build({"type": "DistilledDetector", "student": parts["student"]})
    assert model.pairing is None
    assert model.teacher is None


def test_mistakes_are_told(parts: dict[str, Any]) -> None:
    teacher = {key: value for key, value in parts["teacher"].items() if key != "init_cfg"}
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"teacher": teacher}, ConfigError, "without a trained teacher"),
        ({"teacher": None}, ConfigError, "without a trained teacher"),
        ({"distillers": "l2(global)"}, ConfigError, "distillers: .*its keys are student, teacher, distiller"),
        ({"distiller": "l2(globl)"}, FormulaError, "did you mean 'global'"),
        ({"distiller": "calibrated * l2(global)"}, FormulaError, "not measured"),
        ({"distiller": "kl(softmax_row(box_bins, 1))"}, ConfigError, "reads 'box_bins', which the pair does not share"),
        ({"classes": ("a",)}, DetectorError, "was trained on the classes"),
    ]
    for change, error, message in wrong:
        with pytest.raises(error, match=message):
            MODELS.build({**parts, **change})


def test_an_ssd_and_a_ddq_are_mended_as_the_searchs_are() -> None:
    for name in ("ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco", "ddq/ddq-detr-4scale_r50_8xb2-12e_coco"):
        spec = DetectorSpec(f"mmdet::{name}.py", {"model.backbone.init_cfg": None})
        config = detector_config(spec, CLASSES)
        model = MODELS.build({"type": "DistilledDetector", "student": config.model.to_dict()}).student
        wanted = build_detector(spec, CLASSES, initialise=False)
        assert model.state_dict().keys() == wanted.state_dict().keys()
        assert hasattr(model.bbox_head, "loss_cls")
