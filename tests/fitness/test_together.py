from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.config import load_config
from detkds_gp.errors import ConfigError, DetectorError, StoreError
from detkds_gp.fitness import PackRequest, ProxyTask, ProxyTraining, ProxyWorker, StartRequest
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.score import Score, Trial

FORMULAS = (
    "none",
    "1 * 1 * l2(global)",
    "1 * 0.5 * l1(shared_mask(global, 0.35))",
    "1 * 1 * binary_kl(units(class_logits, 1))",
)


def with_settings(task: ProxyTask, **settings: Any) -> ProxyTask:
    return replace(task, settings=task.settings.model_copy(update=settings))


def parse(text: str, task: ProxyTask) -> Distiller:
    return parse_distiller(text, task.primitive_set)


def untimed(scores: list[Score]) -> list[Score]:
    return [replace(score, wall_seconds=0.0) for score in scores]


@pytest.mark.parametrize("kept", [True, False])
def test_candidates_trained_together_get_the_scores_they_get_alone(kept: bool, task: ProxyTask) -> None:
    task = task if kept else replace(task, teacher_outputs=None)
    trials = [Trial(text, 3, 0, test=True) for text in FORMULAS]
    alone = [ProxyTraining(task)(trial) for trial in trials]
    assert untimed(ProxyTraining(task).together(trials)) == untimed(alone)
    assert len({score.test_ap for score in alone}) > 1


def test_the_teachers_outputs_are_the_same_kept_or_asked(task: ProxyTask) -> None:
    trial = Trial(FORMULAS[3], 3, 0)
    asked = ProxyTraining(replace(task, teacher_outputs=None))(trial)
    assert untimed([asked]) == untimed([ProxyTraining(task)(trial)])


def test_a_coarse_precision_holds_for_a_teacher_that_is_asked(task: ProxyTask) -> None:
    coarse = with_settings(replace(task, teacher_outputs=None), teacher_precision="float16")
    proxy = ProxyTraining(coarse)
    model = proxy.model(parse(FORMULAS[1], task), seed=0)
    _, outputs = next(proxy.batches(0, model))
    assert outputs is not None
    assert all(torch.equal(level, level.half().float()) for level in outputs["global"])


def test_one_failure_leaves_the_others_alone(task: ProxyTask) -> None:
    trials = [Trial(text, 3, 0) for text in ("1 * 1e39 * l2(global)", FORMULAS[1])]
    failed, sound = ProxyTraining(task).together(trials)
    assert failed.failure == "nonfinite"
    assert untimed([sound]) == untimed([ProxyTraining(task)(trials[1])])


def test_only_what_differs_in_the_distiller_is_trained_together(task: ProxyTask) -> None:
    with pytest.raises(ValueError, match="differ in the distiller alone"):
        ProxyTraining(task).together([Trial("none", 2, 0), Trial("none", 3, 0)])


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_training_continued_from_a_rung_equals_one_that_starts_over(
    decay: float, task: ProxyTask, tmp_path: Path
) -> None:
    climbing = with_settings(replace(task, files=tmp_path), iterations=6, rungs=(2, 4), decay=decay)
    trials = [Trial(FORMULAS[2], iterations, 0) for iterations in (2, 4, 6)]
    climbed, waiting = [], []
    for trial in trials:
        climbed.append(ProxyTraining(climbing)(trial))  # as if each were another process
        waiting.append(sorted(path.name.split("-")[1] for path in climbing.rungs.glob("*.pt")))
    assert waiting == [["2.pt"], ["4.pt"], []]
    over = [ProxyTraining(replace(climbing, files=tmp_path / str(n)))(trial) for n, trial in enumerate(trials)]
    assert untimed(climbed) == untimed(over)


def test_the_weights_of_a_continued_training_are_bitwise_those_of_one_run(task: ProxyTask, tmp_path: Path) -> None:
    def reached(rungs: tuple[int, ...], folder: str) -> dict[str, torch.Tensor]:
        climbing = with_settings(replace(task, files=tmp_path / folder), iterations=8, rungs=rungs)
        for rung in rungs[:-1]:
            ProxyTraining(climbing)(Trial(FORMULAS[2], rung, 0))
        assert ProxyTraining(climbing)(Trial(FORMULAS[2], rungs[-1], 0)).ok
        (path,) = climbing.rungs.glob(f"*-{rungs[-1]}.pt")
        state = torch.load(path, weights_only=True)
        return {**state["model"], **{f"average.{name}": weight for name, weight in state["average"].items()}}

    once, twice = reached((5,), "once"), reached((2, 5), "twice")
    assert once.keys() == twice.keys()
    assert "average.module.backbone.conv1.weight" in once
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_broken_file_of_a_rung_costs_time_and_changes_no_score(task: ProxyTask, tmp_path: Path) -> None:
    climbing = with_settings(replace(task, files=tmp_path), iterations=4, rungs=(2,))
    trial = Trial(FORMULAS[1], 4, 0)
    wanted = ProxyTraining(climbing)(trial)
    ProxyTraining(climbing)(Trial(FORMULAS[1], 2, 0))
    (path,) = climbing.rungs.glob("*.pt")
    path.write_bytes(path.read_bytes()[:100])
    assert untimed([ProxyTraining(climbing)(trial)]) == untimed([wanted])


def test_trainings_from_a_half_trained_student_go_on_where_it_stopped(task: ProxyTask, tmp_path: Path) -> None:
    half = with_settings(replace(task, files=tmp_path), start="half_trained", start_iterations=3, warmup=0)
    assert ProxyWorker(half)()(StartRequest(0)) is None
    started = torch.load(half.start(0), weights_only=True)
    proxy = ProxyTraining(half)
    assert all(torch.equal(started[name], x) for name, x in proxy.student(0).state_dict().items())
    model = proxy.model(parse("none", task), 0)
    late, early = next(proxy.batches(0, model)), next(ProxyTraining(task).batches(0, model, begin=3))
    assert [s.img_id for s in late[0]["data_samples"]] == [s.img_id for s in early[0]["data_samples"]]


@pytest.mark.parametrize("text", FORMULAS[:3])
def test_a_trained_model_is_the_one_that_is_scored(text: str, task: ProxyTask, tmp_path: Path) -> None:
    half = with_settings(
        replace(task, files=tmp_path), start="half_trained", start_iterations=3, iterations=4, rungs=(2,)
    )
    assert ProxyWorker(half)()(StartRequest(0)) is None
    proxy, trial = ProxyTraining(half), Trial(text, 2, 0)
    assert proxy(trial).ok
    (waiting,) = half.rungs.glob("*.pt")
    state = torch.load(waiting, weights_only=True)
    beside = {name: weight for name, weight in state["model"].items() if not name.startswith("student.")}
    average = {name.removeprefix("module."): weight for name, weight in state["average"].items() if "." in name}
    found = ProxyTraining(half).trained(trial)
    assert all(torch.equal(found.state_dict()[name], weight) for name, weight in beside.items())
    assert all(torch.equal(found.student.state_dict()[name], weight) for name, weight in average.items())
    proxy = ProxyTraining(half)
    assert proxy(replace(trial, test=True)).test_ap == proxy.evaluate(found.student, "test")


def test_the_average_is_scored_and_the_training_goes_on_with_the_weights(task: ProxyTask, tmp_path: Path) -> None:
    trial, score = Trial(FORMULAS[2], 6, 0), {}
    for average in (0.0, 0.97):
        settings = {"iterations": 6, "rungs": (4,), "average": average}
        climbing = with_settings(replace(task, files=tmp_path / str(average)), **settings)
        proxy = ProxyTraining(climbing)
        proxy(replace(trial, iterations=4))
        (waiting,) = climbing.rungs.glob("*.pt")
        score[average] = torch.load(waiting, weights_only=True)["model"], proxy.trained(trial).student.state_dict()
    (last, scored_last), (live, averaged) = score[0.0], score[0.97]
    assert all(torch.equal(weight, live[name]) for name, weight in last.items())
    assert any(not torch.equal(weight, averaged[name]) for name, weight in scored_last.items())


def test_a_model_that_cannot_be_trained_is_told(task: ProxyTask) -> None:
    with pytest.raises(DetectorError, match=r"under 1 \* 1e39 \* l2.global. fails to train: nonfinite"):
        ProxyTraining(task).trained(Trial("1 * 1e39 * l2(global)", 2, 0))


def test_a_half_trained_student_that_is_missing_is_named(task: ProxyTask, tmp_path: Path) -> None:
    half = with_settings(replace(task, files=tmp_path), start="half_trained")
    with pytest.raises(StoreError, match=r"cannot read the student .*start-0\.pt.*start again"):
        ProxyTraining(half)(Trial("none", 1, 0))


def test_a_worker_trains_a_pack(task: ProxyTask) -> None:
    trials = tuple(Trial(text, 2, 0) for text in FORMULAS[:2])
    answer = ProxyWorker(task)()(PackRequest(trials))
    assert isinstance(answer, list)
    assert untimed(answer) == untimed([ProxyTraining(task)(trial) for trial in trials])


def test_autocast_covers_the_detectors_only(task: ProxyTask) -> None:
    exact, coarse = ProxyTraining(task), ProxyTraining(with_settings(task, autocast="bfloat16"))
    trial = Trial(FORMULAS[1], 3, 0, test=True)
    assert coarse(trial).ok
    assert coarse(trial).test_ap != exact(trial).test_ap


@pytest.mark.parametrize("rungs", [(4, 2), (10,), (3, 3)])
def test_rungs_rise_below_the_whole_training(rungs: tuple[int, ...], tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match=r"proxy\.rungs are .*wanted rising numbers below"):
        load_config(tiny_config, {"proxy.rungs": rungs, "proxy.iterations": 10})
