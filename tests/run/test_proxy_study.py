from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.errors import ConfigError
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.primitives import DETKDS
from detkds_gp.ranking import Way
from detkds_gp.run.proxy_study import Sampling, Study, options, run_study
from detkds_gp.score import Score
from detkds_gp.screening import Finding


@pytest.fixture(scope="module")
def config(tiny_config: Path) -> ExperimentConfig:
    return load_config(tiny_config)


KNOWN = ("1 * calibrated * l2(global)", "40 * calibrated * l2(standardize_channel(global))")


def no_squares(formulas: Sequence[str]) -> list[Finding]:
    """Reject every formula with a mean square; find that every l1 is one known before."""
    rejected = Finding(Score.failed("rejected:shape"))
    return [rejected if "l2" in f else Finding(twin="l1(global)") if "l1" in f else Finding() for f in formulas]


def test_a_sample_starts_with_what_is_known_and_is_the_same_every_time(config: ExperimentConfig) -> None:
    def drawn() -> list[tuple[str, str]]:
        sampling = Sampling(config.search, config.seed, KNOWN, DETKDS, lambda formulas: [Finding()] * len(formulas))
        return [(niche, distiller.text) for niche, distiller in sampling.drawn(Study(formulas=12))]

    first = drawn()
    assert first == drawn()
    assert len(first) == 13
    assert len(set(first)) == 13
    assert first[0] == ("none", "none")
    assert [text for _, text in first[1:3]] == list(KNOWN)
    assert len({parse_distiller(text, DETKDS).terms[0].weight for _, text in first[3:9]}) > 5
    assert len({niche for niche, _ in first[3:9]}) > 3
    mixes = [parse_distiller(text, DETKDS) for niche, text in first if niche == "mix"]
    assert len(mixes) == 4
    singles = {text.split(" * ", 1)[1] for niche, text in first[1:9]}
    low, high = config.search.weight_range
    for mix in mixes:
        assert len(mix.terms) > 1
        assert all(f"calibrated * {term.formula}" in singles for term in mix.terms)
        assert all(low <= term.weight <= high for term in mix.terms)


def test_what_the_screening_rejects_comes_last_and_twins_do_not_come_at_all(config: ExperimentConfig) -> None:
    drawn = [
        d.text
        for _, d in Sampling(config.search, config.seed, KNOWN, DETKDS, no_squares).drawn(Study(formulas=6, rejected=4))
    ]
    assert len(drawn) == 11
    assert not any("l2" in text or "l1" in text for text in drawn[1:7])
    assert " + " in drawn[6]
    assert all("l2" in text for text in drawn[7:])


def test_an_end_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than 8 iterations"):
        Study(iterations=(4, 8), end=8)
    assert Study(iterations=(4, 8), end=9, repeats=2).end_trainings == 24
    assert Study(iterations=(4, 8)).end_trainings == 0


@pytest.mark.parametrize(("iterations", "formulas"), [((4,), 40), ((8, 4), 40), ((4, 8), 3)])
def test_a_study_that_compares_nothing_is_refused(iterations: tuple[int, ...], formulas: int) -> None:
    with pytest.raises(ConfigError, match="wanted"):
        Study(formulas, iterations=iterations)


def test_what_is_recommended_are_options_of_a_config(tiny_config: Path) -> None:
    proxy = load_config(tiny_config, options(Way("half_trained", 0.5, 0.9), 7)).proxy
    assert (proxy.start, proxy.iterations, proxy.rungs) == ("half_trained", 7, ())
    assert (proxy.decay, proxy.average) == (0.5, 0.9)


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_study_of_real_trainings(decay: float, tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, {"proxy.start_iterations": 2})
    ways = Way("config", decay, 0.9), Way("half_trained", decay, 0.9)
    study = Study(5, iterations=(1, 2), ways=ways, end=3, end_formulas=3)
    table = run_study(config, study, tmp_path, Listener())
    repeated = {("config", 2)} if decay else {("config", 1), ("config", 2)}
    assert len(table.rows) == 2 * 2 * 6 + 6 * len(repeated)
    assert {(row.start, row.iterations) for row in table.rows if row.seed == 1} == repeated
    assert [(row.start, row.iterations, row.seed) for row in table.end] == [("config", 3, 1)] * 3
    assert {row.formula for row in table.end} < {row.formula for row in table.rows}
    assert "none" in {row.formula for row in table.end}
    assert {row.formula for row in table.rows if row.start == "config"} >= {"none"}
    again = run_study(config, study, tmp_path, Listener())  # nothing is trained again
    assert again == table
    assert (tmp_path / f"config-{decay:g}-0.9" / ("1" if decay else "") / "store.sqlite").exists()
