"""Sets of versions tried on several Pythons: set-up from nothing, the operators' tests, a small quickstart.

    python tools/try_versions.py pinned@3.13 oldest@3.10 newest@3.12

`pinned` is constraints.txt, `oldest` constraints-oldest.txt, `newest` whatever pip finds. Each is a wheel of the
checkout, installed into an empty environment without pip's cache. A row of the table in docs/setup.md is printed for
each; a step that fails is named with the end of what it said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = {"pinned": "constraints.txt", "oldest": "constraints-oldest.txt", "newest": None}
SHOWN = ("torch", "torchvision", "numpy", "mmengine", "opencv-python", "pydantic", "scipy")
WHEELS = ("--only-binary=:all:", "--no-binary=detkds_gp")  # nothing is compiled
TESTS = ("pytest", "hypothesis")
SMALL = (
    "data.digits.train=12", "data.digits.selection=6", "data.digits.test=6", "data.digits.size=64",
    "teacher.train.iterations=3", "proxy.iterations=2", "proxy.image_size=64,64", "proxy.warmup=1",
    "proxy.calibration_iterations=1", "execution.workers=1", "knowledge=('global',)",
    "search.conquer.population=2", "search.conquer.offspring=1", "verdict.iterations=2", "verdict.seeds=11,12",
    "require_better_teacher=False", "cache_dir=cache",
)  # fmt: skip
VERSIONS = "from importlib.metadata import version; import sys; print(*[version(n) for n in sys.argv[1:]])"


class Failed(Exception):
    """A step that did not work."""


@dataclass(frozen=True)
class Place:
    """A folder with an environment of its own."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Where the environment keeps its programs."""
        return self.folder / "venv/bin"

    def call(self, step: str, *command: object) -> str:
        """Return what a command prints, in the empty folder ``here``.

        Raises:
            Failed: with the end of what it said.
        """
        here = self.folder / "here"
        here.mkdir(exist_ok=True)
        environment = {**os.environ, "PIP_NO_CACHE_DIR": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run([*map(str, command)], cwd=here, env=environment, capture_output=True, text=True)
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise Failed(f"{step}: {' / '.join(lines[-3:])}")
        return done.stdout


def tried(name: str, python: str, folder: Path) -> list[str]:
    """Return a row: set, Python, versions, seconds for torch and for the rest, what the tests and the quickstart say.

    Raises:
        Failed: at the first step that does not work.
    """
    place = Place(folder)
    pins = CONSTRAINTS[name]
    pip = [place.bin / "python", "-m", "pip", "install", "-q", *WHEELS, *(["-c", ROOT / pins] if pins else [])]
    place.call("venv", python, "-m", "venv", folder / "venv")
    began = time.monotonic()
    place.call("torch", *pip, "torch>=2.4", "torchvision>=0.19")
    torch_seconds, began = time.monotonic() - began, time.monotonic()
    place.call("set-up", *pip, ROOT)
    seconds = time.monotonic() - began
    place.call("pytest", *pip, *TESTS)
    versions = place.call("versions", place.bin / "python", "-c", VERSIONS, *SHOWN).split()
    place.call("environment", place.bin / "python", "-m", "detkds_gp.environment")
    tests = place.call("tests", place.bin / "pytest", "-q", "-c", ROOT / "pyproject.toml", ROOT / "tests/operators")
    place.call("quickstart", place.bin / "gp_search", "quickstart", "--quiet", "--cfg-options", *SMALL)
    passed = tests.strip().splitlines()[-1].split(" in ")[0]
    return [f"{torch_seconds:.0f} s", f"{seconds:.0f} s", *versions, passed, "runs"]


def interpreter(version: str) -> str:
    """Return a Python of that version, from PATH or pyenv.

    Raises:
        Failed: there is none.
    """
    candidates = [
        shutil.which(f"python{version}"),
        *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
    ]
    for candidate in filter(None, candidates):
        shown = subprocess.run([candidate, "-c", "print('runs')"], capture_output=True, text=True)
        if shown.stdout == "runs\n":
            return str(candidate)
    raise Failed("no interpreter here")


def main() -> None:
    """Try every combination that is asked for; ends with 1 if one does not work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("combinations", nargs="+", help="SET@PYTHON, with SET one of " + ", ".join(CONSTRAINTS))
    print("| set | Python | torch in | the rest in |", " | ".join(SHOWN), "| tests/operators | quickstart |")
    failures = 0
    for combination in parser.parse_args().combinations:
        name, _, version = combination.partition("@")
        with tempfile.TemporaryDirectory(prefix="try-versions-") as folder:
            try:
                cells = tried(name, interpreter(version), Path(folder))
            except Failed as failure:
                failures, cells = failures + 1, [f"does not work: {failure}"]
        print("|", " | ".join([name, version, *cells]), "|", flush=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
