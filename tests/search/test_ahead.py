"""Searches that ask further generations before the first is told."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from detkds_gp.primitives import OMNI
from detkds_gp.score import Score
from detkds_gp.screening import pass_all
from detkds_gp.search import Candidate, Observer, SearchSettings, StageSettings, make_strategy, run_search
from detkds_gp.turns import Turns, finished

SETTINGS = SearchSettings(
    divide=StageSettings(population=3, offspring=3, generations=3),
    conquer=StageSettings(population=3, offspring=3, generations=2),
    champions=2,
    max_depth=4,
)
SET = OMNI.without(*(d.name for d in OMNI.inputs if d.niche not in ("global", "class_logits")))
STRATEGIES = ("evolution", "belief", "regularized", "random")


class Order(Observer):
    """Notes what is asked and told, and when."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int]] = []
        self.texts: list[str] = []

    def asked(self, candidates: Sequence[Candidate]) -> None:
        self.seen.append(("asked", candidates[0].stage, candidates[0].generation))
        self.texts += [candidate.distiller.text for candidate in candidates]

    def told(self, strategy: object, candidates: Sequence[Candidate], records: object) -> None:
        self.seen.append(("told", candidates[0].stage, candidates[0].generation))


def slowly(score: Callable[..., Score], seed: int) -> Callable[[Sequence[Candidate]], Turns[list[Score]]]:
    """Score generations after any number of turns each."""
    rng = random.Random(seed)

    def scoring(candidates: Sequence[Candidate]) -> Turns[list[Score]]:
        for _ in range(rng.randrange(6)):
            yield lambda: None
        return [score(candidate.distiller) for candidate in candidates]

    return scoring


def searched(strategy: str, score: Callable[..., Score], ahead: int, seed: int) -> Order:
    order, search = Order(), make_strategy(SET, SETTINGS.model_copy(update={"strategy": strategy}), 1, pass_all)
    run_search(search, slowly(score, seed), order, ahead)
    asked = {place for what, *place in map(list, order.seen) if what == "asked" for place in [tuple(place)]}
    assert asked == {tuple(place) for what, *place in order.seen if what == "told"}
    assert search.counts["generated"] - search.counts["duplicates"] == len(order.texts) == len(set(order.texts))
    return order


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_what_is_asked_depends_on_no_ones_pace(strategy, ahead, failing):
    first = searched(strategy, failing, ahead, seed=0)
    assert all(searched(strategy, failing, ahead, seed).texts == first.texts for seed in range(1, 4))


def test_a_generation_is_asked_while_the_one_before_it_is_at_work(analytic):
    assert searched("evolution", analytic, 1, 0).seen == [
        ("asked", "divide", 0), ("asked", "divide", 1), ("told", "divide", 0),
        ("asked", "divide", 2), ("told", "divide", 1), ("asked", "divide", 3), ("told", "divide", 2),
        ("told", "divide", 3),  # mixes are made of what the whole stage has found
        ("asked", "conquer", 0), ("asked", "conquer", 1), ("told", "conquer", 0),
        ("asked", "conquer", 2), ("told", "conquer", 1), ("told", "conquer", 2),
    ]  # fmt: skip


def test_a_generation_learns_from_the_one_before_the_last(analytic):
    def disliking(text):
        return lambda distiller: Score(0.0) if distiller.text == text else analytic(distiller)

    plain = searched("evolution", analytic, 1, 0).texts
    size = 3 * len(SET.niches)
    best = max(plain[:size], key=lambda text: analytic(next(d for d in distillers(plain[:size]) if d.text == text)).ap)
    other = searched("evolution", disliking(best), 1, 0).texts
    assert other[: 2 * size] == plain[: 2 * size]
    assert other[2 * size :] != plain[2 * size :]


def distillers(texts):
    from detkds_gp.language import parse_distiller

    return [parse_distiller(text, SET) for text in texts]


@pytest.mark.parametrize("ahead", [0, 1])
def test_generations_in_which_nobody_is_trained_are_told_of(ahead, tiny, analytic):
    class Told(Observer):
        generated = 0

        def told(self, strategy, candidates, records):
            self.generated += sum(record["generated"] for record in records)

    settings = SETTINGS.model_copy(update={"weight_range": (1.0, 1.0)})
    told, search = Told(), make_strategy(tiny, settings, 0, pass_all)
    run_search(search, lambda asked: [analytic(one.distiller) for one in asked], told, ahead)
    empty = [record for record in search.logbook if not record["new"]]
    assert len(empty) >= 2
    assert told.generated == search.counts["generated"] == sum(record["generated"] for record in search.logbook)


def test_a_fault_closes_what_is_at_work(analytic):
    closed = []

    def scoring(candidates):
        try:
            yield lambda: None
            if candidates[0].generation == 0:
                raise RuntimeError("broken")
            while True:
                yield lambda: None
        finally:
            closed.append(candidates[0].generation)

    with pytest.raises(RuntimeError, match="broken"):
        run_search(make_strategy(SET, SETTINGS, 1, pass_all), scoring, ahead=1)
    assert sorted(closed) == [0, 1]


def test_a_computation_is_finished_by_waiting_where_it_waits():
    waited = []

    def counting() -> Turns[int]:
        for number in range(3):
            yield lambda number=number: waited.append(number)
        return 7

    assert finished(counting()) == 7
    assert waited == [0, 1, 2]
