"""The zoo held against a pair: what applies, and the papers' weights in units of this pair's scales."""

from __future__ import annotations

from pathlib import Path

import pytest

from detkds_gp.config import load_config
from detkds_gp.preflight import check_experiment, check_zoo, list_zoo
from detkds_gp.primitives.zoo import ZOO

OWN = """
from detkds_gp.language import Published, Zoo

OWN = Zoo(
    Published("plain", "1 * 3 * l1(global) + 2 * 5 * l1(class_logits)", "here", "3 and 10"),
    Published("bins", "l1(box_bins)", "here", "1"),
)
"""


def test_a_weight_here_is_the_papers_over_the_scale_that_check_measures(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_zoo.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    config = load_config(tiny_config, {"zoo": "own_zoo:OWN"})
    plain, bins = check_zoo(config)
    scales = {offer.formula: offer.scale for offer in check_experiment(config).offers}
    assert plain.here["global"] == pytest.approx(3 / scales["l1(global)"])
    assert plain.here["class_logits"] == pytest.approx(10 / scales["l1(class_logits)"])
    assert bins.here == {}
    assert bins.reason.startswith("the pair does not share 'box_bins': ")


def test_without_a_pair_everything_is_listed() -> None:
    assert [(entry.name, entry.formula, entry.reason) for entry in list_zoo()] == [
        *((name, published.formula, "") for name, published in ZOO.items()),
        ("recommended", ZOO.named["recommended"].formula, ""),
    ]
