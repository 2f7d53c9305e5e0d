import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from detkds_gp.errors import StoreError
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store

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


def test_a_store_locked_by_another_program_says_so(tmp_path, filled, monkeypatch):
    monkeypatch.setattr("detkds_gp.store._database._BUSY_SECONDS", 0.1)
    other = sqlite3.connect(filled, isolation_level=None)
    with Store.open(tmp_path) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked; close the program that holds it"):
            store.record_score(TRIAL, Score(0.5))
        other.execute("ROLLBACK")
        store.record_score(TRIAL, Score(0.5))
        assert store.score(TRIAL) == Score(0.5)
    other.close()


def test_missing_store_and_impossible_directory(tmp_path):
    with pytest.raises(StoreError, match=r"holds no store\.sqlite"):
        Store.open(tmp_path / "nowhere", readonly=True)
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write in .*file"):
        Store.open(tmp_path / "file")


def test_read_only_directory_can_be_read(read_only_dir):
    with Store.open(read_only_dir, readonly=True) as store:
        assert len(store.scores()) == 50
    with pytest.raises(StoreError, match="cannot write in"):
        Store.open(read_only_dir)
