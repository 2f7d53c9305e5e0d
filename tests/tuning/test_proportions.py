from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from detkds_gp.errors import ConfigError
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.score import Scale
from detkds_gp.tuning import Proportions


def scales(formulas: Sequence[str]) -> Mapping[str, Scale]:
    return {f: Scale(None, "rejected:gradient", "none arrives") if "sine" in f else Scale(0.2) for f in formulas}


def test_a_published_distiller_starts_at_its_papers_weight_and_at_1() -> None:
    pkd = Proportions.of(ZOO["pkd"].distiller(OMNI), scales)
    assert (pkd.given, pkd.starts) == (125.0, (125.0, 1.0))
    assert pkd.at(40.0).text == "40 * calibrated * l2(standardize_channel(global))"
    assert pkd.scaled(125.0).text == "125 * 0.2 * l2(standardize_channel(global))"  # 25, as published


def test_terms_keep_their_proportion() -> None:
    entry = ZOO["detkds_fcos"]
    one, two = Proportions.of(entry.distiller(OMNI), scales).scaled(125.0).terms
    ours = [term.weight * term.scale for term in entry.distiller(OMNI).terms]
    assert one.weight * one.scale == pytest.approx(ours[0])
    assert two.weight * two.scale == pytest.approx(ours[1], rel=5e-3)


@pytest.mark.parametrize(
    ("text", "given", "starts"),
    [
        ("l2(global)", None, (1.0,)),
        ("6 * calibrated * l2(global)", 6.0, (6.0, 1.0)),
        ("2 * 0.11 * l2(global)", 1.1, (1.0,)),
        ("0.02 * l2(global)", 0.1, (0.1, 1.0)),
    ],
)
def test_what_a_formula_starts_from(text: str, given: float | None, starts: tuple[float, ...]) -> None:
    found = Proportions.of(parse_distiller(text, OMNI, bare=None), scales)
    assert (found.given, found.starts) == (given, starts)


def test_without_a_scale_there_is_no_weight() -> None:
    with pytest.raises(ConfigError, match=r"cosine.*cannot be measured: rejected:gradient \(none arrives\)"):
        Proportions.of(parse_distiller("cosine(global)", OMNI), scales)
