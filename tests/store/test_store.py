import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detkds_gp.errors import StoreError
from detkds_gp.score import FAILURES, Scale, Score, Trial
from detkds_gp.store import Birth, Event, Generation, Merge, Store, check_store

TRIAL = Trial("1 * 0.5 * l2(global)", 100, 0)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start another Python process."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WRITER = """
    import sys
    from detkds_gp.score import Score, Trial
    from detkds_gp.store import Store

    with Store.open(sys.argv[1]) as store:
        for seed in range(1_000_000):
            store.record_score(Trial("none", 100, seed), Score(seed / 2_000_000))
            print(seed, flush=True)
"""

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


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    writer = python(WRITER, tmp_path)
    lines = [writer.stdout.readline() for _ in range(50)]
    writer.kill()
    acknowledged = int((lines + writer.stdout.readlines())[-1])
    writer.communicate()
    with Store.open(tmp_path) as store:
        for seed in range(acknowledged + 1):
            assert store.score(Trial("none", 100, seed)) == Score(seed / 2_000_000)
        assert acknowledged + 1 <= len(store.scores()) <= acknowledged + 2


def test_readers_are_welcome_while_one_writes_and_a_second_writer_is_not(tmp_path):
    writer = python(WRITER, tmp_path)
    try:
        seen = int(writer.stdout.readline())
        with Store.open(tmp_path, readonly=True) as reader:
            for _ in range(20):
                seeds = [record.trial.seed for record in reader.scores()]
                assert seeds == list(range(len(seeds)))
                assert len(seeds) > seen
                seen = int(writer.stdout.readline())
        with pytest.raises(StoreError, match=f"being written by process {writer.pid};"):
            Store.open(tmp_path)
    finally:
        writer.kill()
        writer.communicate()


def test_a_second_writer_in_the_same_process_is_refused_until_the_first_closes(tmp_path):
    with Store.open(tmp_path), pytest.raises(StoreError, match=f"process {os.getpid()};"):
        Store.open(tmp_path)
    Store.open(tmp_path).close()


def test_a_reader_cannot_write(tmp_path):
    Store.open(tmp_path).close()
    with Store.open(tmp_path, readonly=True) as store, pytest.raises(StoreError, match="readonly"):
        store.record_score(TRIAL, Score(0.5))


def test_full_disk_says_so_and_keeps_what_was_recorded(tmp_path):
    """A limit on the file's size stops SQLite at the same write as a full disk."""
    process = python(
        """
        import resource, sys
        from detkds_gp.errors import StoreError
        from detkds_gp.score import Score, Trial
        from detkds_gp.store import Store

        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        with Store.open(sys.argv[1]) as store:
            for seed in range(10_000):
                try:
                    store.record_score(Trial("none", 100, seed), Score(0.5, detail="x" * 5000))
                except StoreError as error:
                    print(seed, error, sep="\\n")
                    assert store.score(Trial("none", 100, seed)) is None
                    break
        """,
        tmp_path,
    )
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    recorded, message = output.splitlines()
    assert "free some space" in message
    with Store.open(tmp_path) as store:
        assert len(store.scores()) == int(recorded) > 0
        store.record_score(Trial("none", 100, int(recorded)), Score(0.5))


def filled(work_dir: Path) -> Path:
    with Store.open(work_dir) as store:
        for seed in range(50):
            store.record_score(Trial("none", 100, seed), Score(0.5, detail="x" * 1000))
    return work_dir / "store.sqlite"


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[: len(data) // 2], "malformed|damaged"),
        (lambda data: data[:4096] + bytes(8192) + data[12288:], "malformed|damaged"),
        (lambda data: b"holiday photo" * 1000, "not a database"),
    ],
)
def test_damaged_file(tmp_path, damage, told, readonly):
    file = filled(tmp_path)
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    with pytest.raises(StoreError, match=told) as refused:
        Store.open(tmp_path, readonly)
    assert "\n" not in str(refused.value)
    assert "another --work-dir" in str(refused.value)
    assert file.read_bytes() == damaged


@pytest.mark.parametrize("kept", [0, 1, 99, 4096, 30_000])
def test_a_truncated_store_is_named_and_left_as_it_is(tmp_path, kept):
    file = filled(tmp_path)
    rest = file.read_bytes()[:kept]
    file.write_bytes(rest)
    with pytest.raises(StoreError) as refused:
        Store.open(tmp_path)
    assert "\n" not in str(refused.value)
    assert file.read_bytes() == rest


def test_check_reads_all_and_names_what_is_wrong(tmp_path):
    file = filled(tmp_path)
    with Store.open(tmp_path) as store:
        store.begin({"seed": 1})
        assert check_store(tmp_path).writer == str(os.getpid())
    report = check_store(tmp_path)
    assert (report.problems, report.writer) == ((), None)
    assert report.rows["scores"] == 50
    sqlite(file, "UPDATE scores SET ap = 3 WHERE position = 7")
    sqlite(file, "INSERT INTO events VALUES (1, 1.0, 'odd', '{not json', 0)")
    problems = check_store(tmp_path).problems
    assert [problem.split(":")[0] for problem in problems] == ["scores", "events"]
    assert not any("\n" in problem for problem in problems)


def test_check_finds_a_damaged_index(tmp_path):
    file = filled(tmp_path)
    with Store.open(tmp_path) as store:
        store.begin({})
    root = (
        sqlite3.connect(file)
        .execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_scores_1'")
        .fetchone()[0]
    )
    data = bytearray(file.read_bytes())
    start = (root - 1) * 4096
    data[start + 3000 : start + 3900] = bytes(900)
    file.write_bytes(data)
    try:
        problems = check_store(tmp_path).problems
    except StoreError as error:
        problems = (str(error),)
    assert problems


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


def test_a_store_locked_by_another_program_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("detkds_gp.store._database._BUSY_SECONDS", 0.1)
    file = filled(tmp_path)
    other = sqlite3.connect(file, isolation_level=None)
    with Store.open(tmp_path) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked; close the program that holds it"):
            store.record_score(TRIAL, Score(0.5))
        other.execute("ROLLBACK")
        store.record_score(TRIAL, Score(0.5))
        assert store.score(TRIAL) == Score(0.5)
    other.close()


def test_decisions_from_outside_are_kept(tmp_path):
    with Store.open(tmp_path) as store:
        assert store.steering("divide", 1) is None
        store.record_steering("divide", 1, {"end": "stage"})
        store.record_steering("divide", 1, {"end": "stage"})
        with pytest.raises(StoreError, match="already holds"):
            store.record_steering("divide", 1, {"end": None})
        assert (store.steering("divide", 1), store.steerings()) == ({"end": "stage"}, [{"end": "stage"}])


def sqlite(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("readonly", [False, True])
def test_foreign_database_is_left_alone(tmp_path, readonly):
    file = tmp_path / "store.sqlite"
    sqlite(file, "CREATE TABLE photos (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="is no store"):
        Store.open(tmp_path, readonly)
    assert file.read_bytes() == before


def test_other_schema_version_is_refused(tmp_path):
    file = filled(tmp_path)
    sqlite(file, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(StoreError, match="schema version 99, wanted 4; use the detkds_gp that"):
        Store.open(tmp_path)


def test_a_store_of_the_version_before_is_read_and_brought_up(tmp_path):
    file = filled(tmp_path)
    for table in ("scores", "scales", "events"):
        sqlite(file, f"ALTER TABLE {table} DROP COLUMN extra")
    sqlite(file, "UPDATE meta SET value = '3' WHERE name = 'schema_version'")
    before = file.read_bytes()
    with Store.open(tmp_path, readonly=True) as store:
        assert store.costs().trainings == len(store.scores()) == 50
        assert store.last_activity(math.inf) == store.scores()[-1].finished_at
        assert (store.scales(), store.events()) == ([], [])
    assert file.read_bytes() == before
    for trainings in (50, 50):
        with Store.open(tmp_path) as store:
            with store.extra():
                store.record_score(Trial("none", 200, 0), Score(0.5))
            assert store.costs().trainings == trainings
            assert [record.extra for record in store.scores()] == 50 * [False] + [True]


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


def test_missing_store_and_impossible_directory(tmp_path):
    with pytest.raises(StoreError, match=r"holds no store\.sqlite"):
        Store.open(tmp_path / "nowhere", readonly=True)
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write in .*file"):
        Store.open(tmp_path / "file")


@pytest.fixture
def read_only_dir():
    """A work directory that this process may only read; root gives up its rights meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        filled(Path(name))
        for file in Path(name).iterdir():
            file.chmod(0o444)
        Path(name).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield Path(name)
        os.seteuid(user)
        Path(name).chmod(0o755)


def test_read_only_directory_can_be_read(read_only_dir):
    with Store.open(read_only_dir, readonly=True) as store:
        assert len(store.scores()) == 50
    with pytest.raises(StoreError, match="cannot write in"):
        Store.open(read_only_dir)


def test_odd_names_of_work_directories(tmp_path):
    work_dir = tmp_path / "50% of? #1 — späť"
    with Store.open(work_dir) as store:
        store.record_score(TRIAL, Score(0.5))
    with Store.open(work_dir, readonly=True) as store:
        assert store.score(TRIAL) == Score(0.5)


def test_look_ups_use_an_index(tmp_path):
    file = filled(tmp_path)
    connection = sqlite3.connect(file)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM scores WHERE distiller = 'a' AND iterations = 1 AND seed = 1 AND test = 0"
    ).fetchall()
    connection.close()
    assert all("USING INDEX" in step[-1] for step in plan)
