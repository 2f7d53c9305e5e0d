"""What fits into a budget, against a search through all that could be planned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detkds_gp.experiment.final_round import FinalRound
from detkds_gp.experiment.steering.decisions import FIRST
from detkds_gp.experiment.steering.plan import Means, Outlook, Plan, fitted
from detkds_gp.search import SearchSettings, StageSettings

FINAL = FinalRound(seeds=(11, 12, 13, 14), iterations=100, places=7)


class Trainings:
    """Every training costs 1."""

    def generation(self, groups: int, size: int, careful: bool = True) -> float:
        return float(groups * size)

    def tuning(self, rivals: int, each: int, careful: bool = True) -> float:
        return float(rivals * each)

    def final(self, places: int, seeds: int, careful: bool = True) -> float:
        return float(places * seeds)


def outlook(divide: tuple[int, int, int] = (8, 6, 4), conquer: tuple[int, int, int] = (8, 6, 2)) -> Outlook:
    stages = [StageSettings(population=p, offspring=o, generations=g) for p, o, g in (divide, conquer)]
    return Outlook(SearchSettings(divide=stages[0], conquer=stages[1]), niches=3, final=FINAL, rivals=4, share=0.4)


def cost(plan: Plan) -> int:
    search = sum((3 if one.stage == "divide" else 1) * one.most for one in plan.generations)
    return search + 4 * plan.tuning + plan.places * plan.seeds


FULL = 3 * (8 + 4 * 6) + 8 + 2 * 6 + 7 * 4
LEAST = 3 * 2 + 2 + 3 * 4


@pytest.mark.parametrize("room", range(LEAST, FULL + 20, 7))
def test_both_stages_and_a_final_round_fit_into_every_room_that_holds_the_least(room: int) -> None:
    plan = fitted(outlook(), "divide", FIRST, Means(room, room), Trainings())
    assert plan is not None
    assert cost(plan) <= room
    assert {one.stage for one in plan.generations} == {"divide", "conquer"}
    assert [one.number for one in plan.generations if one.stage == "divide"] == list(
        range(sum(one.stage == "divide" for one in plan.generations))
    )
    assert plan.places >= 3
    assert plan.seeds == 4
    assert all(one.most >= 2 for one in plan.generations)


def test_nothing_is_cut_of_what_fits_and_generations_go_after_sizes() -> None:
    whole = outlook()
    assert fitted(whole, "divide", FIRST, Means(FULL, FULL), Trainings()) == whole.full("divide", FIRST)
    numbers = []
    for room in range(FULL, LEAST - 1, -1):
        plan = fitted(whole, "divide", FIRST, Means(room, room), Trainings())
        assert plan is not None
        numbers.append(len(plan.generations))
        if len(plan.generations) < 8:
            assert {one.most for one in plan.generations} == {2}
    assert numbers == sorted(numbers, reverse=True)
    assert (numbers[0], numbers[-1]) == (8, 2)


def test_less_than_the_least_is_no_plan() -> None:
    assert fitted(outlook(), "divide", FIRST, Means(LEAST - 1, LEAST - 1), Trainings()) is None


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(0, 3), st.integers(-1, 4), st.integers(0, 200)
)
def test_a_plan_within_the_search_keeps_its_room(
    population: int, offspring: int, divide: int, conquer: int, number: int, room: int
) -> None:
    sizes = outlook((population, offspring, divide), (population, offspring, conquer))
    for stage, at in (("divide", min(number, divide)), ("conquer", max(0, min(number, conquer)))):
        plan = fitted(sizes, stage, at, Means(200, room), Trainings())
        if plan is None:
            least = sizes.least(stage, at)
            assert cost(Plan(tuple(least), 0, 3, 4)) > room
            continue
        assert cost(plan) <= room
        numbers = [(one.stage, one.number) for one in plan.generations]
        assert len(set(numbers)) == len(numbers)
        assert all(one.most <= sizes.size(one.stage, one.number) for one in plan.generations)
        assert all(after > at for name, after in numbers if name == stage)
