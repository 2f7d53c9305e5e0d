from __future__ import annotations

import random

import pytest
from deap import gp, tools

from detkds_gp.errors import ConfigError
from detkds_gp.language import to_text
from detkds_gp.primitives import OMNI
from detkds_gp.score import Score
from detkds_gp.screening import pass_all
from detkds_gp.search import DivideAndConquer, RandomSearch, SearchSettings, StageSettings, make_strategy, run_search

TWO = OMNI.without(*(d.name for d in OMNI.inputs if d.niche not in ("", "global", "class_logits")))
"""OMNI with two niches."""
SMALL = StageSettings(population=4, offspring=4, generations=2)
SETTINGS = SearchSettings(divide=SMALL, conquer=SMALL, champions=2)


def texts(generations):
    return [candidate.distiller.text for generation in generations for candidate in generation]


def fail(distiller):
    return Score.failed("diverged")


def test_further_generations_may_be_asked_before_the_first_is_told(analytic):
    search = DivideAndConquer(TWO, SETTINGS)
    asked = [search.ask(), search.ask()]
    assert [len(generation) for generation in asked] == [8, 8]
    assert len(set(texts(asked))) == 16
    assert [generation[0].generation for generation in asked] == [0, 1]
    for generation in asked:
        search.tell([analytic(candidate.distiller) for candidate in generation])
    assert [record["generation"] for record in search.logbook] == [0, 0, 1, 1]
    assert not search.done


def test_a_stage_is_told_to_its_end_before_the_next_one_begins(analytic):
    search, untold = DivideAndConquer(TWO, SETTINGS), []
    while candidates := search.ask():
        untold.append(candidates)
    assert {candidates[0].stage for candidates in untold} == {"divide"}
    assert len(untold) == SETTINGS.divide.generations + 1
    for candidates in untold:
        assert search.ask() == []
        search.tell([analytic(candidate.distiller) for candidate in candidates])
    assert search.ask()[0].stage == "conquer"


def test_a_wrong_number_of_scores_is_refused_and_changes_nothing(analytic):
    search = DivideAndConquer(TWO, SETTINGS)
    with pytest.raises(ConfigError, match="got 1 scores, wanted none; call ask"):
        search.tell([Score(0.1)])
    asked = search.ask()
    for count in (0, 7, 9):
        with pytest.raises(ConfigError, match=f"got {count} scores, wanted 8"):
            search.tell([Score(0.1)] * count)
    assert search.counts["generated"] == 0
    while asked:
        search.tell([analytic(candidate.distiller) for candidate in asked])
        asked = search.ask()
    assert search.done
    assert search.ask() == []
    with pytest.raises(ConfigError, match="got 0 scores, wanted none"):
        search.tell([])


@pytest.mark.parametrize("strategy", ["evolution", "belief", "regularized", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_asked_twice_and_the_counts_add_up(run, failing, strategy, seed):
    settings = SETTINGS.model_copy(update={"strategy": strategy})
    search = make_strategy(TWO, settings, seed, pass_all)
    told = 0
    while candidates := search.ask():
        assert search.counts["generated"] - search.counts["duplicates"] == told
        search.tell([failing(candidate.distiller) for candidate in candidates])
        told += len(candidates)
    again = run(make_strategy(TWO, settings, seed, pass_all), failing)
    asked = texts(again)
    assert len(asked) == len(set(asked)) == told
    scores = [failing(candidate.distiller) for generation in again for candidate in generation]
    rejected = sum(score.failure == "rejected:scale" for score in scores)
    assert search.counts == {
        "generated": search.counts["duplicates"] + told,
        "duplicates": search.counts["duplicates"],
        "rejected": rejected,
        "trained": sum(score.ok for score in scores),
        "failed": sum(not score.ok for score in scores) - rejected,
    }
    assert search.counts["duplicates"] > 0
    assert rejected > 0


def test_the_sizes_are_those_asked_for(run, analytic):
    divide = StageSettings(population=6, offspring=3, generations=2)
    conquer = StageSettings(population=5, offspring=2, generations=1)
    for strategy in (DivideAndConquer, RandomSearch):
        search = strategy(TWO, SearchSettings(divide=divide, conquer=conquer))
        generations = run(search, analytic)
        # the two single champions are known, so the first mixes are three
        assert [len(generation) for generation in generations] == [12, 6, 6, 3, 2]
        assert [(g[0].stage, g[0].generation) for g in generations] == [
            ("divide", 0), ("divide", 1), ("divide", 2), ("conquer", 0), ("conquer", 1),
        ]  # fmt: skip


def test_random_search_has_no_parents_in_the_divide_stage(run, analytic):
    generations = run(RandomSearch(TWO, SETTINGS), analytic)
    assert not any(c.parents for gen in generations for c in gen if c.stage == "divide")
    told_worse = run(RandomSearch(TWO, SETTINGS), lambda distiller: Score(1 - analytic(distiller).ap))
    divided = [texts([gen]) for gen in generations if gen[0].stage == "divide"]
    assert divided == [texts([gen]) for gen in told_worse if gen[0].stage == "divide"]


def test_parents_were_asked_before(run, analytic):
    known: set[str] = set()
    descended = 0
    for generation in run(DivideAndConquer(TWO, SETTINGS, seed=2), analytic):
        for candidate in generation:
            assert set(candidate.parents) <= known
            assert candidate.distiller.text not in candidate.parents
            descended += bool(candidate.parents)
        known |= set(texts([generation]))
    assert descended >= 16


def test_the_hall_of_fame_is_the_sorted_best_of_all_successes(run, failing):
    sizes = StageSettings(population=12, offspring=12, generations=5)
    search = DivideAndConquer(TWO, SETTINGS.model_copy(update={"divide": sizes}), seed=4)
    generations = run(search, failing)
    asked = {c.distiller.text: c.distiller for generation in generations for c in generation}
    ok = [d for d in asked.values() if failing(d).ok]
    assert len(ok) > 50
    best = sorted(((failing(d).ap, -d.cost) for d in ok), reverse=True)[:50]
    fame = search.hall_of_fame
    assert isinstance(fame, tools.HallOfFame)
    assert [(one.fitness.values[0], -one.fitness.values[1]) for one in fame] == best
    assert len({one.distiller.text for one in fame}) == len(fame) == 50
    assert search.best is fame[0]
    for one in fame:
        assert one.fitness.values == (failing(one.distiller).ap, asked[one.distiller.text].cost)


def test_the_logbook_counts_every_niche_by_itself(run, failing):
    search = DivideAndConquer(TWO, SETTINGS, seed=3)
    generations = run(search, failing)
    records = {(r["stage"], r["generation"], r["niche"]): r for r in search.logbook}
    assert isinstance(search.logbook, tools.Logbook)
    assert len(records) == len(search.logbook) == 3 * 2 + 3
    best: dict[str, float] = {}
    for generation in generations:
        for niche in dict.fromkeys(c.niche for c in generation):
            mine = [c for c in generation if c.niche == niche]
            scores = [failing(c.distiller) for c in mine]
            best[niche] = max([best.get(niche, 0), *(s.ap for s in scores if s.ok)])
            record = records[mine[0].stage, mine[0].generation, niche]
            assert record["new"] == len(mine) == record["generated"] - record["duplicates"]
            assert record["failed"] == sum(not score.ok for score in scores)
            if niche != "mix":
                assert record["best"] == best[niche]
            assert record["best"] >= record["median"] > 0
            assert record["spread"] >= 0
    for count in ("generated", "duplicates"):
        assert sum(search.logbook.select(count)) == search.counts[count]
    assert len({r["duplicates"] for r in records.values()}) > 2


def test_a_small_grammar_is_exhausted_without_an_endless_loop(run, analytic, tiny):
    settings = SearchSettings(champions=1, weight_range=(1.0, 1.0))
    search = DivideAndConquer(tiny, settings)
    generations = run(search, analytic)
    formulas = [f"1 * calibrated * l{n}({x})" for x in ("global", "class_logits") for n in (1, 2)]
    assert sorted(texts(generations[:1])) == sorted(formulas)
    assert texts(generations[1:]) == [" + ".join(search.champions[niche][0].distiller.text for niche in tiny.niches)]
    assert search.done
    assert search.counts["trained"] == 5


def test_where_everything_fails_nothing_is_conquered(run, each):
    search = DivideAndConquer(TWO, SETTINGS)
    generations = run(search, fail)
    assert [len(generation) for generation in generations] == [8, 8, 8]
    assert {c.stage for generation in generations for c in generation} == {"divide"}
    assert search.best is None
    assert list(search.hall_of_fame) == []
    assert search.champions == {}
    assert search.counts["failed"] == 24
    assert all("best" not in record for record in search.logbook)
    assert run_search(DivideAndConquer(TWO, SETTINGS), each(fail)) is None


def test_failures_reach_no_selection_archive_or_statistic(failing, each):
    seen = []

    def watched(stage, toolbox):
        for name in ("select", "survive"):
            original = getattr(toolbox, name)
            toolbox.register(name, lambda crowd, k, f=original: seen.extend(crowd) or f(crowd, k))

    search = DivideAndConquer(TWO, SETTINGS, seed=6, operators=watched)
    best = run_search(search, each(failing))
    assert search.counts["failed"] > 0
    assert len(seen) > 100
    assert all(one.fitness.valid for one in [*seen, *search.hall_of_fame])
    assert best is search.hall_of_fame[0]


def test_a_deap_user_registers_operators_of_their_own(run, analytic):
    def own(stage, toolbox):
        toolbox.register("select", tools.selRoulette)
        if stage == "divide":
            toolbox.register("mutate", gp.mutShrink)
            toolbox.register("mate", gp.cxOnePointLeafBiased, termpb=0.1)
        else:
            toolbox.register("mutate", tools.mutShuffleIndexes, indpb=0.0)

    sequences = []
    for disturbance in (1, 2):
        random.seed(disturbance)
        state = random.getstate()
        sequences.append(run(DivideAndConquer(TWO, SETTINGS, seed=7, operators=own), analytic))
        unchanged = random.getstate() == state  # pytest would diff 625 numbers for minutes
        assert unchanged
    assert sequences[0] == sequences[1]
    assert texts(sequences[0]) != texts(run(DivideAndConquer(TWO, SETTINGS, seed=7), analytic))
    unmated = SETTINGS.model_copy(update={"crossover": 0.0})
    shrunk = run(DivideAndConquer(TWO, unmated, seed=7, operators=own), analytic)
    bred = [c for generation in shrunk[1:3] for c in generation if len(c.parents) == 1]
    assert bred
    for candidate in bred:
        assert len(candidate.distiller.text) < len(candidate.parents[0])


def test_best_is_what_run_search_returns(analytic, each):
    search = DivideAndConquer(TWO, SETTINGS, seed=8)
    best = run_search(search, each(analytic))
    assert best is search.best
    assert analytic(best.distiller).ap == best.fitness.values[0]
    assert all(to_text(one) in one.distiller.text for one in search.champions["global"])
