from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from detkds_gp.errors import ConfigError
from detkds_gp.noise import Noise
from detkds_gp.ranking import Row, Table, Way, best_seeds, bootstrapped_tau, ceiling, expected_best, recommended

FORMULAS = [f"f{n}" for n in range(20)]


def table(noise: dict[tuple[str, int, int], float]) -> Table:
    """A table in which every budget ranks as the truth does, but for its noise."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.4, len(FORMULAS))
    rows = [
        Row(text, "global", start, iterations, seed, float(np.clip(ap + rng.normal(0, sd), 0, 1)), None, iterations)
        for (start, iterations, seed), sd in noise.items()
        for text, ap in zip(FORMULAS, truth, strict=True)
    ]
    rows += [Row("none", "none", start, iterations, seed, 0.3, None, iterations) for start, iterations, seed in noise]
    return Table("bbox", 0, tuple(rows))


NOISE = {
    ("config", 10, 0): 0.5,
    ("config", 20, 0): 0.02,
    ("config", 40, 0): 0.0,
    ("config", 40, 1): 0.0,
    ("half_trained", 10, 0): 0.01,
    ("half_trained", 40, 0): 0.0,
}


def test_tau_is_scipys_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.uniform(size=30), rng.uniform(size=30)
    b = 0.7 * a + 0.3 * b
    found = {str(n): float(x) for n, x in enumerate(a)}
    truth = {str(n): float(x) for n, x in enumerate(b)} | {"other": 1.0}
    tau, low, high, count = bootstrapped_tau(found, truth)
    assert tau == pytest.approx(kendalltau(a, b).statistic)
    assert low < tau < high
    assert count == 30


def test_the_interval_of_unrelated_rankings_holds_zero_and_shrinks_with_more_formulas() -> None:
    widths = []
    for size in (10, 40, 160):
        rng = np.random.default_rng(size)
        found, truth = ({str(n): float(x) for n, x in enumerate(rng.uniform(size=size))} for _ in range(2))
        _, low, high, _ = bootstrapped_tau(found, truth)
        assert low < 0 < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


def test_too_few_formulas_have_no_ranking() -> None:
    assert all(math.isnan(value) for value in bootstrapped_tau({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0})[:3])


def test_budgets_are_held_against_the_longest_of_the_first_start() -> None:
    found = {(a.way.start, a.iterations): a for a in table(NOISE).agreements(60)}
    assert list(found) == [(start, iterations) for start, iterations, seed in NOISE if seed == 0]
    assert found["config", 40].tau == 1.0
    assert found["config", 10].tau < found["config", 20].tau < 1
    assert found["half_trained", 40].tau == pytest.approx(1.0)
    assert all(a.formulas == 21 for a in found.values())
    assert 0 < found["config", 40].better < 1


@pytest.mark.slow
def test_budgets_that_are_continued_cost_what_all_before_them_do() -> None:
    whole = table(NOISE)
    falling = Table("bbox", 0, tuple(replace(row, decay=0.5) for row in whole.rows))
    continued, alone = (
        {(a.way.start, a.iterations): a.seconds for a in one.agreements(60)} for one in (whole, falling)
    )
    assert continued["config", 40] == 70
    assert alone["config", 40] == 40
    assert continued["half_trained", 40] == 50


@pytest.mark.parametrize("draws", [1, 3, 50])
def test_what_to_expect_of_the_best_score_is_the_mean_over_all_draws(draws: int) -> None:
    rng = np.random.default_rng(3)
    found, truth = ({str(n): float(x) for n, x in enumerate(rng.uniform(size=6))} for _ in range(2))
    names = list(found)
    drawn = rng.integers(0, 6, (40_000, draws))
    best = [truth[names[row[np.argmax([found[names[n]] for n in row])]]] for row in drawn]
    assert expected_best(found, truth, draws) == pytest.approx(float(np.mean(best)), abs=0.01)


@pytest.mark.slow
def test_the_budget_with_the_highest_expected_best_is_recommended() -> None:
    few, many = (table(NOISE).agreements(minutes) for minutes in (0.5, 1000))
    best = recommended(few)
    assert best is not None
    assert best.expected == max(a.expected for a in few if a.low > 0)
    assert best.iterations < ceiling(few).iterations  # the longest training leaves time for one formula
    assert recommended(many).expected == pytest.approx(max(table(NOISE).aps(Way("config"), 40).values()), abs=1e-4)


def test_nothing_is_recommended_where_the_longest_training_ranks_by_luck() -> None:
    noisy = NOISE | {("config", 40, 1): 100.0}
    agreements = table(noisy).agreements(60)
    assert ceiling(agreements).low < 0
    assert recommended(agreements) is None


def test_the_truth_is_the_mean_of_the_other_seeds() -> None:
    several = table({("config", 10, 0): 0.0, ("config", 40, 0): 0.1, ("config", 40, 1): 0.1, ("config", 40, 2): 0.1})
    truth, repeats = several.truth(Way("config"), 40)
    rows = {(r.formula, r.seed): r.ap for r in several.rows if r.iterations == 40}
    assert repeats == 2
    assert truth["f3"] == pytest.approx((rows["f3", 1] + rows["f3", 2]) / 2)
    assert several.agreements(60)[0].tau > ceiling(several.agreements(60)).tau


@pytest.mark.parametrize(("luck", "trainings", "wanted"), [(0.002, 40, 1), (0.04, 400, 4), (0.02, 4, 1)])
def test_seeds_of_a_formula_are_worth_what_draws_of_them_bring(luck: float, trainings: int, wanted: int) -> None:
    rng, spread = np.random.default_rng(0), 0.01
    worth = 0.3 + spread * rng.standard_normal(3000)
    truth = {str(n): float(ap) for n, ap in enumerate(worth)}
    found = {text: ap + luck * float(rng.standard_normal()) for text, ap in truth.items()}
    seeds, more = best_seeds(found, truth, trainings, Noise(luck, spread, 20, 3000))
    best = {}
    for count in (1, 2, 3, 4):
        drawn = spread * rng.standard_normal((8000, trainings // count))
        scores = drawn + luck / count**0.5 * rng.standard_normal(drawn.shape)
        best[count] = drawn[np.arange(8000), scores.argmax(1)].mean()
    assert seeds == wanted
    assert more == pytest.approx(best[seeds] - best[1], abs=6e-4)
    assert best[seeds] >= max(best.values()) - 3e-4


def test_seeds_are_told_where_luck_is_known_and_the_end_where_students_came_to_it() -> None:
    whole = table({("config", 10, 0): 0.1, ("config", 20, 0): 0.02, ("config", 20, 1): 0.02})
    end = tuple(replace(row, iterations=99, seed=1) for row in whole.rows if (row.iterations, row.seed) == (20, 0))[:12]
    short, longest = replace(whole, end=end).agreements(60)
    assert (short.seeds, short.more) == (None, 0.0)
    assert longest.seeds is not None
    assert longest.end_tau[0] == pytest.approx(1.0)  # twelve of the very same scores
    assert short.end_tau[0] < 1
    assert longest.iterations == 20
    assert longest.tau < 1  # the truth is still the other seed's


def test_failures_are_not_ranked() -> None:
    whole = table(NOISE)
    broken = Row("f0", "global", "config", 10, 0, None, "diverged", 1.0)
    rows = [broken if (r.formula, r.start, r.iterations) == ("f0", "config", 10) else r for r in whole.rows]
    first = Table("bbox", 0, tuple(rows)).agreements(60)[0]
    assert first.formulas == 20


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table(NOISE).to_json()))
    assert Table.read(path) == table(NOISE)


@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', '{"metric": "bbox", "seed": 0, "rows": [{"a": "x"}]}'])
def test_what_is_no_table_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="table"):
        Table.read(path)
