import math
import sqlite3
import tempfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detkds_gp.errors import StoreError
from detkds_gp.score import FAILURES, Details, Scale, Score, Trial
from detkds_gp.store import Birth, Event, Generation, Merge, Store, events

TRIAL = Trial("1 * 0.5 * l2(global)", 100, 0)
texts = st.text(max_size=40)
seconds = st.floats(0, 1e6)
aps = st.floats(0, 1)
trials = st.builds(Trial, texts, st.integers(0, 10**6), st.integers(0, 2**63 - 1), st.booleans())
failures = st.sampled_from([f for f in FAILURES if f != "rejected"]) | st.just("rejected:zero")
scores = st.builds(Score, aps, st.none() | aps, st.none(), texts, wall_seconds=seconds) | st.builds(
    Score.failed, failures, texts, seconds
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(trials, st.tuples(scores, texts), max_size=6))
def test_scores_survive_closing(answers):
    with tempfile.TemporaryDirectory() as work_dir:
        before = time.time()
        with Store.open(work_dir) as store:
            for trial, (score, resolved) in answers.items():
                assert store.score(trial) is None
                store.record_score(trial, score, resolved)
        with Store.open(work_dir, readonly=True) as store:
            assert {t: store.score(t) for t in answers} == {t: s for t, (s, _) in answers.items()}
            records = store.scores()
    assert [(r.trial, (r.score, r.resolved)) for r in records] == list(answers.items())
    assert all(before <= r.finished_at <= time.time() for r in records)


def test_details_are_told_once_and_survive_closing(tmp_path):
    found = (((0, 0, 4, 4, 0.5, 1),), ())
    details = Details({"ap50": 0.5, "large": None}, {"a": 0.25}, ((2, 1.5, 0.5),), ((2, 0.1),), found)
    score = Score(0.25, 0.5, details=details)
    with Store.open(tmp_path) as store:
        for _ in range(2):
            store.record_score(TRIAL, score)
        assert store.score(TRIAL).details is None
    with Store.open(tmp_path, readonly=True) as store:
        assert len(store.events()) == 1
        assert events.details(store.events()) == {TRIAL: details}


def test_each_part_of_a_trial_matters(tmp_path):
    others = [
        Trial("none", TRIAL.iterations, TRIAL.seed),
        Trial(TRIAL.distiller, 101, TRIAL.seed),
        Trial(TRIAL.distiller, TRIAL.iterations, 1),
        Trial(TRIAL.distiller, TRIAL.iterations, TRIAL.seed, test=True),
    ]
    with Store.open(tmp_path) as store:
        store.record_score(TRIAL, Score(0.25))
        assert [store.score(t) for t in others] == [None] * 4


def test_the_other_records_survive_closing(tmp_path):
    scales = {"l2(global)": Scale(0.037, wall_seconds=2.5), "l1(global)": Scale(None, "nonfinite")}
    with Store.open(tmp_path) as store:
        assert store.fingerprint() is None
        store.begin({"search": {"seed": 1, "niches": ("global",)}})
        for tree, scale in scales.items():
            store.record_scale(tree, scale)
        store.record_birth("b", "conquer", "all", 2, ["a", "none"])
        store.record_birth("a", "divide", "global", 0, [])
        store.record_merge("c", "a")
        store.record_generation("divide", 0, {"born": 2}, {"ap": {"mean": 0.1, "best": None}})
        store.record_event("started", workers=2)
        store.record_event("finished")
    with Store.open(tmp_path, readonly=True) as store:
        assert store.fingerprint() == {"search": {"seed": 1, "niches": ["global"]}}
        assert {tree: store.scale(tree) for tree in scales} == scales
        assert {r.tree: r.scale for r in store.scales()} == scales
        assert store.scale("kl(x)") is None
        assert store.births() == [
            Birth("b", "conquer", "all", 2, ("a", "none")),
            Birth("a", "divide", "global", 0, ()),
        ]
        assert (store.merge("c"), store.merge("a")) == ("a", None)
        assert store.merges() == [Merge("c", "a")]
        assert store.generations() == [Generation("divide", 0, {"born": 2}, {"ap": {"mean": 0.1, "best": None}})]
        started, finished = store.events()
        assert started == Event(started.time, "started", {"workers": 2})
        assert store.events("finished") == [finished]
        assert started.time <= finished.time <= time.time()


def replay(store: Store, ap: float = 0.25, number: int = 0) -> None:
    store.begin({"seed": 1})
    store.record_score(TRIAL, Score(ap, wall_seconds=3.0), "resolved")
    store.record_scale("l2(global)", Scale(0.5))
    store.record_birth("a", "divide", "global", number, ("x",))
    store.record_merge("b", "a")
    store.record_generation("divide", 0, {"born": 2, "dead": number}, {"best": ap})


def test_replay_changes_nothing(tmp_path):
    def rows(store):
        return [store.scores(), store.scales(), store.births(), store.merges(), store.generations()]

    with Store.open(tmp_path) as store:
        replay(store)
        once = rows(store)
    with Store.open(tmp_path) as store:
        replay(store)
        assert rows(store) == once
        assert [len(r) for r in once] == [1] * 5


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (
            lambda s: s.record_score(TRIAL, Score(0.5, wall_seconds=3.0), "resolved"),
            "ap: 0.25 -> 0.5",
        ),
        (lambda s: s.record_score(TRIAL, Score.failed("timeout")), "failure: None -> 'timeout'"),
        (lambda s: s.record_scale("l2(global)", Scale(0.25)), "value: 0.5 -> 0.25"),
        (lambda s: s.record_birth("a", "divide", "global", 1, ("x",)), "generation: 0 -> 1"),
        (lambda s: s.record_merge("b", "c"), "canonical: 'a' -> 'c'"),
        (lambda s: s.record_generation("divide", 0, {}, {"best": 0.25}), "counts: "),
    ],
)
def test_another_answer_to_the_same_question_is_refused(tmp_path, record, told):
    with Store.open(tmp_path) as store:
        replay(store)
        with pytest.raises(StoreError, match="already holds") as refused:
            record(store)
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)
        replay(store)


def test_what_is_not_a_number_is_no_answer(tmp_path):
    with Store.open(tmp_path) as store:
        with pytest.raises(ValueError, match=r"scores\.wall_seconds is nan"):
            store.record_score(TRIAL, Score(0.5, wall_seconds=float("nan")))
        assert store.score(TRIAL) is None


def test_changed_fingerprint_lists_what_differs(tmp_path):
    recorded = {"search": {"seed": 1, "size": 8}, "data": "bccd", "gone": None}
    with Store.open(tmp_path) as store:
        store.begin(recorded)
    with Store.open(tmp_path) as store:
        store.begin(recorded)
        with pytest.raises(StoreError) as refused:
            store.begin({"search": {"seed": 2, "size": 8, "new": [1]}, "data": "bccd"})
        message = str(refused.value)
        assert "search.seed: 1 -> 2" in message
        assert "search.new: (absent) -> [1]" in message
        assert "gone: None -> (absent)" in message
        assert "another --work-dir" in message
        assert "size" not in message
        assert "bccd" not in message
        assert store.fingerprint() == recorded


def contradictory(store):
    with store.together():
        store.record_birth("c", "divide", "global", 0, [])
        store.record_birth("a", "divide", "global", 7, [])


def test_together_is_all_or_nothing(tmp_path):
    with Store.open(tmp_path) as store:
        with store.together():
            store.record_birth("a", "divide", "global", 0, [])
            store.record_birth("b", "divide", "global", 0, [])
        with pytest.raises(StoreError, match="already holds"):
            contradictory(store)
        assert [birth.text for birth in store.births()] == ["a", "b"]
        store.record_birth("c", "divide", "global", 0, [])
    with Store.open(tmp_path, readonly=True) as store:
        assert len(store.births()) == 3


def test_decisions_from_outside_are_kept(tmp_path):
    with Store.open(tmp_path) as store:
        assert store.steering("divide", 1) is None
        store.record_steering("divide", 1, {"end": "stage"})
        store.record_steering("divide", 1, {"end": "stage"})
        with pytest.raises(StoreError, match="already holds"):
            store.record_steering("divide", 1, {"end": None})
        assert (store.steering("divide", 1), store.steerings()) == ({"end": "stage"}, [{"end": "stage"}])


def test_extra_answers_are_found_like_others_and_cost_the_search_nothing(tmp_path):
    trial = Trial("l2(x)", 100, 0, test=True)
    with Store.open(tmp_path) as store:
        store.record_event("started")
        store.record_score(trial, Score(0.5, 0.5, wall_seconds=3.0))
        store.record_scale("l2(x)", Scale(2.0, wall_seconds=1.0))
        before, last = store.costs(), store.last_activity(math.inf)
        with store.extra():
            store.record_score(trial, Score(0.5, 0.5, wall_seconds=3.0))  # paid by the search already
            store.record_score(Trial("l1(x)", 100, 0, test=True), Score(0.4, 0.4, wall_seconds=500.0))
            store.record_scale("l1(x)", Scale(2.0, wall_seconds=70.0))
            store.record_event("explained")
        assert (store.costs(), store.last_activity(math.inf)) == (before, last)
        assert store.score(Trial("l1(x)", 100, 0, test=True)).ap == 0.4
        assert [record.extra for record in store.scores()] == [False, True]
        assert [record.extra for record in store.scales()] == [False, True]
        assert [event.extra for event in store.events()] == [False, True]
        store.record_event("finished")
        assert not store.events()[-1].extra


def test_odd_names_of_work_directories(tmp_path):
    work_dir = tmp_path / "50% of? #1 — späť"
    with Store.open(work_dir) as store:
        store.record_score(TRIAL, Score(0.5))
    with Store.open(work_dir, readonly=True) as store:
        assert store.score(TRIAL) == Score(0.5)


def test_look_ups_use_an_index(tmp_path, filled):
    connection = sqlite3.connect(filled)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM scores WHERE distiller = 'a' AND iterations = 1 AND seed = 1 AND test = 0"
    ).fetchall()
    connection.close()
    assert all("USING INDEX" in step[-1] for step in plan)


def test_a_generation_may_differ_by_what_processors_round(tmp_path):
    with Store.open(tmp_path) as store:
        store.record_generation("divide", 0, {"born": 2}, {"expected": {"a": [0.31234567, 2]}})
        store.record_generation("divide", 0, {"born": 2}, {"expected": {"a": [0.31234561, 2]}})
        assert store.generations()[0].statistics == {"expected": {"a": [0.31234567, 2]}}
        for counts, statistics in (
            ({"born": 2}, {"expected": {"a": [0.3133, 2]}}),
            ({"born": 2}, {"expected": {"a": [0.31234567, 3]}}),
            ({"born": 3}, {"expected": {"a": [0.31234561, 2]}}),
        ):
            with pytest.raises(StoreError, match="no longer repeats itself"):
                store.record_generation("divide", 0, counts, statistics)
