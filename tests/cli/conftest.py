from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from detkds_gp.cli.app import main
from detkds_gp.run import Outcome


class Ended(NamedTuple):
    code: int
    out: str
    err: str


GpSearch = Callable[..., Ended]
FORMULA = "2 * 0.5 * l2(unit_channel(global)) + 1 * calibrated * kl(softmax_row(class_logits, 2))"


def mistake(ended: Ended) -> str:
    """Return the one line that a user's mistake is told in."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    return ended.err


@pytest.fixture
def gp_search(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> GpSearch:
    """Run a command line in this process."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "dumb")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["gp_search", *map(str, arguments)])
        handler = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def copied(finished: Outcome, tmp_path: Path) -> Path:
    """A work directory in which the tiny experiment has finished."""
    return Path(shutil.copytree(finished.work_dir, tmp_path / "copied"))
