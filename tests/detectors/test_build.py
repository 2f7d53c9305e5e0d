from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from detkds_gp.config import load_config
from detkds_gp.detectors import DetectorSpec, build_detector, detector_config
from detkds_gp.errors import DetectorError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CLASSES = ("red", "white", "plate")


def _with(spec, **overrides):
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return replace(spec, overrides={**spec.overrides, **dotted})


def test_the_same_seed_gives_the_same_weights_and_nothing_else_is_drawn(spec):
    random.seed(5)
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    weights = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        weights.append(build_detector(spec("student"), CLASSES).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[1].values(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights[0].values(), weights[2].values(), strict=True))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002


def test_without_initialisation_no_weight_is_what_lay_in_the_memory():
    dino = load_config(CONFIGS / "tiny" / "dino.py").student.spec()
    weights = []
    for seed in (3, 3, 4):
        lying = [torch.full((count,), torch.inf) for count in (64, 128, 256, 512) for _ in range(100)]
        del lying
        torch.manual_seed(seed)
        weights.append(build_detector(dino, CLASSES, initialise=False).state_dict())
    assert all(value.isfinite().all() for value in weights[0].values())
    assert all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[1].values(), strict=True))
    assert not torch.equal(weights[0]["level_embed"], weights[2]["level_embed"])
    assert weights[0]["level_embed"].std() == pytest.approx(1, abs=0.3)
    assert not torch.are_deterministic_algorithms_enabled()


def test_initialisation_is_that_of_mmdet(student):
    bias = student.bbox_head.retina_cls.bias
    assert torch.allclose(bias, torch.full_like(bias, -np.log(99)))  # a prior probability of 1%
    assert student.training
    assert DefaultScope.get_current_instance().scope_name == "mmdet"


def test_num_classes_follows_the_classes_unless_overridden(student, spec):
    assert student.bbox_head.num_classes == 3
    config = detector_config(_with(spec("student"), model__bbox_head__num_classes=5), CLASSES)
    assert config.model.bbox_head.num_classes == 5
    two_stage = DetectorSpec("mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py")
    config = detector_config(two_stage, CLASSES)
    assert [head.num_classes for head in config.model.roi_head.bbox_head] == [3, 3, 3]


def test_num_classes_follows_the_classes_in_the_mask_head(spec):
    roi_head = build_detector(spec("mask_rcnn"), CLASSES).roi_head
    assert roi_head.bbox_head.num_classes == roi_head.mask_head.num_classes == 3
    assert roi_head.mask_head.conv_logits.out_channels == 3


def test_building_is_quiet(spec, capfd, recwarn):
    build_detector(spec("student"), CLASSES)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not recwarn.list


def test_reading_a_config_upon_mmdets_warns_of_nothing(tmp_path: Path, recwarn):
    own = tmp_path / "own.py"
    own.write_text('_base_ = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"\n')
    assert detector_config(DetectorSpec(str(own)), ("a", "b")).model.bbox_head.num_classes == 2
    assert not [str(warning.message) for warning in recwarn.list]


def test_custom_imports_are_honoured(tmp_path: Path, monkeypatch, spec):
    (tmp_path / "a_users_neck.py").write_text(
        "from mmdet.models.necks import FPN\n"
        "from mmdet.registry import MODELS\n\n\n"
        "@MODELS.register_module()\n"
        "class AUsersNeck(FPN):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = detector_config(spec("student"), CLASSES)
    config.custom_imports = {"imports": ["a_users_neck"], "allow_failed_imports": False}
    config.model.neck.type = "AUsersNeck"
    config.dump(tmp_path / "config.py")
    detector = build_detector(DetectorSpec(str(tmp_path / "config.py")), CLASSES)
    assert type(detector.neck).__name__ == "AUsersNeck"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("mmdet::retinanet/retinanet_r18_fpn_1x_cocoo.py", "mmdet::retinanet/retinanet_r18_fpn"),
        ("nowhere/config.py", "no such file"),
        ("nopackage::a/b.py", "no installed package 'nopackage'"),
        ("mmdet::_base_/schedules/schedule_1x.py", "has no model"),
    ],
)
def test_a_missing_or_unfit_config_is_named(config, words):
    with pytest.raises(DetectorError, match=words):
        build_detector(DetectorSpec(config), CLASSES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = dict(", "cannot read the config .*SyntaxError"),
        ("model = dict(type='NoSuchNet')", "cannot build the model .*NoSuchNet"),
        (
            "model = dict(type='ResNet', depth=18)",
            "builds a ResNet, wanted an mmdet detector",
        ),
    ],
)
def test_a_broken_config_is_an_error_of_one_line(tmp_path: Path, text, words):
    path = tmp_path / "config.py"
    path.write_text(text)
    with pytest.raises(DetectorError, match=words) as caught:
        build_detector(DetectorSpec(str(path)), CLASSES)
    assert "\n" not in str(caught.value)


def test_overrides_that_would_change_nothing_are_refused(spec):
    with pytest.raises(DetectorError, match=r"no part 'bakbone'.*did you mean 'backbone'"):
        build_detector(_with(spec("student"), model__bakbone__depth=18), CLASSES)
    with pytest.raises(DetectorError, match="no part 'init_cfg'"):
        build_detector(DetectorSpec(spec("fcos").config, {"model.neck.init_cfg.a": 1}), CLASSES)
    with pytest.raises(DetectorError, match="dept"):
        build_detector(_with(spec("student"), model__backbone__dept=18), CLASSES)


def test_no_classes_is_an_error(spec):
    with pytest.raises(DetectorError, match="no classes"):
        build_detector(spec("student"), ())


def test_pretrained_weights_that_cannot_be_had_come_with_a_remedy(spec, tmp_path: Path):
    missing = {"type": "Pretrained", "checkpoint": str(tmp_path / "absent.pth")}
    with pytest.raises(DetectorError, match=r"model\.backbone\.init_cfg=None"):
        build_detector(_with(spec("student"), model__backbone__init_cfg=missing), CLASSES)


def test_nested_overrides_stand_beside_dotted_ones(spec):
    """As ``--cfg-options student.overrides.model...`` gives them on a config that has overrides."""
    nested = {**spec("student").overrides, "model": {"backbone": {"init_cfg": None, "stem_channels": 24}}}
    config = detector_config(replace(spec("student"), overrides=nested), CLASSES)
    backbone = config.model.backbone
    assert (backbone.base_channels, backbone.stem_channels, backbone.init_cfg) == (16, 24, None)
    assert config.model.bbox_head.stacked_convs == 2


def test_classes_of_things_follow_the_data() -> None:
    """Mask2Former's loss has a weight for each class, and one for none."""
    config = detector_config(DetectorSpec("mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py"), ("a", "b"))
    head = config.model.panoptic_head
    assert (head.num_things_classes, config.model.panoptic_fusion_head.num_things_classes) == (2, 2)
    assert head.loss_cls.class_weight == [1.0, 1.0, 0.1]


def test_the_teacher_of_ld_is_found_among_mmdets_configs() -> None:
    config = detector_config(DetectorSpec("mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py"), ("a", "b"))
    assert Path(config.model.teacher_config).is_file()
