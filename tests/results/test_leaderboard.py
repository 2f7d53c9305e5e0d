"""Who leads, who is the best of a knowledge, who wins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from detkds_gp.results import Expected
from detkds_gp.results.leaderboard import champions, ranked, winner
from detkds_gp.score import MIX, Score
from detkds_gp.store import Birth


@dataclass(frozen=True)
class One:
    birth: Birth
    ap: float | None
    operations: int = 1
    terms: int = 1
    expected: Expected | None = None


def one(name: str, ap: float | None, **values: int) -> One:
    return One(Birth(name, "divide", name[0], 0, ()), ap, **values)


def mix(name: str, ap: float) -> One:
    return One(Birth(name, "conquer", MIX, 0, ()), ap)


def names(found: list[One]) -> list[str]:
    return [each.birth.text for each in found]


def test_the_higher_ap_leads_then_the_cheaper_then_the_older() -> None:
    found = [one("a", 0.1), one("b", 0.2, operations=3), one("c", 0.2, operations=2), one("d", None), one("e", 0.1)]
    assert names(ranked(found)) == ["c", "b", "a", "e"]


def test_what_a_search_expects_leads_in_place_of_luck() -> None:
    lucky, sound, unknown = one("a", 0.3), one("b", 0.2), one("c", 0.9)
    found = [replace(lucky, expected=Expected(0.18, 0.01)), replace(sound, expected=Expected(0.21, 0.01)), unknown]
    assert names(ranked(found)) == ["b", "a", "c"]


def test_a_champion_is_one_tree_of_its_own_knowledge() -> None:
    mixed, bred, first, second = one("g1", 0.9, terms=2), mix("g2", 0.8), one("g3", 0.5), one("g4", 0.4)
    assert champions([mixed, bred, first, second, one("h", 0.1)]) == {"g": first, "h": one("h", 0.1)}


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ({"a": (Score(0.1), Score(0.3)), "b": (Score(0.25), Score(0.2))}, "b"),
        ({"a": (Score(0.1), Score(0.3)), "b": (Score(0.9), Score.failed("diverged"))}, "a"),
        ({"a": (Score(0.1), Score(0.3)), "b": (Score(0.9), None)}, None),
        ({"a": (Score(0.2), Score(0.2)), "b": (Score(0.1), Score(0.3))}, "a"),
        ({"a": (Score.failed("diverged"), Score(0.3))}, None),
        ({}, None),
    ],
)
def test_the_highest_mean_wins_once_everyone_is_judged(scores, wanted: str | None) -> None:
    assert winner(scores) == wanted
