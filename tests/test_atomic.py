"""Files appear whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from detkds_gp.atomic import atomic_file


def test_a_file_takes_its_place_when_the_block_ends(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("before")
    with atomic_file(path) as draft:
        draft.write_text("after")
        assert path.read_text() == "before"
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"scores.json": "after"}


def fail_in_the_middle(path: Path) -> None:
    with atomic_file(path) as draft:
        draft.write_text("half")
        raise ZeroDivisionError


def test_a_fault_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle(path)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"scores.json": "before"}


def test_a_fault_before_the_first_byte_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "scores.json"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/", "."])
def test_a_folder_is_no_file(path: str) -> None:
    with pytest.raises(IsADirectoryError), atomic_file(Path(path)):
        raise ZeroDivisionError


def test_tensors_that_cannot_be_written_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    limited = f"""
import resource, sys
from pathlib import Path
import torch
from detkds_gp.errors import StoreError
from detkds_gp.atomic import atomic_tensors

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with atomic_tensors(Path({str(tmp_path / "a.pt")!r}), "the weights") as file:
        torch.save({{"w": torch.zeros(10**6)}}, file)
except StoreError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, timeout=120)
    assert ended.stdout.startswith(f"cannot write the weights {tmp_path / 'a.pt'}: "), ended.stderr
    assert ended.stdout.endswith("; free space, or choose another folder\n")
    assert ended.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
