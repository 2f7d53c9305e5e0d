from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detkds_gp.final_round import kept, plan_race
from detkds_gp.results import Finalist

from ..scripts import benchmark

final_round = benchmark("final_round")


@given(st.integers(1, 40), st.lists(st.integers(0, 2000), min_size=2, max_size=9, unique=True))
def test_a_race_takes_no_more_trainings_and_leaves_no_fewer_seeds(places: int, seeds: list[int]) -> None:
    used = [0, 1, 2001]
    race = plan_race(places, seeds, used)
    if race is None:
        return
    alone = len(race.judging) - len(seeds)
    assert sum(race.sizes) + 2 * len(race.judging) + alone <= places * len(seeds)
    assert race.judging[: len(seeds)] == tuple(seeds)
    assert alone >= 1
    fresh = [*race.seeds, *race.judging[len(seeds) :]]
    assert len({*fresh, *seeds, *used}) == len(fresh) + len({*seeds, *used})
    rounds = list(race.rounds)
    assert [seed for seed, _, _ in rounds] == list(race.seeds)
    assert [size for _, size, _ in rounds] == list(race.sizes)
    assert [stay for _, _, stay in rounds] == [*race.sizes[1:], 2]


def test_few_finalists_do_not_race_and_many_are_halved() -> None:
    assert plan_race(7, (1, 2, 3, 4)) is None
    race = plan_race(13, (1, 2, 3, 4), used=(0, 6))
    assert (race.sizes, race.seeds, race.judging) == ((13, 13, 7, 4), (7, 8, 9, 10), (1, 2, 3, 4, 11, 12))
    assert str(race) == "13 on 2, 7 on 1, 4 on 1 seeds; who wins is judged on 6 others"


def test_the_best_stay_and_of_either_side_the_best_in_any_case() -> None:
    found = [Finalist(text, "contender") for text in "abcd"]
    rivals = [Finalist(text, text, "paper's weight") for text in "XY"]
    aps = {"a": [0.3, 0.3], "b": [0.4, 0.4], "c": [0.5, 0.3], "d": [0.9, None], "X": [0.1, 0.1], "Y": [0.1, 0.2]}
    everyone = [*found, *rivals]
    assert [one.text for one in kept(everyone, aps, 4)] == ["b", "c", "a", "Y"]  # equals in the order invited
    assert [one.text for one in kept(everyone, aps, 2)] == ["b", "Y"]
    assert [one.text for one in kept(found, aps, 2)] == ["b", "c"]
    assert [one.text for one in kept(everyone, dict.fromkeys(aps, ()), 2)] == ["a", "X"]  # nothing is known


@pytest.mark.parametrize("kind", ["equal", "spread"])
def test_a_reported_interval_holds_as_often_as_it_says(kind: str) -> None:
    told = final_round.simulate(kind, 13, 700, final_round.Noise(0.006, 0.7))
    plain, race = told["plain"], told["race"]
    assert race["coverage"] == pytest.approx(0.95, abs=0.025)
    assert race["half_width"] < 0.8 * plain["half_width"]
    if kind == "equal":  # nobody gains: an interval above 0 is an error, 1 in 40
        assert race["better"] < 0.045 < plain["better"]
    else:
        assert race["better"] > plain["better"]
        assert race["regret"] < plain["regret"] + 0.0002
