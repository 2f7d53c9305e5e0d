"""The moving average of weights: against numpy, step by step, whole and interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from detkds_gp.detectors import Pair
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import DETKDS
from detkds_gp.training import DistilledDetector, OptimizerSettings, Training, train
from detkds_gp.training.loop import AveragedStudent

Builder = Callable[[], Any]
Weights = dict[str, np.ndarray]
STEPS = 12


def recorded(module: nn.Module) -> Weights:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def slow_average(steps: list[Weights], decay: float) -> Weights:
    """Average recorded weights one after the other, in double precision; whole numbers are the last ones."""
    average = {name: value.astype(float) for name, value in steps[0].items()}
    for t, weights in enumerate(steps[1:]):
        kept = min(decay, (t + 1) / (t + 10))
        for name, value in weights.items():
            whole = np.issubdtype(value.dtype, np.integer)
            average[name] = value if whole else kept * average[name] + (1 - kept) * value
    return average


def distilled(student: Builder, teacher: Builder, pair: Pair) -> DistilledDetector:
    loss = DistillationLoss("l2(shared_mask(global, 0.35))", DETKDS)
    return DistilledDetector(student(), loss, pair, teacher(), torch.Generator().manual_seed(5))


@pytest.mark.parametrize("decay", [0.4, 0.97])
def test_the_average_is_that_of_all_weights_and_buffers(
    decay: float, student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]
) -> None:
    training = Training(distilled(student, teacher, pair), OptimizerSettings(average=decay, warmup=2), STEPS, seed=0)
    steps = []
    for _ in range(STEPS):
        training.step(batch)
        steps.append(recorded(training.model.student))
    found, wanted = recorded(training.student), slow_average(steps, decay)
    assert found.keys() == wanted.keys()
    assert any(name.endswith("running_var") for name in found)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6)
    counts = [value for name, value in found.items() if name.endswith("num_batches_tracked")]
    assert counts == [STEPS] * len(counts)
    moved = [name for name, value in found.items() if not np.array_equal(value, steps[-1][name])]
    assert len(moved) > len(found) / 2


def test_averaging_does_not_change_the_training(student: Builder, batch: dict[str, Any]) -> None:
    ended = []
    for decay in (0.0, 0.97):
        training = Training(DistilledDetector(student()), OptimizerSettings(average=decay), 3, seed=0)
        for _ in range(3):
            training.step(batch)
        ended.append(recorded(training.model.student))
        assert (training.student is training.model.student) == (decay == 0)
    assert all(np.array_equal(value, ended[1][name]) for name, value in ended[0].items())


@pytest.mark.parametrize("interrupted", range(4))
def test_an_interrupted_training_has_the_same_average_to_the_last_bit(
    interrupted: int, student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]
) -> None:
    def begun() -> Training:
        return Training(distilled(student, teacher, pair), OptimizerSettings(warmup=2), 4, seed=0)

    whole, first, second = begun(), begun(), begun()
    for _ in range(4):
        whole.step(batch)
    for _ in range(interrupted):
        first.step(batch)
    second.load_state_dict(first.state_dict())
    while second.iteration < 4:
        second.step(batch)
    wanted = recorded(whole.student)
    assert all(np.array_equal(value, wanted[name]) for name, value in recorded(second.student).items())


def test_a_finished_model_holds_what_is_scored(student: Builder, batch: dict[str, Any]) -> None:
    model, settings = DistilledDetector(student()), OptimizerSettings(warmup=0)
    train(model, [(batch, None)] * 3, settings, 3, seed=0)
    training = Training(DistilledDetector(student()), settings, 3, seed=0)
    for _ in range(3):
        training.step(batch)
    wanted = recorded(training.student)
    assert all(np.array_equal(value, wanted[name]) for name, value in recorded(model.student).items())
    assert any(not np.array_equal(value, wanted[name]) for name, value in recorded(training.model.student).items())


def test_the_teacher_is_not_averaged_and_the_average_asks_for_no_gradient(
    student: Builder, teacher: Builder, pair: Pair, batch: dict[str, Any]
) -> None:
    training = Training(distilled(student, teacher, pair), OptimizerSettings(), 1, seed=0)
    training.step(batch)
    assert not any("teacher" in name for name in training.state_dict()["average"])
    assert not any(parameter.requires_grad for parameter in training.student.parameters())


def test_a_weight_that_stays_is_averaged_to_itself() -> None:
    module = nn.BatchNorm1d(3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.1, -3e-8, 7.7e12]))
    average = AveragedStudent(module, 0.97)
    for _ in range(30):
        average.update_parameters(module)
    assert torch.equal(average.module.weight, module.weight)
