"""The zoo: every distiller agrees with its paper, both sets read it, and its page says what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.language import parse_distiller
from detkds_gp.losses import DistillationLoss, shapes_of
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.screening import lint

from .papers import GRIDS, doubled, expected, knowledge


@pytest.mark.parametrize("name", ZOO)
def test_values_and_gradients_are_the_papers(name: str) -> None:
    given = knowledge(name)
    loss = DistillationLoss(ZOO[name].distiller(OMNI), OMNI).build(shapes_of(given), seed=5)
    for number, (key, weight) in enumerate(loss.named_parameters()):
        if "widen" in key:  # nothing at first, which would hide the context
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(number))
    exact = doubled(given)
    torch.manual_seed(9)
    ours = loss(given).total
    torch.manual_seed(9)
    papers = expected(name, exact, loss)
    assert ours.item() == pytest.approx(papers.item(), rel=1e-5)
    assert ours.item() > 0
    ours.backward()
    papers.backward()
    sided = [source for source in given if OMNI.declarations[source].result.sided]
    for source in sided:
        found = torch.cat([s.grad.double().flatten() for s, _ in given[source]])
        wanted = torch.cat([s.grad.flatten() for s, _ in exact[source]])
        assert wanted.any()
        assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max(), source


@pytest.mark.parametrize("name", ["pkd", "pkd_two_stage", "fgd_two_stage", "mgd_two_stage", "detkds_cascade"])
def test_without_the_coarsest_level_the_others_weigh_as_released(name: str) -> None:
    given = knowledge(name)
    loss = DistillationLoss(ZOO[name].distiller(OMNI), OMNI).build(shapes_of(given), seed=5)
    torch.manual_seed(9)
    levels = loss(given).levels["global"] / len(GRIDS)
    taken = {source: pairs[:4] for source, pairs in doubled(given).items()}
    torch.manual_seed(9)
    assert levels[:4].sum().item() == pytest.approx(expected(name, taken, loss).item(), rel=1e-5)
    assert levels[4] > 0


def test_a_context_block_starts_as_released() -> None:
    """He's normal draw of the attending convolution, and a last convolution of zeros."""
    shapes = {"global": [(1, 1024, 2, 2)]}
    loss = DistillationLoss("1 * 1 * l2(global_context(global))", OMNI).build(shapes, seed=0)
    ((level,),) = loss.parts.values()
    for side in ("student", "teacher"):
        weights = level[side].attend.weight
        assert weights.std().item() == pytest.approx((2 / 1024) ** 0.5, rel=0.1)
        assert weights.abs().max() > 3 * (2 / 1024) ** 0.5  # a uniform draw of that deviation ends at 1.73
        assert not level[side].widen.weight.any()
        assert level[side].narrow.weight.shape == (512, 1024)


@pytest.mark.parametrize("primitive_set", [DETKDS, OMNI], ids=lambda s: s.name)
@pytest.mark.parametrize("name", ZOO.named)
def test_both_sets_read_it_and_lint_finds_nothing(name: str, primitive_set) -> None:
    entry = ZOO.named[name]
    distiller = entry.distiller(primitive_set)
    assert parse_distiller(distiller.text, primitive_set) == distiller
    assert not lint(entry.formula, primitive_set).problems
    assert name not in ZOO or all(term.weight == 1 and term.scale is not None for term in distiller.terms)
    assert entry.paper
    assert entry.weights


def test_the_page_of_the_zoo_says_what_the_zoo_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")
    for name, entry in ZOO.items():
        assert f"\n{name}: {entry.formula}\n" in page
        assert f"| `{name}` | {entry.paper} |" in page
        assert f"| {entry.weights} | {entry.note} |" in page
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    made: dict[str, Any] = {}
    exec(example, made)
    assert list(made["MINE"]) == [*ZOO, "ours"]
