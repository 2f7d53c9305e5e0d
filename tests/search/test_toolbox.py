from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from deap import base, tools

from detkds_gp.search import Fitness, SeededToolbox, select_divide_and_conquer


@dataclass(eq=False)
class Plain:
    """What a DEAP user may bring: anything with a fitness and a niche."""

    niche: str
    ap: float | None = None
    cost: float = 1.0
    fitness: Fitness = field(default_factory=Fitness)

    def __post_init__(self) -> None:
        if self.ap is not None:
            self.fitness.values = (self.ap, self.cost)


@pytest.fixture
def toolbox() -> base.Toolbox:
    plain = base.Toolbox()
    plain.register("select", select_divide_and_conquer, tournsize=2)
    plain.register("survive", select_divide_and_conquer, select=tools.selBest)
    return plain


@pytest.fixture
def crowd() -> list[Plain]:
    """Niche a is better than b throughout, c holds only failures."""
    a = [Plain("a", 0.5 + i / 100) for i in range(10)]
    b = [Plain("b", i / 100) for i in range(10)]
    return [*a, *b, *(Plain("c") for _ in range(5)), Plain("a"), Plain("b")]


def test_a_plain_toolbox_selects_each_niche_by_its_share(toolbox, crowd):
    for k, shares in ((8, {"a": 4, "b": 4}), (7, {"a": 4, "b": 3}), (1, {"a": 1}), (0, {})):
        for operator in (toolbox.select, toolbox.survive):
            assert Counter(one.niche for one in operator(crowd, k)) == shares


def test_survivors_are_the_best_of_each_niche(toolbox, crowd):
    assert [one.ap for one in toolbox.survive(crowd, 4)] == [0.59, 0.58, 0.09, 0.08]


def test_fewer_operations_decide_between_equals(toolbox):
    crowd = [Plain("a", 0.5, cost=cost) for cost in (3.0, 1.0, 2.0)]
    assert [one.cost for one in toolbox.survive(crowd, 2)] == [1.0, 2.0]


def test_what_has_no_fitness_is_never_selected(toolbox, crowd):
    for seed in range(50):
        random.seed(seed)
        assert all(one.fitness.valid for one in toolbox.select(crowd, 12))
    assert toolbox.select([Plain("a"), Plain("b")], 4) == []
    assert toolbox.survive([], 4) == []


@pytest.mark.parametrize("survive", [tools.selBest, tools.selNSGA2])
def test_a_niche_with_fewer_than_its_share_gives_all_it_has(survive):
    crowd = [Plain("a", 0.1, 2.0), Plain("b", 0.2), Plain("b", 0.3)]
    chosen = select_divide_and_conquer(crowd, 6, select=survive)
    assert sorted(one.ap for one in chosen) == [0.1, 0.2, 0.3]


def test_tournaments_prefer_the_better_within_a_niche(toolbox, crowd):
    random.seed(0)
    counts = Counter(one.ap for _ in range(400) for one in toolbox.select(crowd, 2))
    # with two contestants of n = 10 the best wins 19 %, the worst 1 % of the tournaments
    assert 0.13 < counts[0.59] / 400 < 0.25
    assert counts[0.5] / 400 < 0.04


def test_an_operator_that_draws_from_global_random_is_repeatable():
    def draw(times: int) -> list[float]:
        return [random.random() for _ in range(times)]

    outcomes = []
    for disturbance in (1, 2):
        random.seed(disturbance)
        state = random.getstate()
        toolbox = SeededToolbox(random.Random(5))
        toolbox.register("draw", draw, 3)
        outcomes.append([toolbox.draw(), toolbox.draw()])
        unchanged = random.getstate() == state  # pytest would diff 625 numbers for minutes
        assert unchanged
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] != outcomes[0][1]


def test_the_global_state_is_restored_when_an_operator_raises():
    def fail() -> None:
        random.random()
        raise KeyError

    toolbox = SeededToolbox(random.Random(5))
    toolbox.register("fail", fail)
    state = random.getstate()
    with pytest.raises(KeyError):
        toolbox.fail()
    unchanged = random.getstate() == state  # pytest would diff 625 numbers for minutes
    assert unchanged


def test_it_is_a_deap_toolbox():
    def shout(text: str, mark: str = "!") -> str:
        """Shout."""
        return text + mark

    def twice(function):
        return lambda *args, **named: function(*args, **named) * 2

    toolbox = SeededToolbox(random.Random(0))
    toolbox.register("shout", shout, mark="?")
    assert (toolbox.shout("a"), toolbox.shout.__name__, toolbox.shout.__doc__) == (
        "a?", "shout", "Shout.",
    )  # fmt: skip
    toolbox.decorate("shout", twice)
    assert toolbox.shout("a") == "a?a?"
    assert toolbox.clone([1]) == [1]
    assert list(toolbox.map(str, [1])) == ["1"]
    toolbox.unregister("shout")
    assert not hasattr(toolbox, "shout")
