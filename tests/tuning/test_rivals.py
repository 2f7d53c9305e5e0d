"""Rivals of the analytic experiment, whose best weights are known."""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.primitives import DETKDS
from detkds_gp.results import opened
from detkds_gp.run.verify import verify
from detkds_gp.steering import read_status
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD, RIVALS_TUNED

from ..scripts import benchmark

analytic = benchmark("analytic")
RIVALS = {"PKD": "1 * 25 * l2(standardize_channel(global))", "logits": "1 * calibrated * l1(class_logits)"}


class Said(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def run(work_dir: Path, said: Listener | None = None, **options: Any) -> Any:
    verdict = {"seeds": (11, 12), "rivals": RIVALS, "share": 0.9, "tuning": 12, "finalists": 1}
    given = {"execution": {"executor": "serial"}, "verdict": verdict, "screening": {"off": ("zero",)}, **options}
    return analytic.make_experiment(work_dir, analytic.Analytic(0.0), **given).run(said)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a finished run."""
    folder = tmp_path_factory.mktemp("rivals") / "run"
    run(folder)
    return folder


class Asking(Listener):
    """Asks for the status of a run as each phase begins."""

    def __init__(self, work_dir: Path) -> None:
        self.work_dir, self.told = work_dir, {}

    def phase(self, name: str, total: int, known: int, besides: int = 0) -> None:
        self.told[name] = read_status(self.work_dir)


def test_the_status_names_the_tuning_and_counts_its_trainings(tmp_path: Path) -> None:
    asking = Asking(tmp_path)
    run(tmp_path, asking)
    told = asking.told["tuning logits"]
    assert (told["phase"], told["total"]) == ("tuning the weights of rivals", 24)
    assert 12 <= told["done"] < 24
    assert asking.told["final round"]["phase"] == "final round"


def judged(folder: Path) -> list[dict[str, Any]]:
    with Store.open(folder, readonly=True) as store:
        (event,) = store.events(FINAL_HELD)
    return list(event.detail["finalists"])


def test_rivals_are_judged_at_the_weight_they_came_with_and_at_their_best(work_dir: Path) -> None:
    pkd = [one for one in judged(work_dir) if one["role"] == "PKD"]
    (logits,) = [one for one in judged(work_dir) if one["role"] == "logits"]
    assert {one["weighed"] for one in pkd} == {f"tuned to {pkd[0]['weight']:g}, 12 trainings", "as given"}
    (given,) = [one for one in pkd if one["weighed"] == "as given"]
    assert (given["text"], given["weight"]) == (RIVALS["PKD"], 50.0)  # 25 at a scale of .5
    for one in (pkd[0], logits):
        (term,) = parse_distiller(one["text"], DETKDS).terms
        assert term.weight == one["weight"]
        assert abs(log10(one["weight"] / analytic.best_weight(term.formula))) < 0.5


def test_the_search_starts_from_the_rivals_at_their_best(work_dir: Path) -> None:
    """Their scores are known, so its leader is at least as good as the best of them."""
    with Store.open(work_dir, readonly=True) as store:
        (event,) = store.events(RIVALS_TUNED)
        best = [one["tuned"] or one["given"] for one in event.detail["rivals"]]
        expected = max(one["expected"] for one in event.detail["rivals"])
        first = store.steering("divide", -1) or {}
        born = {birth.text: (birth.stage, birth.generation) for birth in store.births()}
        assert len(first["injected"]) == len(RIVALS)
        assert {born[text] for text in first["injected"]} == {("divide", 0)}
        assert {one["text"] for one in best if one["weighed"].startswith("tuned")} <= set(first["injected"])
    with opened(work_dir) as summary:
        assert (summary.ranking()[0].ap or 0.0) >= expected
    found = verify(work_dir)
    assert (found.differences, found.complete) == ((), True)


def test_what_is_shown_says_which_weight_and_why(work_dir: Path) -> None:
    summary = run(work_dir).summary
    told = {row["role"]: row for row in summary["final"]["finalists"] if row["weighed"].startswith("tuned")}
    assert told["logits"]["weighed"] == f"tuned to {told['logits']['weight']:g}, 12 trainings"
    leader = summary["final"]["finalists"][0]
    assert (leader["role"], leader["weighed"], leader["weight"]) == ("leader", "", None)


def test_tuning_is_replayed_and_costs_nothing_again(work_dir: Path) -> None:
    before = analytic.history(work_dir)
    run(work_dir)
    assert analytic.history(work_dir) == before
    assert len(judged(work_dir)) == len({one["text"] for one in judged(work_dir)})
    assert verify(work_dir).differences == ()


def test_without_tuning_rivals_are_judged_as_they_came(tmp_path: Path) -> None:
    verdict = {"seeds": (11, 12), "rivals": RIVALS, "share": 0.9, "tuning": 0, "finalists": 1}
    run(tmp_path, verdict=verdict)
    rivals = {one["role"]: one["weighed"] for one in judged(tmp_path) if one["role"] in RIVALS}
    assert rivals == {"PKD": "as given", "logits": "calibrated, not tuned"}


def test_a_budget_counts_the_tuning(tmp_path: Path) -> None:
    said = Said()
    run(tmp_path, said, budget="36")
    with Store.open(tmp_path, readonly=True) as store:
        assert sum(record.trial.iterations > 0 for record in store.scores()) <= 36
    assert any("tune the weight of each rival instead of 12" in line for line in said.lines)
