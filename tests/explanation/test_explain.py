"""What explains a winner: parts that can be left out, each trained like any other, and pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from detkds_gp.errors import StoreError
from detkds_gp.explanation import recorded_config
from detkds_gp.explanation.explain import ablations
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.report import collect, render_report
from detkds_gp.results import Summary
from detkds_gp.run import Experiment, Outcome
from detkds_gp.run.verify import verify
from detkds_gp.store import ScoreRecord, Store

TWO = "2 * calibrated * l2(unit_channel(max_pool_2(global))) + 1 * calibrated * l1(class_map)"


def test_ablations_are_the_terms_then_the_calls_that_something_can_stand_in_for() -> None:
    found = [(one.kind, one.removed, one.left, one.distiller.text) for one in ablations(parse(TWO), DETKDS)]
    assert found == [
        ("term", "l2(unit_channel(max_pool_2(global)))", "", "1 * calibrated * l1(class_map)"),
        ("term", "l1(class_map)", "", "2 * calibrated * l2(unit_channel(max_pool_2(global)))"),
        (
            "subtree", "unit_channel(max_pool_2(global))", "max_pool_2(global)",
            "2 * calibrated * l2(max_pool_2(global)) + 1 * calibrated * l1(class_map)",
        ),
        (
            "subtree", "max_pool_2(global)", "global",
            "2 * calibrated * l2(unit_channel(global)) + 1 * calibrated * l1(class_map)",
        ),
    ]  # fmt: skip


def test_both_sides_of_a_sum_are_left_out_in_turn() -> None:
    text = "1 * calibrated * add(l1(global), l2(global))"
    found = {one.distiller.text for one in ablations(parse_distiller(text, OMNI), OMNI)}
    assert found == {"1 * calibrated * l1(global)", "1 * calibrated * l2(global)"}


def test_a_lone_distance_has_nothing_to_leave_out() -> None:
    assert ablations(parse("1 * calibrated * l2(global)"), DETKDS) == []


def parse(text: str):
    return parse_distiller(text, DETKDS)


@pytest.fixture
def work_dir(finished: Outcome, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.work_dir, tmp_path / "copied"))


@pytest.mark.slow
def test_a_winner_is_explained_within_a_budget_and_once(work_dir: Path) -> None:
    before, cost = len(stored(work_dir)), collect(work_dir).training_hours
    experiment = Experiment(recorded_config(work_dir), work_dir)
    first = experiment.explain(4)
    assert first.pictures
    assert 2 <= first.spent <= 4  # a winner of one part has no ablations
    assert len(stored(work_dir)) == before + first.spent - 2  # the students of the pictures are no new answers
    second = experiment.explain(100)
    assert second.left == 0
    assert experiment.explain(100).spent == 0
    assert verify(work_dir).differences == ()

    run = collect(work_dir)
    assert run.state == "finished"
    assert run.training_hours == pytest.approx(cost, rel=1e-9)  # what explains a winner is no cost of the search
    assert run.explanation is not None
    assert run.winner is not None
    removed = ablations(parse(run.winner.candidate.text), DETKDS)
    assert {row.removed for row in run.explanation.ablations} == {one.removed for one in removed}
    trained = [row for row in run.explanation.ablations if row.change is not None]
    assert all(row.pairs == len(run.config["verdict"]["seeds"]) for row in trained)
    assert len(run.explanation.pictures) == 3
    html = render_report(run, DETKDS)
    painted = len(list((work_dir / "explain").iterdir())), len(list((work_dir / "pictures").glob("*.jpg")))
    assert all(painted)
    assert html.count("data:image/jpeg;base64,") == sum(painted)
    for path in (work_dir / "explain").iterdir():
        assert min(Image.open(path).size) >= 32


def test_ablations_are_trained_in_pairs_within_the_budget(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A winner of several parts, whatever the tiny search found; the last of them, whose parts nobody judged yet."""
    mixed = lambda self, ranking: [one for one in ranking if len(one.distiller.terms) > 1][-1]  # noqa: E731
    monkeypatch.setattr(Summary, "winner", mixed)
    before = {record.trial for record in stored(work_dir)}
    found = Experiment(recorded_config(work_dir), work_dir).explain(4)
    trained = [record.trial for record in stored(work_dir) if record.trial not in before]
    assert (found.spent, len(trained)) == (4, 2)
    assert len({trial.seed for trial in trained}) == 2
    assert all(trial.test for trial in trained)


def test_a_picture_outside_of_its_folder_is_not_read(work_dir: Path) -> None:
    run = collect(work_dir)
    assert run.winner is not None
    (work_dir / "secret.jpg").write_bytes(b"secret")
    images = [{"name": "x", "detections": {"teacher": "../secret.jpg"}, "pulls": {}}]
    with Store.open(work_dir) as store:
        pictures = {"classes": [], "images": images}
        store.record_event("explained", winner=run.winner.candidate.text, ablations=[], pictures=pictures)
    explanation = collect(work_dir).explanation
    assert explanation is not None
    assert explanation.pictures[0].detections == {"teacher": ""}


def test_a_store_that_does_not_say_its_config_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.record_event("started")
    with pytest.raises(StoreError, match="gp_search run CONFIG"):
        recorded_config(tmp_path)


def stored(work_dir: Path) -> list[ScoreRecord]:
    with Store.open(work_dir, readonly=True) as store:
        return list(store.scores())
