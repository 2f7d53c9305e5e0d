from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detkds_gp.noise import Noise, noise_of, scores_of
from detkds_gp.score import Score, Trial


def drawn(formulas: float, luck: float, seed: int, *, count: int = 40, seeds: int = 4) -> dict[str, dict[int, float]]:
    """Draw scores with a known spread; seeds move all formulas alike by more than either."""
    rng = np.random.default_rng(seed)
    worth, shift = 0.3 + formulas * rng.standard_normal(count), 0.1 * rng.standard_normal(seeds)
    return {
        f"f{i}": {s: worth[i] + shift[s] + luck * rng.standard_normal() for s in range(seeds)} for i in range(count)
    }


@pytest.mark.parametrize(("formulas", "luck"), [(0.03, 0.01), (0.01, 0.02), (0.0, 0.01)])
def test_spreads_are_found_again_whatever_seeds_do_to_all(formulas: float, luck: float) -> None:
    found = [noise_of(drawn(formulas, luck, seed)) for seed in range(20)]
    assert np.mean([noise.luck for noise in found]) == pytest.approx(luck, rel=0.1)
    assert np.mean([noise.formulas**2 for noise in found]) == pytest.approx(formulas**2, rel=0.25, abs=3e-5)
    assert {noise.degrees for noise in found} == {39 * 3}


def test_luck_is_the_mean_square_of_a_two_way_analysis_of_variance() -> None:
    scores = drawn(0.02, 0.01, 7, count=6, seeds=3)
    table = np.array([list(aps.values()) for aps in scores.values()])
    left = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    noise = noise_of(scores)
    within = (left**2).sum() / (5 * 2)
    assert noise.luck == pytest.approx(math.sqrt(within))
    assert noise.formulas == pytest.approx(math.sqrt(table.mean(1).var(ddof=1) - within / 3))


def test_formulas_with_one_seed_count_towards_the_spread_of_formulas() -> None:
    scores = drawn(0.03, 0.01, 3, count=200, seeds=3)
    sparse = {name: aps if n < 5 else {0: aps[0]} for n, (name, aps) in enumerate(scores.items())}
    found = noise_of(sparse)
    assert found.degrees == 4 * 2
    assert found.formulas == pytest.approx(0.03, rel=0.15)


def test_a_student_alone_gives_luck_and_nothing_else() -> None:
    noise = noise_of({"none": {0: 0.30, 1: 0.32, 2: 0.31}})
    assert noise == Noise(pytest.approx(0.01), None, 2, 1)
    assert noise.reliability is None
    assert noise.separated is None
    assert str(noise) == "a difference of 0.006 is two to one, of 0.023 nineteen to one"
    assert noise_of({"none": {0: 0.3}, "l2(global)": {0: 0.3}}) is None


def test_an_estimate_of_few_trainings_says_so() -> None:
    few, more = (str(Noise(0.001, 0.01, degrees, 30)) for degrees in (2, 9))
    assert few.endswith("if luck is what 3 trainings show: so few may show a fraction of it")
    assert "trainings show" not in more


@given(st.floats(0.001, 0.1), st.floats(0.001, 0.1), st.sampled_from([2.0, 19.0]))
def test_odds_and_differences_are_each_others_inverse(formulas: float, luck: float, odds: float) -> None:
    noise = Noise(luck, formulas, 10, 10)
    assert noise.odds(noise.difference(odds)) == pytest.approx(odds)
    assert noise.odds(0.0) == pytest.approx(1)


def test_odds_and_shares_are_those_of_many_draws() -> None:
    rng, formulas, luck = np.random.default_rng(0), 0.02, 0.012
    noise = Noise(luck, formulas, 100, 100)
    truth = formulas * rng.standard_normal((2, 400_000))
    seen = truth + luck * rng.standard_normal(truth.shape)
    apart = seen[0] - seen[1]
    near = np.abs(apart - noise.difference(2.0)) < 0.001
    assert (truth[0] > truth[1])[near].mean() == pytest.approx(2 / 3, abs=0.02)
    assert (np.abs(apart) > noise.difference(19.0)).mean() == pytest.approx(noise.separated, abs=0.005)


def test_it_says_what_a_budget_can_tell() -> None:
    assert str(Noise(0.01, 0.01, 9, 9)).endswith("this budget separates about 1 pair of formulas in 10")
    assert str(Noise(0.01, 0.1, 9, 9)).endswith("this budget separates 87% of all pairs of formulas")
    assert str(Noise(0.01, 0.0, 9, 9)) == "9 formulas differ by no more than luck does (0.010)"


def test_only_trainings_of_one_length_without_the_test_split_count() -> None:
    answers = [
        (Trial("none", 10, 0), Score(0.3)),
        (Trial("none", 10, 1), Score(0.2)),
        (Trial("none", 20, 2), Score(0.4)),
        (Trial("none", 10, 3, test=True), Score(0.4, 0.4)),
        (Trial("l2(global)", 10, 0), Score.failed("nonfinite", "", 1.0)),
    ]
    assert scores_of(answers, 10) == {"none": {0: 0.3, 1: 0.2}}
