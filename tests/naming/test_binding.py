from __future__ import annotations

from detkds_gp.config import ExperimentConfig, parse_config
from detkds_gp.language import parse_distiller
from detkds_gp.naming.binding import with_rivals
from detkds_gp.primitives import DETKDS
from detkds_gp.primitives.zoo import ZOO

RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


def config(rivals: dict[str, str] | None = None) -> ExperimentConfig:
    """A search whose rivals are the default ones unless some are given."""
    return parse_config(
        {
            "student": {"config": RETINANET},
            "teacher": {"config": RETINANET},
            "data": {"digits": {"root": "digits"}},
            "verdict": {} if rivals is None else {"rivals": rivals},
        }
    )


def test_published_rivals_have_their_papers_weight_and_bare_ones_a_measured_scale() -> None:
    said: list[str] = []
    asked = {"zoo": "pkd", "bare": "l2(global)", "weighed": "7 * l1(global)", "units": "9 * calibrated * l1(global)"}
    found = with_rivals(config({**asked, "alien": "l2(globe)"}), DETKDS, said.append).verdict.rivals
    assert found == {
        "zoo": "1 * 25 * l2(standardize_channel(global))",
        "bare": "1 * calibrated * l2(global)",
        "weighed": parse_distiller("7 * l1(global)", DETKDS).text,
        "units": "9 * calibrated * l1(global)",
    }
    assert len(said) == 1
    assert said[0].startswith("no rival: alien (")


def test_the_default_rivals_are_formulas_of_the_shipped_set() -> None:
    said: list[str] = []
    assert list(with_rivals(config(), DETKDS, said.append).verdict.rivals) == ["PKD", "MGD", "CWD", "logits"]
    assert said == []


def test_the_whole_zoo_joins_after_the_others_under_its_own_names() -> None:
    said: list[str] = []
    found = with_rivals(config({"all": "zoo", "pkd": "l2(global)"}), DETKDS, said.append).verdict.rivals
    assert list(found) == ["pkd", *(name for name in sorted(ZOO) if name != "pkd")]
    assert found["pkd"] == "1 * calibrated * l2(global)"
    assert found["cwd"] == "1 * 50 * kl(softmax_space(global, 1))"
    assert said == []
