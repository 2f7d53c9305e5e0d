from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from detkds_gp.errors import FormulaError
from detkds_gp.evaluation import in_units, starting, weighed
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.score import Scale
from detkds_gp.search import DivideAndConquer, SearchSettings

PKD = "l2(standardize_channel(global))"


class Scales:
    """PKD's scale is .316; what squares cannot be measured; everything else has .02."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def __call__(self, formulas: Sequence[str]) -> Mapping[str, Scale]:
        self.asked.append(formulas)
        return {f: Scale(None, "nonfinite") if "square" in f else Scale(0.316 if f == PKD else 0.02) for f in formulas}


def test_a_coefficient_is_divided_by_the_scale_of_its_tree() -> None:
    found = in_units(ZOO["pkd"].distiller(OMNI), Scales())
    assert found.text == f"79 * calibrated * {PKD}"  # 25 / .316 = 79.1
    both = parse_distiller("4 * calibrated * l1(global) + 2 * 0.5 * l1(class_logits) + l1(square(instance))", OMNI)
    scales = Scales()
    found = {term.knowledge: (term.weight, term.scale) for term in in_units(both, scales).terms}
    assert found == {"global": (4, None), "class_logits": (50, None), "instance": (1, None)}
    assert [sorted(formulas) for formulas in scales.asked] == [["l1(class_logits)", "l1(square(instance))"]]


def test_a_papers_weight_enters_there_and_at_1_and_a_bare_formula_at_1() -> None:
    scales = Scales()
    texts = [ZOO["pkd"].formula, "l2(global)", "30 * calibrated * l2(global)", f"{PKD} + 0.02 * l1(class_logits)"]
    assert weighed(texts, OMNI, scales) == [
        f"79 * calibrated * {PKD}",
        f"1 * calibrated * {PKD}",
        "1 * calibrated * l2(global)",
        "30 * calibrated * l2(global)",
        "1 * calibrated * l1(class_logits)",
    ]
    assert scales.asked == [[PKD, "l1(class_logits)"]]


def test_a_search_takes_them_so_and_says_what_is_out_of_its_range() -> None:
    said: list[str] = []
    settings = SearchSettings(warm_start=(ZOO["pkd"].formula, "l2(global)"), weight_range=(0.1, 50.0))
    found = starting(settings, OMNI, Scales(), said.append)
    assert [line.partition(" is beyond ")[0] for line in said] == [f"79 * calibrated * {PKD}"]
    search = DivideAndConquer(OMNI, settings)
    search.start_with(found)
    asked = [candidate.distiller.text for candidate in search.ask()]
    assert asked[:3] == [f"79 * calibrated * {PKD}", f"1 * calibrated * {PKD}", "1 * calibrated * l2(global)"]
    assert starting(SearchSettings(), OMNI, Scales(), said.append) == []


@pytest.mark.parametrize(("text", "message"), [("l2(global", "wanted"), ("l2(globel)", "did you mean 'global'")])
def test_a_warm_start_that_does_not_fit_is_said_at_once(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        starting(SearchSettings(warm_start=(text,)), OMNI, Scales(), print)


@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_published_distiller_can_be_taken(name: str) -> None:
    for text in weighed([ZOO[name].formula], OMNI, Scales()):
        (term,) = parse_distiller(text, OMNI).terms
        assert term.scale is None
