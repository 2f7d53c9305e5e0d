from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.search import DivideAndConquer, SearchSettings, StageSettings

SIZES = StageSettings(population=5, offspring=5, generations=3)
SETTINGS = SearchSettings(divide=SIZES, conquer=SIZES)
SETS = pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=["OMNI", "DETKDS"])

PROGRAM = """
import hashlib
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.score import Score
from detkds_gp.search import DivideAndConquer, SearchSettings, StageSettings

def score(distiller):
    return Score(int(hashlib.sha256(distiller.text.encode()).hexdigest()[:6], 16) / 16**6)

sizes = StageSettings(population=6, offspring=6, generations=10)
for primitive_set in (OMNI, DETKDS):
    search = DivideAndConquer(primitive_set, SearchSettings(divide=sizes), seed=11)
    seen, generations = hashlib.sha256(), 0
    while candidates := search.ask():
        generations += 1
        for c in candidates:
            key = (c.stage, c.niche, c.generation, c.distiller.text, c.parents)
            seen.update(repr(key).encode())
        search.tell([score(c.distiller) for c in candidates])
    print(generations, seen.hexdigest(), search.best.distiller.text)
"""


@pytest.mark.slow
def test_three_processes_with_different_hash_seeds_vary_alike():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "31337", "random")
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    assert len(set(outputs)) == 1
    omni, detkds = outputs[0].splitlines()
    assert omni.startswith("14 ")
    assert detkds.startswith("14 ")
    assert omni != detkds


@SETS
def test_other_seeds_and_other_scores_give_other_searches(run, analytic, primitive_set):
    first = run(DivideAndConquer(primitive_set, SETTINGS, seed=0), analytic)
    assert first == run(DivideAndConquer(primitive_set, SETTINGS, seed=0), analytic)
    other = run(DivideAndConquer(primitive_set, SETTINGS, seed=1), analytic)
    assert first[0] != other[0]

    def reversed_order(distiller):
        score = analytic(distiller)
        return type(score)(1 - score.ap)

    disliked = run(DivideAndConquer(primitive_set, SETTINGS, seed=0), reversed_order)
    assert first[0] == disliked[0]
    assert first[1] != disliked[1]


@SETS
def test_the_order_of_computation_does_not_matter(run, failing, primitive_set):
    shuffle = random.Random(3)
    search = DivideAndConquer(primitive_set, SETTINGS, seed=2)
    generations = []
    while candidates := search.ask():
        generations.append(candidates)
        jobs = list(enumerate(candidates))
        shuffle.shuffle(jobs)
        answers = {index: failing(candidate.distiller) for index, candidate in jobs}
        search.tell([answers[index] for index in range(len(candidates))])
    assert generations == run(DivideAndConquer(primitive_set, SETTINGS, seed=2), failing)


@SETS
def test_a_search_killed_after_any_generation_continues_by_replay(run, failing, primitive_set):
    whole = DivideAndConquer(primitive_set, SETTINGS, seed=4)
    generations = run(whole, failing)
    for killed_after in range(len(generations)):
        store, search = {}, DivideAndConquer(primitive_set, SETTINGS, seed=4)
        for _ in range(killed_after):
            asked = [candidate.distiller for candidate in search.ask()]
            store.update({distiller.text: failing(distiller) for distiller in asked})
            search.tell([store[distiller.text] for distiller in asked])
        computed = []

        def recalled(distiller, store=store, computed=computed):
            if distiller.text not in store:
                computed.append(distiller.text)
                store[distiller.text] = failing(distiller)
            return store[distiller.text]

        again = DivideAndConquer(primitive_set, SETTINGS, seed=4)
        assert run(again, recalled) == generations
        missing = [c.distiller.text for later in generations[killed_after:] for c in later]
        assert computed == missing
        assert list(again.logbook) == list(whole.logbook)
        assert again.best.distiller == whole.best.distiller


def test_a_search_leaves_the_global_generator_alone(run, analytic):
    random.seed(5)
    state = random.getstate()
    first = run(DivideAndConquer(OMNI, SETTINGS, seed=6), analytic)
    unchanged = random.getstate() == state  # pytest would diff 625 numbers for minutes
    assert unchanged
    random.seed(99)
    assert run(DivideAndConquer(OMNI, SETTINGS, seed=6), analytic) == first
