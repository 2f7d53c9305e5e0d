"""How long a run was at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.results import Clock
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import EXPLAINED, EXPLAINING, FINISHED, REFUSED, STARTED, explaining


def test_the_time_between_sessions_and_that_of_explaining_is_not_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3600.0
    with Store.open(tmp_path) as store:

        def at(hours: float, record: Callable[..., None], *arguments: Any, **detail: Any) -> None:
            monkeypatch.setattr(time, "time", lambda: hours * hour)
            record(*arguments, **detail)

        at(0, store.record_event, STARTED)
        at(2, store.record_score, Trial("l2(global)", 10, 0), Score(0.5))
        with store.extra():
            at(24, store.record_event, EXPLAINING)
            assert explaining(store.events())
            at(25, store.record_score, Trial("l1(global)", 10, 1, test=True), Score(0.5, 0.5))
            at(25, store.record_event, EXPLAINED, ablations=[])
            assert not explaining(store.events())
        at(26, store.record_event, STARTED)
        assert Clock(store).seconds(27 * hour) == 3 * hour


def test_a_finished_run_that_is_asked_for_again_was_at_work_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path) as store:
        for hours, kind in ((0, STARTED), (2, FINISHED), (100, STARTED), (100, FINISHED)):
            monkeypatch.setattr(time, "time", lambda hours=hours: hours * 3600.0)
            store.record_event(kind)
        assert Clock(store).seconds(100 * 3600.0) == 2 * 3600.0


def test_a_session_begins_with_its_program_and_one_that_was_refused_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path) as store:

        def at(seconds: float, kind: str, **detail: Any) -> None:
            monkeypatch.setattr(time, "time", lambda: seconds)
            store.record_event(kind, **detail)

        at(1000, STARTED, lead=30.0)
        at(1040, REFUSED)
        assert Clock(store).seconds(1040.0) == 0
        at(2000, STARTED, lead=20.0)
        assert Clock(store).seconds(2100.0) == 120
        at(2100, FINISHED)
        at(5000, STARTED, lead=10.0)
        assert Clock(store).seconds(5005.0) == 120 + 15
