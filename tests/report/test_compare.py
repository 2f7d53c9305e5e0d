from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from detkds_gp.errors import ConfigError
from detkds_gp.report import Run, collect, render_comparison
from detkds_gp.report.compare import transfer


@pytest.fixture(scope="module")
def other(made_run: ModuleType, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that the first one's best formula of global features joined as a warm start."""
    folder = tmp_path_factory.mktemp("other")
    formula = run.champions["global"].candidate.text
    made_run.make_run(folder, 60, warm_start=(formula,), seed=1)
    return collect(folder)


def test_a_formula_travels_as_far_as_it_was_scored(run: Run, other: Run, made_run: ModuleType) -> None:
    best = run.champions["global"].candidate
    there = transfer(best.text, other)
    alone = other.references.alone_selection
    assert there.over_alone == pytest.approx(made_run.made_ap(best.text) - sum(alone) / len(alone))
    assert run.winner is not None
    home = transfer(run.winner.candidate.text, run)
    assert (home.own, home.gain) == (True, run.winner.gain)
    away = transfer("1 * calibrated * l2(global) + 50 * calibrated * l2(class_map)", other)
    assert (away.gain, away.over_alone, away.own) == (None, None, False)


def test_the_page_says_what_is_missing(run: Run, other: Run) -> None:
    html = render_comparison([run, other])
    assert "not scored there" in html
    assert "scores are missing" in html
    assert html.count("won here") == 2


def test_one_run_is_nothing_to_compare(run: Run) -> None:
    with pytest.raises(ConfigError, match="wanted 2 or more"):
        render_comparison([run])


def test_a_page_without_figures_is_small(run: Run, other: Run, small: Path) -> None:
    assert len(render_comparison([run, other])) < 100_000
