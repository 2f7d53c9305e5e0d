"""The lines of the live view that move with the clock."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from detkds_gp.cli.countdown import Countdown, TimedBar


def shown(drawn: object) -> str:
    file = StringIO()
    Console(file=file, width=120).print(drawn)
    return file.getvalue()


def test_the_time_left_gets_less_by_itself_and_never_negative() -> None:
    clock = [100.0]
    countdown = Countdown(600, now=lambda: clock[0])
    assert "about 10 min to the end" in shown(countdown)
    clock[0] += 540
    assert "about 60 s to the end" in shown(countdown)
    clock[0] += 540
    assert countdown.left == 0


def test_a_bar_of_time_says_when_it_takes_longer_than_estimated() -> None:
    clock = [0.0]
    bar = TimedBar(200, now=lambda: clock[0])
    clock[0] = 50
    assert "50 s of about 3 min" in shown(bar)
    clock[0] = 250
    assert "4 min of about 3 min, longer than estimated" in shown(bar)
