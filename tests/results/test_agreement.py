"""All readers of a run say the same of it, whatever happened to it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detkds_gp.language import NONE
from detkds_gp.report.collect import collect
from detkds_gp.results import opened
from detkds_gp.score import TEACHER, Score, Trial
from detkds_gp.steering import read_status
from detkds_gp.store import Store
from detkds_gp.store.events import (
    EXPLAINED,
    EXPLAINING,
    FINAL_CUT,
    FINAL_HELD,
    FINAL_PLANNED,
    FINISHED,
    REFUSED,
    STARTED,
)

from ..scripts import benchmark

made_run = benchmark("made_run")

FOUND = [f"1 * calibrated * {tree}" for tree in ("l2(global)", "l1(global)", "l2(class_logits)", "l1(class_logits)")]
MIXED = "1 * calibrated * l2(global) + 2 * calibrated * l2(class_logits)"
SEEDS = (1001, 1002, 1003)
HISTORY = st.lists(
    st.tuples(
        st.sampled_from([STARTED, STARTED, FINISHED, REFUSED, EXPLAINING, EXPLAINED, "score", "score", "lead"]),
        st.integers(0, 10_000),
    ),
    max_size=12,
)
AP = st.one_of(st.floats(0, 1, allow_subnormal=False), st.just(0.5), st.none())


class Story:
    """Writes a random history into a store, at times that only it knows."""

    def __init__(self, store: Store, data: st.DataObject, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.data, self.now = store, data, 1e9
        monkeypatch.setattr(time, "time", lambda: self.now)

    def score(self) -> Score:
        ap = self.data.draw(AP)
        return Score.failed("diverged", "", 1.0) if ap is None else Score(ap, ap / 2, wall_seconds=1.0)

    def tell(self, kind: str, **detail: Any) -> None:
        if kind in (EXPLAINING, EXPLAINED):
            with self.store.extra():
                self.store.record_event(kind, **detail)
        else:
            self.store.record_event(kind, **detail)

    def search(self) -> None:
        places = [(text, "divide", "global" if "global" in text else "class_logits") for text in FOUND]
        for text, stage, niche in [*places, (MIXED, "conquer", "mix")]:
            self.store.record_birth(text, stage, niche, 0, ())
        waiting = [Trial(text, 100, 0) for text in self.data.draw(st.permutations([*FOUND, MIXED]))]
        for kind, seconds in self.data.draw(HISTORY):
            self.now += seconds
            if kind == "score" and waiting:
                trial = waiting.pop()
                self.store.record_score(trial, self.score(), trial.distiller.replace("calibrated", "0.5"))
            elif kind == "lead":
                self.tell(STARTED, lead=seconds / 2)
            elif kind == EXPLAINED:
                self.tell(kind, winner=FOUND[0], ablations=[], pictures={})
            elif kind != "score":
                self.tell(kind)

    def judge(self) -> None:
        """Hold a final round, a race before it or not, as far as it came."""
        known = [text for text in [*FOUND, MIXED] if (s := self.store.score(Trial(text, 100, 0))) and s.ok]
        plan = {"seeds": list(SEEDS), "iterations": 200, "reduced": ""}
        self.tell(FINAL_PLANNED, places=2, **plan)
        if not known or not self.data.draw(st.booleans()):
            return
        rival = {"role": "PKD", "text": "1 * 0.3 * l2(global)", "weighed": "its paper's weight", "weight": 3.0}
        last = {"role": "contender", "text": known[-1], "weighed": "", "weight": None, "seeds": [7, 8]}
        raced = {"race": [7, 8], "dropped": [last]} if len(known) > 1 and self.data.draw(st.booleans()) else {}
        leader = {"role": "leader", "text": known[0], "weighed": "", "weight": None}
        self.tell(FINAL_HELD, finalists=[leader, rival], left_out=[], **plan, **raced)
        trials = [Trial(text, 200, seed, test=True) for seed in SEEDS for text in (known[0], rival["text"], NONE)]
        trials += [Trial(last["text"], 200, seed, test=True) for seed in last["seeds"]]
        for trial in trials[: self.data.draw(st.integers(0, len(trials)))]:
            self.store.record_score(trial, self.score(), trial.distiller)
        if self.data.draw(st.booleans()):
            kept = [leader, rival][: self.data.draw(st.integers(1, 2))]
            self.tell(FINAL_CUT, seeds=list(SEEDS[:2]), finalists=kept)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), begun=st.sampled_from([STARTED, REFUSED]), ended=st.sampled_from([None, FINISHED, STARTED]))
def test_readers_agree(
    data: st.DataObject, begun: str, ended: str | None, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    with TemporaryDirectory() as folder, monkeypatch.context() as patch:
        work_dir = Path(folder)
        with Store.open(work_dir) as store:
            store.begin(config)
            story = Story(store, data, patch)
            story.tell(STARTED)
            story.tell(begun)
            store.record_score(TEACHER, Score(0.6, 0.55))
            store.record_score(Trial(NONE, 100, 0), Score(0.3))
            story.search()
            story.judge()
            story.now += 50
            if ended:
                story.tell(ended)
            story.now += 1000
            agree(work_dir)  # this process holds the store: the run goes on, or is finished
        agree(work_dir)


def agree(work_dir: Path) -> None:
    run, status = collect(work_dir), read_status(work_dir)
    with opened(work_dir) as summary:
        shown, ranking = summary.to_json(), summary.ranking()
        champions = summary.champions(ranking)
        winner = summary.winner(ranking)
    assert run.state == status["state"]
    assert status["process"] is None or str(os.getpid()) in status["process"]
    assert 3600 * run.hours == pytest.approx(shown["wall_seconds"]["at_work"], abs=0.1)
    if run.state != "running":
        assert status["elapsed_seconds"] == pytest.approx(3600 * run.hours)
    assert [one.text for one in run.ranking] == [one.text for one in ranking]
    assert {niche: one.candidate.text for niche, one in run.champions.items()} == {
        niche: one.text for niche, one in champions.items()
    }
    assert status["trained"] == len(ranking)
    assert (run.winner.candidate.text if run.winner else None) == (winner.text if winner else None)
    assert run.won == (shown["best"] is not None and shown["best"]["standing"] == "winner")
    assert list(run.cut) == shown["cut"]
    assert list(run.references.alone_test) == shown["baseline"]["test_ap"]
    final = shown["final"] or {"finalists": [], "dropped": []}
    for side in ("finalists", "dropped"):
        ours, theirs = getattr(run, side), final[side]
        assert [one.finalist.role for one in ours] == [row["role"] for row in theirs]
        assert [list(one.test_aps) for one in ours] == [row["test_ap"] for row in theirs]
    if run.winner is not None and run.won:
        gain = run.winner.gain.to_json() if run.winner.gain else None
        assert gain == shown["best"]["gain"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a made run is bound to."""
    folder = tmp_path_factory.mktemp("made")
    made_run.make_run(folder, 10, judged=False, proxy={"iterations": 100}, verdict={"seeds": SEEDS})
    with Store.open(folder, readonly=True) as store:
        return store.bound_to()
