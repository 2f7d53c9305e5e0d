"""The primitive of one's own in primitives/README.md works as a file of its own."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from detkds_gp.language import load_primitive_set
from detkds_gp.primitives import OMNI
from detkds_gp.screening import lint

ROOT = Path(__file__).parents[2]
README = (ROOT / "primitives" / "README.md").read_text()


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)[number]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_primitives.py").write_text(block("python"))
    (tmp_path / "my_learned.py").write_text(block("python", 1))
    return tmp_path


def test_the_example_is_ten_lines_and_lints(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in block("python").splitlines() if line and "import" not in line]
    assert len(lines) <= 10
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    report = lint(shlex.split(block("bash"))[2], load_primitive_set("my_primitives:MINE"))
    steps = [step.text for step in report.steps]
    assert steps == ["global", "centre_space(global)", "l2(centre_space(global))"]
    assert not report.problems


def test_the_learned_example_is_ten_lines_and_lints(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in block("python", 1).splitlines() if line and "import" not in line]
    assert len(lines) <= 10
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    own = load_primitive_set("my_learned:MINE")
    report = lint(shlex.split(block("bash", 1))[2], own)
    assert [step.text for step in report.steps] == ["global", "bridged(global)", "l2(bridged(global))"]
    assert not report.problems
    assert own.known == (*OMNI.known, "bridged")


def test_the_command_of_the_example_runs(folder: Path) -> None:
    program, *arguments = shlex.split(block("bash"))
    assert program == "gp_search"
    command = [sys.executable, "-c", "from detkds_gp.cli.app import main; main()", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "centre_space" in done.stdout


def test_every_file_of_the_library_is_listed() -> None:
    files = {path.name for path in (ROOT / "primitives").glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"^\| `(\w+\.py)`", README, flags=re.MULTILINE)) == files
