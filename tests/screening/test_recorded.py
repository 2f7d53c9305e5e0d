"""Screening in a run: recorded, shared, replayed, and never computed twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detkds_gp.config import parse_config
from detkds_gp.errors import ConfigError
from detkds_gp.primitives import DETKDS
from detkds_gp.results import screening_counts
from detkds_gp.run.verify import verify
from detkds_gp.score import Screening
from detkds_gp.screening import CHECK_NAMES, Fingerprint, NotRecordedError, RecordedScreener
from detkds_gp.screening.fingerprint import WIDTH
from detkds_gp.screening.probes import POINTS
from detkds_gp.store import Merge, Store

from ..scripts import benchmark

analytic = benchmark("analytic")


def pointing(angle: float) -> Screening:
    vector = np.zeros((POINTS, WIDTH), np.float32)
    vector[:, :2] = np.cos(angle), np.sin(angle)
    return Screening(fingerprint=Fingerprint(("global",), vector).text)


ANSWERS = {
    "l1(global)": pointing(1.0),
    "l2(global)": pointing(2.0),
    "cosine(global)": pointing(1.0),
    "smooth_l1(global)": Screening("rejected:zero", "not zero"),
    "l2(shared_mask(global, 0.5))": Screening(),
    "l1(shared_mask(global, 0.5))": Screening(),
    "l1(class_logits)": pointing(1.0),
}


class Asked:
    def __init__(self) -> None:
        self.formulas: list[str] = []

    def __call__(self, formulas: Sequence[str]) -> Mapping[str, Screening]:
        self.formulas += formulas
        return {formula: ANSWERS[formula] for formula in reversed(formulas)}


def test_findings_follow_the_order_asked_and_are_recorded(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        screener = RecordedScreener(store, DETKDS, Asked())
        findings = dict(zip(ANSWERS, screener(list(ANSWERS)), strict=True))
        assert findings["cosine(global)"].twin == "l1(global)"  # the first asked, not the first answered
        rejection = findings["smooth_l1(global)"].rejection
        assert rejection is not None
        assert rejection.failure == "rejected:zero"
        others = [f for name, f in findings.items() if name not in ("cosine(global)", "smooth_l1(global)")]
        assert all(f.twin is None and f.rejection is None for f in others)
        assert store.merges() == [Merge("cosine(global)", "l1(global)")]
        assert screening_counts(store) == {"screened": 7, "same": 1, "rejected": {"zero": 1}}


def test_what_is_recorded_is_not_asked_again(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        before = RecordedScreener(store, DETKDS, Asked())(list(ANSWERS)[:2])
    with Store.open(tmp_path) as store:
        asked = Asked()
        screener = RecordedScreener(store, DETKDS, asked)
        assert screener(list(ANSWERS)[:2]) == before
        assert asked.formulas == []
        assert screener(["cosine(global)"])[0].twin == "l1(global)"  # its fingerprint was read from the store
        assert asked.formulas == ["cosine(global)"]
    with Store.open(tmp_path, readonly=True) as store, pytest.raises(NotRecordedError):
        RecordedScreener(store, DETKDS)(["smooth_l1(global)"])


def test_a_merge_that_is_recorded_is_not_decided_again(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        RecordedScreener(store, DETKDS, Asked())(["l1(global)", "l2(global)", "cosine(global)"])
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute("UPDATE merges SET canonical = 'l2(global)'")
    with Store.open(tmp_path) as store:
        assert RecordedScreener(store, DETKDS)(["cosine(global)"])[0].twin == "l2(global)"


def test_formulas_asked_together_are_recorded_together(tmp_path: Path) -> None:
    def broken(formulas: Sequence[str]) -> Mapping[str, Screening]:
        return {formulas[0]: ANSWERS[formulas[0]]}

    with Store.open(tmp_path) as store:
        with pytest.raises(KeyError):
            RecordedScreener(store, DETKDS, broken)(["l1(global)", "l2(global)"])
        assert store.screenings() == []


def run(work_dir: Path, **options: Any) -> Any:
    experiment = analytic.make_experiment(
        work_dir, analytic.Analytic(0.0), **{"execution": {"executor": "serial"}, **options}
    )
    return experiment.run()


def test_a_run_shares_one_training_among_the_same_losses(tmp_path: Path) -> None:
    sizes = {"population": 6, "offspring": 6, "generations": 9}
    counts = run(tmp_path, search={"divide": sizes, "conquer": sizes}).summary["counts"]
    with Store.open(tmp_path, readonly=True) as store:
        told, same = screening_counts(store), {merge.other: merge.canonical for merge in store.merges()}
        births = [birth for birth in store.births() if birth.stage == "divide"]
    assert told["same"] > 3
    assert told["rejected"]["zero"] > 1
    divided = [birth.text.split(" * ") for birth in births]
    trained_as = [(round(6 * log10(float(weight))), same.get(tree, tree)) for weight, _, tree in divided]
    assert len(trained_as) == len(set(trained_as))
    assert counts["rejected"] >= told["rejected"]["zero"]  # a tree may be drawn at several weights
    assert counts["generated"] == sum(counts.values()) - counts["generated"]
    assert verify(tmp_path).complete


def test_switched_off_altogether_nothing_is_screened(tmp_path: Path) -> None:
    run(tmp_path, screening={"off": CHECK_NAMES, "identity": False})
    with Store.open(tmp_path, readonly=True) as store:
        assert store.screenings() == []
    assert verify(tmp_path).complete


def test_a_deleted_screening_is_found_out(tmp_path: Path) -> None:
    run(tmp_path)
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute("DELETE FROM screenings WHERE position = 20")
    found = verify(tmp_path)
    assert not found.complete
    assert any("never comes to it" in line for line in found.differences)


def test_an_unknown_check_is_named() -> None:
    split = {"ann_file": "none.json", "images": "none"}
    values = {
        "student": {"config": "a.py"},
        "teacher": {"config": "a.py"},
        "data": dict.fromkeys(("train", "selection", "test"), split),
        "screening": {"off": ["zeroo"]},
    }
    with pytest.raises(ConfigError, match="no check; did you mean 'zero'"):
        parse_config(values)
