from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from detkds_gp.cli.live import LiveListener, niche_line, watching
from detkds_gp.score import Score

RECORD = {
    "stage": "divide", "generation": 1, "niche": "global", "best": 0.25, "median": 0.125, "spread": 0.0625,
    "new": 4, "duplicates": 2, "failed": 1,
}  # fmt: skip
FORMULA = "1 * calibrated * l2(unit_channel(global))"
OTHER = "1 * calibrated * l1(unit_channel(global))"


def watched(*, terminal: bool, quiet: bool = False) -> str:
    file = StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with watching(console, quiet, workers=1) as listener:
        listener.say("AP on selection: [teacher] 0.5")
        listener.phase("divide 1", 3, 1)
        listener.asked([("global", FORMULA), ("global", OTHER)])
        listener.waiting([FORMULA, OTHER])
        listener.time_left(5400)
        for score in (Score(0.25), Score.failed("diverged"), None):
            listener.answered("global", score)
        listener.answered("global", Score.failed("rejected:gradient"))
        listener.generation([RECORD])
        listener.waiting([OTHER])
    return file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_news_and_generations_are_printed(terminal: bool) -> None:
    shown = watched(terminal=terminal)
    assert "AP on selection: [teacher] 0.5" in shown
    assert niche_line(RECORD) in shown


def test_a_log_has_one_line_a_phase() -> None:
    assert "divide 1: 3 trainings, 1 answered before\n" in watched(terminal=False)


def test_a_log_keeps_a_long_line_whole() -> None:
    file, line = StringIO(), "word " * 60 + "end"
    with watching(Console(file=file, force_terminal=False, width=80), quiet=False, workers=1) as listener:
        listener.say(line)
    assert file.getvalue() == line + "\n"


def test_a_terminal_shows_how_far_it_is() -> None:
    shown = watched(terminal=True)
    assert "divide 1" in shown
    assert "0.250" in shown


def test_a_terminal_shows_how_every_niche_stands() -> None:
    last = watched(terminal=True).rsplit("best AP", 1)[1]
    row = next(line.split() for line in last.splitlines() if line.startswith("global"))
    # 3 different subtrees among 4; of three answers one was rejected, one failed; two were known already.
    assert row == ["global", "0.250", "0.125", "0.062", "75%", "3", "2", "1", "1"]


def test_a_terminal_shows_what_is_at_work_and_what_is_left() -> None:
    shown = watched(terminal=True)
    assert shown.rsplit("at work: ", 1)[1].startswith(OTHER)
    assert "about 1.5 h to the end" in shown
    assert "cores" in shown


@pytest.mark.parametrize(("phase", "timed"), [("teacher and students alone", True), ("divide 0", False)])
def test_a_terminal_shows_the_time_of_a_phase_against_its_estimate(phase: str, timed: bool) -> None:
    file = StringIO()
    with watching(Console(file=file, force_terminal=True, width=120), quiet=False) as listener:
        listener.expected("teacher and students alone", 600)
        listener.phase(phase, 9, 0)
    assert ("0 s of about 10 min" in file.getvalue()) == timed


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> tuple[LiveListener, Callable[[float], str]]:
    """A view that nobody draws by itself, and how it looks a number of seconds after it was made."""
    listener, clock = LiveListener(Console(file=StringIO()), workers=1), [100.0]
    monkeypatch.setattr("detkds_gp.cli.live.time.monotonic", lambda: clock[0])

    def shown(seconds: float) -> str:
        clock[0], file = 100.0 + seconds, StringIO()
        Console(file=file, width=120).print(listener)
        return file.getvalue()

    return listener, shown


def test_the_time_left_gets_less_by_itself_and_never_negative(later) -> None:
    listener, shown = later
    listener.time_left(600)
    assert "about 10 min to the end" in shown(0)
    assert "about 60 s to the end" in shown(540)
    assert "about 0 s to the end" in shown(1080)


def test_a_bar_of_time_says_when_it_takes_longer_than_estimated(later) -> None:
    listener, shown = later
    listener.expected("teacher", 200)
    listener.phase("teacher", 1, 0)
    assert "50 s of about 3 min" in shown(50)
    assert "4 min of about 3 min, longer than estimated" in shown(250)


def test_quiet_prints_nothing() -> None:
    assert watched(terminal=True, quiet=True) == ""


def test_a_niche_in_which_all_failed_says_so() -> None:
    failed = {"niche": "global", "failed": 3}
    assert niche_line(failed) == "global: nothing succeeded (3 failed)"
    assert niche_line(RECORD) == "global: best 0.250, median 0.125, spread 0.062, 4 new, 2 known already, 1 failed"
