"""Probes of a real pair: the outputs on some images, as if they alone were the batch."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detkds_gp.fitness import ProxyTask, ProxyTraining, probes_of
from detkds_gp.fitness.probing import LARGEST_SIDE
from detkds_gp.fitness.worker import ProxyWorker, ScreenRequest
from detkds_gp.language import Declaration, Distance, Loss, Map, PrimitiveSet, Transform, parse_distiller, verdicts
from detkds_gp.primitives import distances, inputs
from detkds_gp.screening import Probes, Screen, ScreeningSettings
from detkds_gp.screening.evidence import SMALLEST_STEP
from detkds_gp.training import train

sys.path.insert(0, str(Path(__file__).parents[1] / "screening"))
from broken_primitives import REJECTED, declared


@pytest.fixture(scope="module")
def probes(task: ProxyTask) -> Probes:
    return probes_of(ProxyTraining(task), 0)


def with_set(task: ProxyTask, *primitives: Declaration) -> tuple[ProxyTraining, PrimitiveSet]:
    kept = (inputs.global_, distances.l1, distances.l2, distances.kl, *primitives)
    own = PrimitiveSet("OWN", list(kept))
    return ProxyTraining(replace(task, primitive_set=own)), own


@pytest.mark.parametrize("case", REJECTED)
def test_what_is_forced_in_is_rejected_on_real_features(case: str, task: ProxyTask) -> None:
    formula, name, function, more, check = declared(case)
    values: dict[str, Any] = {"result": inputs.global_.result, **more}
    role = values.pop("role", Distance if values["result"] is Loss else Transform)
    values |= {} if role is Distance else {"shape": ""}
    function.__doc__ = "Break the contract."  # type: ignore[attr-defined]
    verdicts._passed.add(function)
    primitive = role(name=name, function=function, latex="#1", **values)
    proxy, own = with_set(task, primitive)
    assert Screen(probes_of(proxy, 0), own)(formula).failure == f"rejected:{check}"


def test_the_knowledge_of_some_images_is_that_of_the_batch_cut(probes: Probes) -> None:
    for name, levels in probes.far.knowledge.items():
        for level, pair in enumerate(levels):
            again, doubled = probes.reordered.knowledge[name][level], probes.doubled.knowledge[name][level]
            for side, other, twice in zip(pair, again, doubled, strict=True):
                halves = side.tensor_split(2)
                torch.testing.assert_close(other, torch.cat(halves[::-1]))
                torch.testing.assert_close(twice, torch.cat([*halves, *halves]))


def test_near_and_beyond_lie_on_the_line_through_teacher_and_student(probes: Probes) -> None:
    for level, (student, teacher) in enumerate(probes.far.knowledge["global"]):
        near, beyond = (p.knowledge["global"][level][0] - teacher for p in (probes.near, probes.beyond))
        torch.testing.assert_close(near, 0.1 * (student - teacher))
        factor = (beyond / (student - teacher)).detach()
        assert factor.max() < -3.9
        torch.testing.assert_close(factor, factor.mean().expand_as(factor), rtol=1e-3, atol=1e-3)
        assert beyond.square().mean().sqrt() > 3.9


def test_probes_repeat_and_leave_the_generators_alone(task: ProxyTask, probes: Probes) -> None:
    again = probes_of(ProxyTraining(task), 0)
    screens = [Screen(p, task.primitive_set) for p in (probes, again)]
    for formula in ("l2(global)", "kl(softmax_row(class_logits, 1))", "l2(shared_mask(global, 0.5))"):
        one, two = (screen(formula) for screen in screens)
        assert (one.failure, one.fingerprint) == (two.failure, two.fingerprint)
        assert one.failure is None


def test_every_probe_shows_an_object(probes: Probes, task: ProxyTask) -> None:
    assert probes.one.images == 1
    assert {p.images for p in (probes.far, probes.other)} == {2, 3}


def test_large_images_are_shrunk(task: ProxyTask) -> None:
    settings = task.settings.model_copy(update={"image_size": (320, 640)})
    outputs = replace(task, settings=settings, teacher_outputs=None)
    probes = probes_of(ProxyTraining(outputs), 0)
    (student, _), *_ = probes.far.knowledge["global"]
    assert student.shape[2:] == (80 // 8 + 2, LARGEST_SIDE // 8)  # 80 rounds up to 96 pixels
    assert probes.step is not None
    (whole, _), *_ = probes.step.probe.knowledge["global"]
    assert whole.shape[2:] == (320 // 8, 640 // 8)


def test_what_would_more_than_double_a_step_is_rejected_by_a_count(task: ProxyTask) -> None:
    proxy = ProxyTraining(task)
    probes = probes_of(proxy, 0)
    (term,) = parse_distiller("l1(global)", task.primitive_set).terms
    added = Screen(probes, task.primitive_set).evidence(term).added
    assert added is not None
    assert probes.step is not None
    whole = probes.step.probe
    written = sum(2 * student.numel() for student, _ in whole.knowledge["global"])  # differences, and their sizes
    assert added == pytest.approx(written / whole.images / max(probes.step.own, SMALLEST_STEP), rel=0.02)

    def repeated(x: torch.Tensor) -> torch.Tensor:
        """Go there and back many times."""
        for _ in range(int(2 / added)):
            x = (x / 2) * 2
        return x

    verdicts._passed.add(repeated)
    slow = Transform(name="slow", arguments=(Map,), result=Map, function=repeated, latex="#1", shape="")
    proxy, own = with_set(task, slow)
    screening = Screen(probes_of(proxy, 0), own)("l1(slow(global))")
    assert screening.failure == "rejected:step"
    assert "a training step takes more than 2 times as long with it (adds " in screening.detail


def test_screening_does_not_change_what_a_training_gives(task: ProxyTask) -> None:
    def weights(proxy: ProxyTraining) -> torch.Tensor:
        from detkds_gp.language import parse_distiller

        model = proxy.model(parse_distiller("1 * 1 * l2(global)", task.primitive_set), 0)
        train(model, proxy.batches(0, model), task.settings, 2, 0)
        return torch.cat([p.detach().flatten() for p in model.student.parameters()])

    proxy = ProxyTraining(task)
    Screen(probes_of(proxy, 0), task.primitive_set)("l1(global)")
    assert torch.equal(weights(proxy), weights(ProxyTraining(task)))


def test_a_worker_screens_as_the_settings_say(task: ProxyTask) -> None:
    request = ScreenRequest("l2(global)", 0)
    assert ProxyWorker(task)()(request).fingerprint
    assert not ProxyWorker(task, ScreeningSettings(identity=False))()(request).fingerprint
