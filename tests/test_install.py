"""What install.sh says on a machine that lacks something, before it changes anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INPUTS = ("install.sh", "setup.cfg", "setup.py", "pyproject.toml", "constraints.txt", "detkds_gp_operators.pth")
TOOLS = ("bash", "cat", "dirname", "env", "flock", "grep", "paste", "rm", "sha256sum", "sh")
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Make a checkout beside a folder ``bin`` that holds all programs there are."""
    for name in INPUTS:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def script(machine: Path, name: str, body: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def base_python(machine: Path, name: str, without: str = "nothing") -> None:
    """Offer the real interpreter as ``name``, with one module of its library missing."""
    (machine / f"{without}.py").write_text("raise ImportError")
    real = os.path.realpath(sys.executable)
    script(machine, name, f'PYTHONPATH="{machine}" exec "{real}" "$@"')


def refusal(machine: Path, *options: str, **environment: str) -> str:
    done = subprocess.run(
        [machine / "install.sh", *options],
        env={"PATH": str(machine / "bin"), **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert not (machine / ".venv").exists()
    return done.stderr


def test_no_python_that_runs(machine: Path) -> None:
    script(machine, "python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    script(machine, "python3", "exit 1")
    assert "sudo apt-get install -y python3 python3-venv" in refusal(machine)


def test_a_python_that_was_asked_for_but_is_not_there(machine: Path) -> None:
    base_python(machine, "python3.11")
    assert "got no working interpreter as python3.9" in refusal(machine, PYTHON="python3.9")


def test_a_python_without_ensurepip_behind_a_broken_shim(machine: Path) -> None:
    script(machine, "python3.11", "exit 127")
    base_python(machine, "python3", without="ensurepip")
    assert refusal(machine).endswith(f"sudo apt-get install -y {VERSION}-venv\n")


def test_neither_headers_nor_a_compiler_for_compiled_operators(machine: Path) -> None:
    base_python(machine, "python3.11")
    (machine / "sysconfig.py").write_text("def get_path(name): return '/nonexistent'")
    assert refusal(machine, "--compiled-mmcv").endswith(f" {VERSION}-dev g++\n")


def test_an_unknown_option(machine: Path) -> None:
    assert refusal(machine, "--cuda").endswith("got '--cuda', wanted nothing or --compiled-mmcv\n")


def test_a_second_call_does_nothing() -> None:
    """The tests run in the environment that install.sh made, so it has nothing to do."""
    if not (ROOT / ".venv/.ready").exists():
        pytest.skip("this environment was made by other means")
    done = subprocess.run([ROOT / "install.sh"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
