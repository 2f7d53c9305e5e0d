"""Scripts in real processes: with and without ``if __name__ == "__main__":``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEARCH = """
from evaluators import factory
from detkds_gp.execution import LocalExecutor, run_tasks


def search():
    with LocalExecutor(factory, workers=1) as executor:
        print("result", dict(run_tasks(executor, [("square", 7)]))[0])

"""
GUARDED = 'if __name__ == "__main__":\n    search()\n'


def _ended(arguments: list[str], script: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with this folder on its path."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, input=script, env=environment, capture_output=True, text=True, timeout=120)


def _script(folder: Path, end: str) -> Path:
    path = folder / "search script.py"
    path.write_text(SEARCH + end)
    return path


@pytest.mark.parametrize(
    "end",
    ["search()\n", "for _ in range(1):\n    search()\n", 'if "x" != "y":\n    search()\n' + GUARDED],
)
def test_a_script_without_the_guard_is_told_what_to_do_before_any_worker_starts(end: str, tmp_path: Path) -> None:
    path = _script(tmp_path, end)
    ended = _ended([str(path)])
    assert ended.returncode != 0
    said = ended.stderr.strip().splitlines()
    assert said[-1].endswith('put what starts the search under if __name__ == "__main__":')
    assert f"{path}, line " in said[-1]
    assert ended.stderr.count("Traceback") == 1  # the script's own: no worker ran it again
    assert "memory" not in ended.stderr


@pytest.mark.parametrize(
    "end",
    [GUARDED, 'if not __name__ != "__main__":\n    for _ in range(1):\n        search()\n'],
)
def test_a_guarded_script_runs(end: str, tmp_path: Path) -> None:
    ended = _ended([str(_script(tmp_path, end))])
    assert (ended.returncode, ended.stdout) == (0, "result 49\n"), ended.stderr


def test_a_script_on_standard_input_is_told_what_to_do() -> None:
    ended = _ended(["-"], SEARCH + GUARDED)
    assert ended.returncode != 0
    said = ended.stderr.strip().splitlines()[-1]
    assert "the script is no file (<stdin>)" in said
    assert "write it to a file" in said
    assert ended.stderr.count("Traceback") == 1


def test_what_workers_do_not_import_needs_no_guard(tmp_path: Path) -> None:
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__main__.py").write_text(SEARCH + "search()\n")
    for arguments in (["-c", SEARCH + "search()\n"], [str(package)]):
        ended = _ended(arguments)
        assert (ended.returncode, ended.stdout) == (0, "result 49\n"), (arguments, ended.stderr)
