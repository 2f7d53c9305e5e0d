"""The primitive of one's own in primitives/README.md works as a file of its own."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "primitives" / "README.md").read_text()
USE = """
from detkds_gp.language import load_primitive_set
from detkds_gp.losses import lint
report = lint(FORMULA, load_primitive_set("my_primitives:MINE"))
print(*[step.text for step in report.steps], sep="\\n")
assert not report.problems, report.problems
"""


def block(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_primitives.py").write_text(block("python"))
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_is_ten_lines_and_lints(folder: Path) -> None:
    lines = [line for line in block("python").splitlines() if line and "import" not in line]
    assert len(lines) <= 10
    formula = shlex.split(block("bash"))[2]
    printed = run(folder, sys.executable, "-c", f"FORMULA = {formula!r}\n{USE}")
    assert printed.splitlines() == ["global", "centre_space(global)", "l2(centre_space(global))"]


def test_the_command_of_the_example_runs(folder: Path) -> None:
    program, *arguments = shlex.split(block("bash"))
    assert program == "gp_search"
    pytest.importorskip("detkds_gp.cli.app")
    command = "from detkds_gp.cli.app import main; main()"
    printed = run(folder, sys.executable, "-c", command, *arguments)
    assert "centre_space" in printed


def test_every_file_of_the_library_is_listed() -> None:
    files = {path.name for path in (ROOT / "primitives").glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"^\| `(\w+\.py)`", README, flags=re.MULTILINE)) == files
