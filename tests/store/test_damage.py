import os
import sqlite3
from pathlib import Path

import pytest

from detkds_gp.errors import StoreError
from detkds_gp.store import Store, check_store


def sqlite(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[: len(data) // 2], "malformed|damaged"),
        (lambda data: data[:4096] + bytes(8192) + data[12288:], "malformed|damaged"),
        (lambda data: b"holiday photo" * 1000, "not a database"),
    ],
)
def test_damaged_file(tmp_path, filled, damage, told, readonly):
    damaged = damage(filled.read_bytes())
    filled.write_bytes(damaged)
    with pytest.raises(StoreError, match=told) as refused:
        Store.open(tmp_path, readonly)
    assert "\n" not in str(refused.value)
    assert "another --work-dir" in str(refused.value)
    assert filled.read_bytes() == damaged


@pytest.mark.parametrize("kept", [0, 1, 99, 4096, 30_000])
def test_a_truncated_store_is_named_and_left_as_it_is(tmp_path, filled, kept):
    rest = filled.read_bytes()[:kept]
    filled.write_bytes(rest)
    with pytest.raises(StoreError) as refused:
        Store.open(tmp_path)
    assert "\n" not in str(refused.value)
    assert filled.read_bytes() == rest


def test_check_reads_all_and_names_what_is_wrong(tmp_path, filled):
    with Store.open(tmp_path) as store:
        store.begin({"seed": 1})
        assert check_store(tmp_path).writer == str(os.getpid())
    report = check_store(tmp_path)
    assert (report.problems, report.writer) == ((), None)
    assert report.rows["scores"] == 50
    sqlite(filled, "UPDATE scores SET ap = 3 WHERE position = 7")
    sqlite(filled, "INSERT INTO events VALUES (1, 1.0, 'odd', '{not json', 0)")
    problems = check_store(tmp_path).problems
    assert [problem.split(":")[0] for problem in problems] == ["scores", "events"]
    assert not any("\n" in problem for problem in problems)


def test_check_finds_a_damaged_index(tmp_path, filled):
    with Store.open(tmp_path) as store:
        store.begin({})
    root = (
        sqlite3.connect(filled)
        .execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_scores_1'")
        .fetchone()[0]
    )
    data = bytearray(filled.read_bytes())
    start = (root - 1) * 4096
    data[start + 3000 : start + 3900] = bytes(900)
    filled.write_bytes(data)
    try:
        problems = check_store(tmp_path).problems
    except StoreError as error:
        problems = (str(error),)
    assert problems


@pytest.mark.parametrize("readonly", [False, True])
def test_foreign_database_is_left_alone(tmp_path, readonly):
    file = tmp_path / "store.sqlite"
    sqlite(file, "CREATE TABLE photos (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="is no store"):
        Store.open(tmp_path, readonly)
    assert file.read_bytes() == before


def test_other_schema_version_is_refused(tmp_path, filled):
    sqlite(filled, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(StoreError, match="schema version 99, wanted 4; use the detkds_gp that"):
        Store.open(tmp_path)
