"""Scripts and command lines in real processes: what cannot work ends in one line, before anything is trained."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

GP_SEARCH = str(Path(sys.executable).with_name("gp_search"))
ENVIRONMENT = {**os.environ, "COLUMNS": "160", "TERM": "dumb"}
OWN_SET = """
from detkds_gp.run import Experiment
from detkds_gp.language import Map, transform
from detkds_gp.primitives import OMNI


@transform(Map, Map, shape="n c h w -> n c h w", latex="#1")
def centred(x):
    "Take from every channel its mean over the positions."
    return x - x.mean(dim=(2, 3), keepdim=True)


MINE = OMNI.extended("MINE", centred)
"""
RUN = 'Experiment.from_config({config!r}, {folder!r}, MINE, **{{"execution.executor": "local"}}).run()\n'


def _ended(*arguments: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, input=script, env=ENVIRONMENT, capture_output=True, text=True, timeout=580)


def test_a_set_declared_on_standard_input(tiny_config: Path, tmp_path: Path) -> None:
    run = RUN.format(config=str(tiny_config), folder=str(tmp_path / "run"))
    ended = _ended("-", script=OWN_SET + run)
    said = ended.stderr.strip().splitlines()[-1]
    assert "DeclarationError: primitive 'centred' is declared on standard input" in said
    assert "write it and its set to a file" in said
    assert not (tmp_path / "run").exists()


def test_a_script_without_the_main_guard(tiny_config: Path, tmp_path: Path) -> None:
    path = tmp_path / "search.py"
    path.write_text(OWN_SET + RUN.format(config=str(tiny_config), folder=str(tmp_path / "run")))
    ended = _ended(str(path))
    said = ended.stderr.strip().splitlines()[-1]
    assert said.endswith('put what starts the search under if __name__ == "__main__":')
    assert ended.stderr.count("Traceback") == 1
    assert "memory" not in ended.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_under_the_teachers_outputs(tiny_config: Path, small_disk: Path) -> None:
    command = [GP_SEARCH, "run", str(tiny_config), "--work-dir", str(small_disk / "run"), "--quiet"]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=580)
    assert ended.returncode == 2, ended.stderr
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert "cannot write the teacher's outputs" in said
    assert "free space" in said
    assert "Traceback" not in ended.stderr
