"""What fits into a budget, against a search through all that could be planned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detkds_gp.final_round import FinalRound
from detkds_gp.score import MIX
from detkds_gp.search import Generation
from detkds_gp.steering.plan import FinalStages, Limits, Plan, fitted, least

FINAL = FinalRound(seeds=(11, 12, 13, 14), iterations=100, places=7)


class Trainings:
    """Every training costs 1."""

    def generation(self, groups: int, size: int, careful: bool = True) -> float:
        return float(groups * size)

    def tuning(self, rivals: int, each: int, careful: bool = True) -> float:
        return float(rivals * each)

    def final(self, places: int, seeds: int, careful: bool = True) -> float:
        return float(places * seeds)


FINAL_STAGES = FinalStages(niches=3, final=FINAL, rivals=4, share=0.4)


def planned(divide: tuple[int, int, int] = (8, 6, 4), conquer: tuple[int, int, int] = (8, 6, 2)) -> list[Generation]:
    """Two stages of (population, offspring, generations)."""
    return [
        Generation(stage, number, niches, offspring if number else population, needed=number == 0)
        for stage, niches, (population, offspring, count) in (
            ("divide", ("a", "b", "c"), divide),
            ("conquer", (MIX,), conquer),
        )
        for number in range(count + 1)
    ]


def cost(plan: Plan) -> int:
    search = sum((3 if one.stage == "divide" else 1) * one.size for one in plan.generations)
    return search + 4 * plan.tuning + plan.places * plan.seeds


FULL = 3 * (8 + 4 * 6) + 8 + 2 * 6 + 7 * 4
LEAST = 3 * 2 + 2 + 3 * 4


@pytest.mark.parametrize("room", range(LEAST, FULL + 20, 7))
def test_both_stages_and_a_final_round_fit_into_every_room_that_holds_the_least(room: int) -> None:
    plan = fitted(FINAL_STAGES, planned(), Limits(0.4 * room, room), Trainings())
    assert plan is not None
    assert cost(plan) <= room
    assert {one.stage for one in plan.generations} == {"divide", "conquer"}
    assert [one.number for one in plan.generations if one.stage == "divide"] == list(
        range(sum(one.stage == "divide" for one in plan.generations))
    )
    assert plan.places >= 3
    assert plan.seeds == 4
    assert all(one.size >= 2 for one in plan.generations)


def test_nothing_is_cut_of_what_fits_and_generations_go_after_sizes() -> None:
    whole = planned()
    assert fitted(FINAL_STAGES, whole, Limits(0.4 * FULL, FULL), Trainings()) == FINAL_STAGES.full(whole)
    numbers = []
    for room in range(FULL, LEAST - 1, -1):
        plan = fitted(FINAL_STAGES, whole, Limits(0.4 * room, room), Trainings())
        assert plan is not None
        numbers.append(len(plan.generations))
        if len(plan.generations) < 8:
            assert {one.size for one in plan.generations} == {2}
    assert numbers == sorted(numbers, reverse=True)
    assert (numbers[0], numbers[-1]) == (8, 2)


@pytest.mark.parametrize("room", range(60, FULL + 12 * 4, 11))
def test_the_tuning_of_rivals_leaves_the_search_its_part(room: int) -> None:
    """A larger search means fairer rivals, but these may not crowd it out again."""
    plan = fitted(replace(FINAL_STAGES, tuning=12), planned(), Limits(0.4 * room, room), Trainings())
    assert plan is not None
    judging = 4 * plan.tuning + plan.places * plan.seeds
    search = sum(len(one.niches) * one.size for one in plan.generations)
    assert judging <= max(0.4 * room, 3 * 4)
    assert plan.tuning == 0 or plan.tuning >= 3
    step = sum(len(one.niches) for one in planned())  # all generations larger by one
    assert search + judging > room - 2 * step or search == FULL - 7 * 4


def test_less_than_the_least_is_no_plan() -> None:
    assert fitted(FINAL_STAGES, planned(), Limits(0.4 * (LEAST - 1), LEAST - 1), Trainings()) is None


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(0, 3), st.integers(-1, 4), st.integers(0, 200)
)
def test_a_plan_within_the_search_keeps_its_room(
    population: int, offspring: int, divide: int, conquer: int, number: int, room: int
) -> None:
    whole = planned((population, offspring, divide), (population, offspring, conquer))
    places = [(one.stage, one.number) for one in whole]
    for stage, at in (("divide", min(number, divide)), ("conquer", max(0, min(number, conquer)))):
        ahead = whole[places.index((stage, at)) + 1 :] if at >= 0 else whole
        plan = fitted(FINAL_STAGES, ahead, Limits(80, room), Trainings())
        if plan is None:
            assert cost(Plan(tuple(least(ahead)), 0, 3, 4)) > room
            continue
        assert cost(plan) <= room
        numbers = [(one.stage, one.number) for one in plan.generations]
        assert len(set(numbers)) == len(numbers)
        assert all(one.size <= whole[places.index((one.stage, one.number))].size for one in plan.generations)
        assert all(after > at for name, after in numbers if name == stage)
