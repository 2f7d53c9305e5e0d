from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, norm, t

from detkds_gp.noise import SURE, Noise, noise_of, noise_of_trainings, scores_of
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
    odds = "a difference of 0.007 is two to one, of 0.041 nineteen to one"  # Student's t, 2 degrees of freedom
    assert str(noise) == f"{odds}; luck is 0.010 (95%: 0.005 to 0.063)"
    assert noise_of({"none": {0: 0.3}, "l2(global)": {0: 0.3}}) is None


def test_the_interval_of_luck_is_chi_squares_and_holds_the_truth() -> None:
    held = []
    for seed in range(400):
        noise = noise_of(drawn(0.02, 0.01, seed, count=3, seeds=3))
        low, high = noise.luck_interval
        held.append(low <= 0.01 <= high)
        if not seed:
            assert noise.degrees == 4
            assert [4 * (noise.luck / end) ** 2 for end in (low, high)] == pytest.approx(chi2.ppf([0.975, 0.025], 4))
            assert (noise.to_json()["luck_low"], noise.to_json()["luck_high"]) == (low, high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("formulas", "least"), [(0.013, 0.93), (0.033, 0.935), (0.006, 0.92)])
@pytest.mark.parametrize("degrees", [2, 4, 9, 20])
def test_nineteen_to_one_is_right_about_nineteen_times_in_twenty(degrees: int, formulas: float, least: float) -> None:
    rng, luck, count = np.random.default_rng(degrees), 0.006, 40
    right, by_normal = [], []
    for _ in range(600):
        squares = luck**2 * rng.chisquare(degrees) / degrees
        spread = (formulas**2 + luck**2) * rng.chisquare(count - 1) / (count - 1)
        noise = Noise(math.sqrt(squares), math.sqrt(max(0.0, spread - squares)), degrees, count)
        share = formulas**2 / (formulas**2 + luck**2)
        right.append(norm.cdf(noise.difference(SURE) * math.sqrt(share / 2) / luck))
        by_normal.append(norm.cdf(Noise(*noise_as_known(noise)).difference(SURE) * math.sqrt(share / 2) / luck))
    assert least <= np.mean(right) <= 0.975
    assert np.mean(right) > np.mean(by_normal)
    if degrees == 2:
        assert np.mean(by_normal) < 0.91  # what an estimate taken as the truth would be worth


def noise_as_known(noise: Noise) -> tuple[float, float | None, int, int]:
    return noise.luck, noise.formulas, 10**6, noise.count


def test_a_final_round_as_long_counts_for_luck_and_not_for_the_spread_of_formulas() -> None:
    search = [(Trial(f"f{n}", 10, 0), Score(0.3 + n / 100)) for n in range(5)]
    search += [(Trial("f0", 10, 1), Score(0.31))]
    rng = np.random.default_rng(0)
    final = [(Trial(f"f{n}", 10, 100 + s, test=True), Score(0.3 + 0.01 * rng.standard_normal(), 0.3))
             for n in (3, 4) for s in range(4)]  # fmt: skip
    before, after = noise_of_trainings(search, 10), noise_of_trainings([*search, *final], 10)
    assert (before.degrees, after.degrees) == (1, 1 + 3)
    table = np.array([score.ap for _, score in final]).reshape(2, 4)
    left = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    assert after.luck**2 == pytest.approx((0.01**2 / 2 + (left**2).sum()) / 4)
    assert after.count == before.count == 5
    longer = [(Trial(trial.distiller, 20, trial.seed, test=True), score) for trial, score in final]
    assert noise_of_trainings([*search, *longer], 10) == before


@given(st.floats(0.001, 0.1), st.floats(0.001, 0.1), st.sampled_from([2.0, 19.0]))
def test_a_difference_has_the_odds_of_students_t(formulas: float, luck: float, odds: float) -> None:
    noise = Noise(luck, formulas, 10, 10)
    deviation = luck * (2 * (formulas**2 + luck**2)) ** 0.5 / formulas
    ahead = t.cdf(noise.difference(odds) / deviation, 10)
    assert ahead / (1 - ahead) == pytest.approx(odds)
    assert noise.difference(1.0) == pytest.approx(0.0)


def test_odds_and_shares_are_those_of_many_draws() -> None:
    rng, formulas, luck = np.random.default_rng(0), 0.02, 0.012
    noise = Noise(luck, formulas, 10**6, 100)
    truth = formulas * rng.standard_normal((2, 400_000))
    seen = truth + luck * rng.standard_normal(truth.shape)
    apart = seen[0] - seen[1]
    near = np.abs(apart - noise.difference(2.0)) < 0.001
    assert (truth[0] > truth[1])[near].mean() == pytest.approx(2 / 3, abs=0.02)
    assert (np.abs(apart) > noise.difference(19.0)).mean() == pytest.approx(noise.separated, abs=0.005)


def test_it_says_what_a_budget_can_tell() -> None:
    luck = "luck is 0.010 (95%: 0.007 to 0.018)"
    assert str(Noise(0.01, 0.01, 9, 9)).endswith(f"this budget separates about 1 pair of formulas in 15; {luck}")
    assert str(Noise(0.01, 0.1, 9, 9)).endswith(f"this budget separates 85% of all pairs of formulas; {luck}")
    assert str(Noise(0.01, 0.0, 9, 9)) == f"9 formulas differ by no more than luck seems to; {luck}"


def test_only_trainings_of_one_length_count_the_final_round_for_itself() -> None:
    answers = [
        (Trial("none", 10, 0), Score(0.3)),
        (Trial("none", 10, 1), Score(0.2)),
        (Trial("none", 20, 2), Score(0.4)),
        (Trial("none", 10, 3, test=True), Score(0.4, 0.4)),
        (Trial("l2(global)", 10, 0), Score.failed("nonfinite", "", 1.0)),
    ]
    assert scores_of(answers, 10) == {"none": {0: 0.3, 1: 0.2}}
    assert scores_of(answers, 10, final=True) == {"none": {3: 0.4}}
