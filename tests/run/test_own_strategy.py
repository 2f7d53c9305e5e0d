"""A strategy of a user's own, in one file outside the package, goes through a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detkds_gp.config import load_config
from detkds_gp.errors import DeclarationError
from detkds_gp.results import cuts
from detkds_gp.run.verify import verify
from detkds_gp.search import strategy_class
from detkds_gp.setup.fingerprints import file_hash
from detkds_gp.setup.prepare import gather
from detkds_gp.steering import read_status
from detkds_gp.store import Store

from ..scripts import benchmark

analytic = benchmark("analytic")
OWN = {"strategy": "tests.run.own_strategy:HillClimbing", "options": {"candidates": 20}}


def run(work_dir: Path, **options: Any) -> Any:
    given = {"execution": {"executor": "serial"}, "search": OWN, **options}
    return analytic.make_experiment(work_dir, analytic.Analytic(0.0), **given).run()


def test_it_searches_is_judged_and_repeats(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    with Store.open(tmp_path, readonly=True) as store:
        births = store.births()
        assert [birth.generation for birth in births] == list(range(20))
        assert {birth.stage for birth in births} == {"climb"}
        assert any(birth.parents for birth in births)
        assert [line for line in cuts(store) if line.startswith("climb")] == []
    assert outcome.summary["best"]["gain"] is not None
    assert read_status(tmp_path)["state"] == "finished"
    found = verify(tmp_path)
    assert (found.differences, found.complete, found.generations) == ((), True, 20)
    before = analytic.history(tmp_path)
    run(tmp_path)
    assert analytic.history(tmp_path) == before


def test_a_budget_cuts_it_and_says_so(tmp_path: Path) -> None:
    run(tmp_path, budget="24")
    with Store.open(tmp_path, readonly=True) as store:
        assert store.costs().trainings <= 24
        held = len(store.generations())
        assert 3 <= held < 20
        assert f"climb: {held} of 20 generations" in cuts(store)
    assert verify(tmp_path).differences == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tests.run.own_strategy:HillClimber", "did you mean 'HillClimbing'"),
        ("tests.run.own_strategy:Counter", "has no start_with, ask, tell, plan, inject"),
        ("tests.run.nowhere:X", "give module:NAME"),
    ],
)
def test_what_is_no_strategy_is_refused(name: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        strategy_class(name)


def test_its_code_is_part_of_what_a_run_is_bound_to(tiny_config: Path) -> None:
    own = {"search.strategy": OWN["strategy"], "search.options": OWN["options"]}
    bound = {name: gather(config).fingerprint(config) for name, config in (
        ("own", load_config(tiny_config, own)), ("shipped", load_config(tiny_config)),
    )}  # fmt: skip
    code = bound["own"].pop("own_code")
    assert list(code) == ["tests.run.own_strategy"]
    assert code["tests.run.own_strategy"] == file_hash(Path(__file__).with_name("own_strategy.py"))
    assert "own_code" not in bound["shipped"]
