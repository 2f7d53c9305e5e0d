from __future__ import annotations

from detkds_gp.experiment.config import ExperimentConfig, parse_config
from detkds_gp.experiment.naming.rivals import with_rivals
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.primitives.zoo import ZOO

RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


def config(rivals: dict[str, str] | None = None) -> ExperimentConfig:
    """A search that weighs single formulas by 2; its rivals are the default ones unless some are given."""
    return parse_config(
        {
            "student": {"config": RETINANET},
            "teacher": {"config": RETINANET},
            "data": {"digits": {"root": "digits"}},
            "search": {"divide_weight": 2.0},
            "verdict": {} if rivals is None else {"rivals": rivals},
        }
    )


def test_rivals_take_the_weight_at_which_formulas_are_compared() -> None:
    said: list[str] = []
    asked = {"zoo": "pkd", "bare": "l2(global)", "weighed": "7 * l1(global)", "alien": "l2(globe)"}
    found = with_rivals(config(asked), DETKDS, said.append).verdict.rivals
    assert found == {
        "zoo": "2 * calibrated * l2(standardize_channel(global))",
        "bare": "2 * calibrated * l2(global)",
        "weighed": parse_distiller("7 * l1(global)", DETKDS).text,
    }
    assert len(said) == 1
    assert said[0].startswith("no rival: alien (")


def test_the_default_rivals_are_formulas_of_the_shipped_set() -> None:
    said: list[str] = []
    assert list(with_rivals(config(), DETKDS, said.append).verdict.rivals) == ["mimic", "PKD", "CWD", "logits"]
    assert said == []


def test_the_whole_zoo_joins_after_the_others_under_its_own_names() -> None:
    said: list[str] = []
    found = with_rivals(config({"all": "zoo", "pkd": "l2(global)"}), DETKDS, said.append).verdict.rivals
    assert list(found) == ["pkd", *(name for name in sorted(ZOO) if name != "pkd")]
    assert found["pkd"] == "2 * calibrated * l2(global)"
    assert found["cwd"] == "2 * calibrated * kl(softmax_space(global, 1))"
    assert said == []
