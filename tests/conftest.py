from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from detkds_gp.data.digits import make_digits

if TYPE_CHECKING:
    from detkds_gp.run import Outcome

ROOT = Path(__file__).resolve().parents[1]

# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "cli/test_check.py", "pairs/test_families.py", "pairs/test_matrix.py", "run/test_processes.py",
    "full_training/test_two_processes.py", "training/test_distributed.py", "full_training/test_families.py",
    "run/test_own_set.py", "pairs/test_screening.py", "pairs/test_zoo.py", "steering/test_controller.py",
    "cli/test_export_mmdet.py", "cli/test_train_cases.py", "training/test_full_average.py",
)  # fmt: skip
"""Files whose tests take longest, which begin first: processes that share the tests by file then end together."""


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # of pytest-xdist: by the number of tests in a file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    assert all(path.is_file() for path in order), "LONGEST names a file that is gone"
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The folder of a real data set: train.json, val.json, test.json, images/."""
    folder = ROOT.parent / "shared" / "data" / "bccd"
    if not folder.is_dir():
        pytest.skip(f"the BCCD data set is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated data set: train.json (24 scenes), selection.json (8), test.json (8), images/."""
    return make_digits(tmp_path_factory.mktemp("data") / "digits", train=24, selection=8, test=8)


TINY = """
primitive_set = "detkds_gp.primitives:DETKDS"
knowledge = ("global", "class_logits")
data = dict(digits=dict(root="{folder}/digits", train=12, selection=6, test=6, size=64))


def narrow(base):
    anchors = dict(octave_base_scale=2, scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32])
    return {{
        "model.backbone.base_channels": base,
        "model.backbone.stem_channels": base,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_eval": False,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [base, 2 * base, 4 * base, 8 * base],
        "model.neck.out_channels": 2 * base,
        "model.neck.num_outs": 3,
        "model.bbox_head.in_channels": 2 * base,
        "model.bbox_head.feat_channels": 2 * base,
        "model.bbox_head.stacked_convs": 1,
        "model.bbox_head.anchor_generator": dict(type="AnchorGenerator", **anchors),
        "model.test_cfg.nms_pre": 100,
        "model.test_cfg.score_thr": 0.0,
    }}


retinanet = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
student = dict(config=retinanet, overrides=narrow(4))
teacher = dict(config=retinanet, overrides=narrow(8), train=dict(iterations=3, batch_size=4))
proxy = dict(iterations=2, batch_size=4, image_size=(64, 64), warmup=1)
proxy.update(calibration_iterations=1, calibration_batches=1)
search = dict(
    divide=dict(population=2, offspring=2, generations=1),
    conquer=dict(population=2, offspring=2, generations=1),
    champions=1,
    max_depth=3,
)
verdict = dict(seeds=(11, 12), iterations=3, finalists=1, share=0.9, tuning=3)
require_better_teacher = False
anchors = 0
cache_dir = "{folder}/cache"
execution = dict(executor="serial", workers=1)
del narrow, retinanet
"""


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config that runs in seconds: 12 scenes of 64x64, students of 4 channels, 2 iterations."""
    folder = tmp_path_factory.mktemp("tiny")
    path = folder / "tiny.py"
    path.write_text(TINY.format(folder=folder))
    return path


MASKS = """
_base_ = "{tiny}"
knowledge = ("global",)


def narrow(base):
    neck = 2 * base
    return {{
        "model.backbone.depth": 18,
        "model.backbone.base_channels": base,
        "model.backbone.stem_channels": base,
        "model.backbone.frozen_stages": -1,
        "model.backbone.norm_eval": False,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [base, 2 * base, 4 * base, 8 * base],
        "model.neck.out_channels": neck,
        "model.rpn_head.in_channels": neck,
        "model.rpn_head.feat_channels": neck,
        "model.roi_head.bbox_roi_extractor.out_channels": neck,
        "model.roi_head.bbox_head.in_channels": neck,
        "model.roi_head.bbox_head.fc_out_channels": 32,
        "model.roi_head.mask_roi_extractor.out_channels": neck,
        "model.roi_head.mask_head.in_channels": neck,
        "model.roi_head.mask_head.conv_out_channels": neck,
        "model.roi_head.mask_head.num_convs": 1,
        "model.train_cfg.rpn_proposal.nms_pre": 100,
        "model.train_cfg.rpn_proposal.max_per_img": 50,
        "model.train_cfg.rcnn.sampler.num": 32,
        "model.test_cfg.rpn.nms_pre": 100,
        "model.test_cfg.rpn.max_per_img": 20,
        "model.test_cfg.rcnn.score_thr": 0.0,
        "model.test_cfg.rcnn.max_per_img": 20,
    }}


mask_rcnn = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
student = dict(_delete_=True, config=mask_rcnn, overrides=narrow(8))
teacher = dict(_delete_=True, config=mask_rcnn, overrides=narrow(12), train=dict(iterations=3, batch_size=4))
del narrow, mask_rcnn
"""


@pytest.fixture(scope="session")
def mask_config(tiny_config: Path) -> Path:
    """The tiny config with two narrow Mask R-CNNs that share their neck's maps."""
    path = tiny_config.with_name("masks.py")
    path.write_text(MASKS.format(tiny=tiny_config))
    return path


@pytest.fixture(scope="session")
def finished(tiny_config: Path) -> Outcome:
    """What the tiny experiment found, run once in this process."""
    from detkds_gp.run import Experiment

    return Experiment.from_config(tiny_config, tiny_config.with_name("finished")).run()
