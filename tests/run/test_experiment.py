"""A tiny experiment, end to end: what it has found and recorded, and what it refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from detkds_gp.errors import DetectorError, StoreError
from detkds_gp.results import expected_aps
from detkds_gp.run import Experiment, Outcome
from detkds_gp.store import Store

from .runs import rows, untimed


def test_the_leader_has_the_highest_expected_ap_of_the_search(finished: Outcome) -> None:
    with Store.open(finished.work_dir, readonly=True) as store:
        searched = {birth.text for birth in store.births()}
        known = [r for r in store.scores() if r.trial.distiller in searched and not r.trial.test]
        expected = {text: one.ap for text, one in expected_aps(store).items()}
        highest = max(expected.values())
        best = {store.resolved(r.trial) for r in known if expected.get(r.trial.distiller) == highest}
    assert finished.hall_of_fame[0].fitness.values[0] == highest
    first = finished.summary["final"]["finalists"][0]
    assert first["role"] == "leader"
    assert first["formula"] in best  # the first of several that share the highest AP


def test_the_winner_is_chosen_on_selection_among_all_that_were_judged(finished: Outcome) -> None:
    rows = finished.summary["final"]["finalists"]
    best = finished.summary["best"]
    assert best["formula"] == max(rows, key=lambda row: sum(row["selection_ap"]))["formula"] == finished.best.text
    assert not finished.best.uncalibrated
    assert {path.name for path in finished.work_dir.iterdir()} >= {"distiller.json", "tree.png"}
    assert finished.logbook.select("stage")[0] == "divide"


def test_what_happened_is_recorded_in_order(finished: Outcome) -> None:
    with Store.open(finished.work_dir, readonly=True) as store:
        often = ("worked", "planned", "noise of scores", "measured")
        kinds = [event.kind for event in store.events() if event.kind not in often]
        told = [event.detail["trial"] for event in store.events() if event.kind == "measured"]
        assert told == [vars(r.trial) for r in store.scores() if r.trial.test and r.score.ok]  # of these alone, once
    assert kinds[:4] == ["named", "started", "pace", "final round planned"]
    assert kinds[4:6] == ["learning curve", "learning curve"]  # of student and teacher, as they are trained
    assert kinds[6:] == ["tuning planned", "rivals tuned", "search planned", "final round", "finished"]


def test_generated_candidates_are_all_accounted_for(finished: Outcome) -> None:
    counts = dict(finished.summary["counts"])
    assert counts.pop("generated") == sum(counts.values()) > 0


def test_a_finished_run_started_again_trains_nothing(tiny_config: Path, finished: Outcome, copied: Path) -> None:
    before = rows(copied)
    outcome = Experiment.from_config(tiny_config, copied).run()
    assert untimed(outcome.summary) == untimed(finished.summary)
    assert rows(copied) == before


def test_deleted_files_are_made_again(tiny_config: Path, finished: Outcome, copied: Path) -> None:
    for name in ("teacher-outputs.pt", "probe.pt", "tree.png"):
        (copied / name).unlink()
    outcome = Experiment.from_config(tiny_config, copied).run()
    assert untimed(outcome.summary) == untimed(finished.summary)
    for name in ("teacher-outputs.pt", "probe.pt", "tree.png"):
        assert (copied / name).read_bytes() == (finished.work_dir / name).read_bytes()


def test_a_changed_config_is_refused_and_says_what_differs(tiny_config: Path, copied: Path) -> None:
    changed = {"seed": 5, "proxy.iterations": 3}
    with pytest.raises(StoreError) as refusal:
        Experiment.from_config(tiny_config, copied, **changed).run()
    assert "config.seed: 0 -> 5" in str(refusal.value)
    assert "config.proxy.iterations: 2 -> 3" in str(refusal.value)


def test_a_detector_config_that_changed_in_its_file_is_refused(tiny_config: Path, copied: Path) -> None:
    override = {"student.overrides": {"model.bbox_head.stacked_convs": 2}}
    with pytest.raises(StoreError, match="detectors.student"):
        Experiment.from_config(tiny_config, copied, **override).run()


def test_where_it_runs_does_not_bind_a_work_directory(tiny_config: Path, copied: Path) -> None:
    options = {"execution.time_limit_seconds": 5, "cache_dir": str(copied)}
    assert Experiment.from_config(tiny_config, copied, **options).run().best.terms


def test_a_teacher_that_is_no_better_stops_the_run(tiny_config: Path, finished: Outcome, copied: Path) -> None:
    ceiling, alone = (finished.summary[who]["selection_ap"] for who in ("teacher", "baseline"))
    assert ceiling <= max(alone), "the tiny teacher learns too much for this test"
    strict = Experiment.from_config(tiny_config, copied, require_better_teacher=True)
    with pytest.raises(DetectorError, match=f"{ceiling:.3f}.*{max(alone):.3f}.*require_better_teacher=False"):
        strict.run()


def test_broken_teacher_outputs_are_named(tiny_config: Path, copied: Path) -> None:
    (copied / "teacher-outputs.pt").write_bytes(b"no tensors")
    with Store.open(copied, readonly=True) as store:
        text = next(birth.text for birth in store.births() if birth.generation == 1)
    with sqlite3.connect(copied / "store.sqlite") as database:
        database.execute("DELETE FROM scores WHERE distiller = ?", (text,))
    with pytest.raises(StoreError, match=r"teacher-outputs\.pt.*delete the file"):
        Experiment.from_config(tiny_config, copied).run()


def test_a_student_that_fails_alone_is_named(tiny_config: Path, tmp_path: Path) -> None:
    wild = {"proxy.optimizer": {"type": "SGD", "lr": 1e12}, "proxy.clip_norm": 0}
    with pytest.raises(DetectorError, match=r"student alone fails.*(nonfinite|diverged).*optimizer\.lr"):
        Experiment.from_config(tiny_config, tmp_path / "wild", **wild).run()
