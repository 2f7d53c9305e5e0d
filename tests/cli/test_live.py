from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from detkds_gp.cli.live import niche_line, watching
from detkds_gp.score import Score

RECORD = {
    "stage": "divide", "generation": 1, "niche": "global", "best": 0.25, "median": 0.125, "new": 4, "failed": 1,
}  # fmt: skip


def watched(*, terminal: bool, quiet: bool = False) -> str:
    file = StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with watching(console, quiet) as listener:
        listener.say("AP on selection: [teacher] 0.5")
        listener.phase("divide 1", 3, 1)
        for score in (Score(0.25), Score.failed("diverged"), None):
            listener.answered("global", score)
        listener.generation([RECORD])
    return file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_news_and_generations_are_printed(terminal: bool) -> None:
    shown = watched(terminal=terminal)
    assert "AP on selection: [teacher] 0.5" in shown
    assert niche_line(RECORD) in shown


def test_a_log_has_one_line_a_phase() -> None:
    assert "divide 1: 3 trainings, 1 answered before\n" in watched(terminal=False)


def test_a_terminal_shows_how_far_it_is() -> None:
    shown = watched(terminal=True)
    assert "divide 1" in shown
    assert "best AP (selection)" in shown
    assert "0.250" in shown


def test_quiet_prints_nothing() -> None:
    assert watched(terminal=True, quiet=True) == ""


def test_a_niche_in_which_all_failed_says_so() -> None:
    failed = {"niche": "global", "failed": 3}
    assert niche_line(failed) == "global: nothing succeeded (3 failed)"
    assert niche_line(RECORD) == "global: best 0.250, median 0.125, 4 new, 1 failed"
