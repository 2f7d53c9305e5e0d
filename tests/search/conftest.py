from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log10

import pytest

from detkds_gp.language import Distiller, PrimitiveSet, parse_distiller
from detkds_gp.primitives import distances, inputs
from detkds_gp.score import Score
from detkds_gp.search import Candidate, DivideAndConquer

Evaluate = Callable[[Distiller], Score]

BLOCKS = ("kl(softmax_", "spatial_attention(", "unit_channel(", "l2(", "standardize_row(")
PAIRS = ((0, 1), (2, 3), (1, 2), (3, 4))


def analytic(distiller: Distiller) -> Score:
    """Reward known blocks, more where they meet, less for every operation; best at weight 5."""
    ap = 0.1
    for term in distiller.terms:
        has = [block in term.formula for block in BLOCKS]
        gain = 0.02 * sum(has) + 0.06 * sum(has[i] and has[j] for i, j in PAIRS)
        ap += gain * (1 - 0.2 * abs(log10(term.weight / 5)))
    return Score(ap - 0.001 * distiller.cost)


def failing(distiller: Distiller) -> Score:
    """Give half of all formulas a named failure, by a rule that reads the text alone."""
    kinds = ("nonfinite", "rejected:scale", "timeout", None, None, None)
    failure = kinds[sum(map(ord, distiller.text)) % len(kinds)]
    return Score.failed(failure) if failure else analytic(distiller)


def given(texts: Iterable[str], primitive_set: PrimitiveSet) -> list[Distiller]:
    """Read formulas that a search starts with."""
    return [parse_distiller(text, primitive_set, bare=None) for text in texts]


def each(evaluate: Evaluate) -> Callable[[Sequence[Candidate]], list[Score]]:
    """Score candidates one by one, as `run_search` asks for it."""
    return lambda candidates: [evaluate(candidate.distiller) for candidate in candidates]


def run(search: DivideAndConquer, evaluate: Evaluate) -> list[list[Candidate]]:
    """Run a search to its end; returns all generations asked."""
    generations = []
    while candidates := search.ask():
        generations.append(candidates)
        search.tell([evaluate(candidate.distiller) for candidate in candidates])
    return generations


@pytest.fixture(name="analytic", scope="session")
def _analytic() -> Evaluate:
    return analytic


@pytest.fixture(name="failing", scope="session")
def _failing() -> Evaluate:
    return failing


@pytest.fixture(name="run", scope="session")
def _run() -> Callable[[DivideAndConquer, Evaluate], list[list[Candidate]]]:
    return run


@pytest.fixture(name="given", scope="session")
def _given() -> Callable[[Iterable[str], PrimitiveSet], list[Distiller]]:
    return given


@pytest.fixture(name="each", scope="session")
def _each() -> Callable[[Evaluate], Callable[[Sequence[Candidate]], list[Score]]]:
    return each


@pytest.fixture(scope="session")
def tiny() -> PrimitiveSet:
    """Two niches with two formulas each."""
    return PrimitiveSet("TINY", [inputs.global_, inputs.class_logits, distances.l1, distances.l2])
