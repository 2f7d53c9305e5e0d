"""The tables of docs/detectors.md: the page is made of the rows, and the rows are what the pairs do.

Three rows are measured again in the ordinary suite and those of `SLOW` in the slow one. Left out are rows that take a
core 10 s and more (of detectors that keep mmdet's widths, such as Res2Net and PVT, and of large ones, such as NAS-FCOS,
DyHead, DINO and Faster R-CNN on C4), those that differ from a measured row in the assigner, the loss or the backbone
alone (such as GHM, FSAF, PISA and PAFPN), and those of kinds that `test_families` trains on every knowledge (such as
FCOS, GFL, RTMDet and Cascade R-CNN). The script measures them all (``--again --save``).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detkds_gp.preflight import check as preflight_check

from ..scripts import benchmark

family_list, family_page, families = map(benchmark, ("family_list", "family_page", "families"))
ROWS = json.loads(families.RESULTS.read_text())["rows"]
QUICK = ("ga_retinanet", "centernet", "gfl_to_retinanet")
SLOW = (
    "solov2", "dino_to_detr", "retinanet", "paa", "ssd", "centernet_update", "ld", "lad", "faster_rcnn", "grid_rcnn",
    "cascade_rpn", "crowddet", "mask_rcnn", "htc", "ms_rcnn", "yolact", "condinst", "rtmdet_ins", "maskformer",
    "yolox_l_to_tiny", "mask2former_to_mask_rcnn", "mask2former_to_solov2", "condinst_to_rtmdet_ins",
    "sparse_rcnn_to_retinanet",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the scenes that all rows share."""
    return tmp_path_factory.mktemp("families")


def test_the_page_is_made_of_the_rows() -> None:
    assert families.PAGE.read_text() == family_page.page(ROWS, families.STEPS, families.SIZE)


def test_every_family_and_every_pair_has_a_row() -> None:
    assert list(ROWS) == [*family_list.FAMILIES, *family_list.PAIRS]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_tells_users_why_not_in_one_line_and_leaves_the_students_loss(name: str) -> None:
    reasons = [found for found in ROWS[name]["knowledge"].values() if isinstance(found, str)]
    assert len(reasons) < len(family_page.KNOWLEDGE)
    for reason in [*reasons, ROWS[name]["error"]]:
        assert "\n" not in reason
        assert not reason.startswith("fault:")
    assert ROWS[name]["own_loss"] in (True, None)
    assert bool(ROWS[name]["error"]) == (ROWS[name]["own_loss"] is None)


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_row_measured_again_is_the_same(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_check, "STEPS", 1)  # that are timed: no row holds a time
    assert families.measured(name, folder) == ROWS[name]
