from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from detkds_gp.detectors import build_detector
from detkds_gp.errors import DetectorError, StoreError
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.calibration import body, measure_scale, scale_of, task_gradients, write_probe
from detkds_gp.language import Map, PrimitiveSet, distance, parse_distiller
from detkds_gp.primitives.inputs import global_
from detkds_gp.training import seed_all, train


@distance(Map, latex="d(#1)")
def plain(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean square, ()."""
    return F.mse_loss(student, teacher, reduction="sum") / max(student.numel(), 1)


@distance(Map, latex="2d(#1)")
def doubled(student: Tensor, teacher: Tensor) -> Tensor:
    """Twice the mean square, ()."""
    return 2 * F.mse_loss(student, teacher, reduction="sum") / max(student.numel(), 1)


@distance(Map, latex="f(#1)")
def flat(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean square, (); without a gradient on the teacher's 16 channels."""
    if student.shape[1] == 16:
        student = student.detach()
    return F.mse_loss(student, teacher, reduction="sum") / max(student.numel(), 1)


OWN = PrimitiveSet("OWN", [global_, plain, doubled, flat])


LevelLoss = Callable[[Any, list[Tensor], Any], Tensor]


def by_hand(proxy: ProxyTraining, batches: int, level_loss: LevelLoss) -> tuple[float, float]:
    """Return the median norms of the task's and the first two distillation gradients on backbone and neck.

    Every parameter that is no part of the head counts, whatever the student's modules are called.
    """
    task = proxy.task
    both = parse_distiller("l2(global) + kl(softmax_row(class_logits, 2))", task.primitive_set)
    model = proxy.model(both, seed=0)
    model.student.load_state_dict(torch.load(task.probe, weights_only=True))
    student = model.train().student
    norms: tuple[list[float], list[float]] = ([], [])
    for number, (batch, kept) in enumerate(islice(proxy.batches(0, model), batches)):
        seed_all(0, number)
        data = student.data_preprocessor(batch, True)
        maps = list(student.extract_feat(data["inputs"]))
        losses = student.bbox_head.loss(maps, data["data_samples"])
        own = sum(level for levels in losses.values() for level in levels)
        extra = level_loss(model, maps, kept)
        for index, loss in enumerate((own, extra)):
            model.zero_grad()
            loss.backward(retain_graph=True)
            told = [p.grad for name, p in student.named_parameters() if not name.startswith("bbox_head.")]
            norms[index].append(sum(g.square().sum().item() for g in told if g is not None) ** 0.5)
    return statistics.median(norms[0]), statistics.median(norms[1][:2])


def mean_square(model: Any, maps: list[Tensor], kept: Any) -> Tensor:
    pairs = zip(model.pairing.adapters["global"], maps, kept["global"], strict=True)
    return torch.stack([(layer(m) - t).square().mean() for layer, m, t in pairs]).mean()


def soft_labels(model: Any, maps: list[Tensor], kept: Any) -> Tensor:
    scores, _ = model.student.bbox_head(maps)
    levels = []
    for score, wanted in zip(scores, kept["class_map"], strict=True):
        rows = [x.permute(0, 2, 3, 1).reshape(-1, 10) for x in (wanted, score)]
        p, q = (torch.log_softmax(x / 2, dim=1) for x in rows)
        levels.append((p.exp() * (p - q)).sum(dim=1).mean())
    return torch.stack(levels).mean()


@pytest.mark.parametrize(
    ("formula", "level_loss"),
    [("l2(global)", mean_square), ("kl(softmax_row(class_logits, 2))", soft_labels)],
)
@pytest.mark.parametrize("batches", [1, 3])
def test_the_scaled_gradient_is_as_large_as_the_tasks(
    formula: str, level_loss: LevelLoss, batches: int, task: ProxyTask
) -> None:
    settings = task.settings.model_copy(update={"calibration_batches": batches})
    proxy = ProxyTraining(replace(task, settings=settings))
    scale = measure_scale(proxy, formula, seed=0)
    own, extra = by_hand(proxy, batches, level_loss)
    assert own > 0 < extra
    assert scale.value is not None
    assert scale.value * extra == pytest.approx(own, rel=6e-3)  # 3 digits
    assert scale.value == float(f"{scale.value:.3g}")
    assert measure_scale(proxy, formula, seed=0).value == scale.value


def test_a_tree_of_an_early_layer_is_held_against_the_task_on_what_it_reaches(task: ProxyTask) -> None:
    proxy = ProxyTraining(task)
    gradients = task_gradients(proxy, seed=0)
    names = [name for part in ("backbone", "neck") for name, _ in getattr(proxy.student(0), part).named_parameters()]
    assert [len(gradient) for gradient in gradients] == [len(names)] * task.settings.calibration_batches
    reached = [1.0 if index < 10 else None for index in range(len(names))]
    expected = sum(value for value in gradients[0][:10] if value is not None) ** 0.5 / 10**0.5
    assert scale_of(gradients[0], reached) == pytest.approx(expected, rel=6e-3)
    assert scale_of(gradients[0], [None] * len(names)) is None
    assert scale_of([0.0] * len(names), reached) is None
    assert scale_of(gradients[0], [float("nan"), *reached[1:]]) is None


def test_adapters_and_frozen_parts_have_no_say(task: ProxyTask) -> None:
    proxy = ProxyTraining(task)
    student = proxy.student(0)
    ours = {id(parameter) for parameter in student.parameters()}
    everything = body(student)
    assert {id(parameter) for parameter in everything} < ours
    head = {id(parameter) for parameter in student.bbox_head.parameters()}
    assert {id(parameter) for parameter in everything} == ours - head
    frozen = build_detector(task.student, task.splits["train"].classes)
    frozen.backbone.requires_grad_(False)
    assert {id(p) for p in body(frozen)} == {id(p) for p in frozen.neck.parameters()}


def with_own_set(task: ProxyTask) -> ProxyTraining:
    return ProxyTraining(replace(task, primitive_set=OWN))


def test_a_loss_twice_as_large_has_half_the_scale(task: ProxyTask) -> None:
    proxy = with_own_set(task)
    once = measure_scale(proxy, "plain(global)", seed=0).value
    twice = measure_scale(proxy, "doubled(global)", seed=0).value
    assert once is not None
    assert twice == pytest.approx(once / 2, rel=6e-3)


def test_a_formula_without_a_gradient_is_rejected(task: ProxyTask) -> None:
    scale = measure_scale(with_own_set(task), "flat(global)", seed=0)
    assert (scale.value, scale.failure) == (None, "rejected:gradient")
    assert not scale.ok


def test_a_gradient_that_is_no_number_and_missing_knowledge_are_named(task: ProxyTask) -> None:
    proxy = ProxyTraining(task)
    batches = proxy.batches

    def spoilt(seed: int, model: Any) -> Iterator[Any]:
        for batch, outputs in batches(seed, model):
            yield batch, outputs and {**outputs, "global": [level * float("inf") for level in outputs["global"]]}

    def silent(seed: int, model: Any) -> Iterator[Any]:
        for batch, outputs in batches(seed, model):
            yield batch, outputs and {name: levels for name, levels in outputs.items() if name != "global"}

    proxy.batches = spoilt  # type: ignore[method-assign]
    assert measure_scale(proxy, "l2(global)", seed=0).failure == "nonfinite"
    proxy.batches = silent  # type: ignore[method-assign]
    assert measure_scale(proxy, "l2(global)", seed=0).failure == "shape"


def test_the_probe_is_the_student_trained_alone_for_a_while(task: ProxyTask) -> None:
    proxy = ProxyTraining(task)
    model = proxy.model(parse_distiller("none", task.primitive_set), seed=0)
    train(model, proxy.batches(0, model), task.settings, task.settings.calibration_iterations, seed=0)
    wanted = model.student.state_dict()
    probe = torch.load(task.probe, weights_only=True)
    assert all(torch.equal(probe[name], value) for name, value in wanted.items())
    fresh = build_detector(task.student, task.splits["train"].classes).state_dict()
    assert not torch.equal(probe["neck.fpn_convs.0.conv.weight"], fresh["neck.fpn_convs.0.conv.weight"])


def test_a_broken_probe_is_named(elsewhere: ProxyTask) -> None:
    elsewhere.probe.write_bytes(b"no weights")
    with pytest.raises(StoreError, match=r"cannot read the student .*probe\.pt.*delete the file"):
        measure_scale(ProxyTraining(elsewhere), "l2(global)", seed=0)


def test_a_student_that_cannot_be_trained_alone_is_named(elsewhere: ProxyTask) -> None:
    wild = {"optimizer": {"type": "SGD", "lr": 1e12}, "clip_norm": 0, "calibration_iterations": 4}
    settings = elsewhere.settings.model_copy(update=wild)
    with pytest.raises(DetectorError, match=r"student alone fails to train.*optimizer\.lr"):
        write_probe(ProxyTraining(replace(elsewhere, settings=settings)), seed=0)


@pytest.mark.parametrize(("shown", "wanted"), [(3, None), (0, "rejected:gradient")])
def test_batches_without_objects_are_passed_over(
    shown: int, wanted: str | None, task_with: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the calibration batches the first two show nothing, or none does."""
    proxy = ProxyTraining(task_with(tmp_path, knowledge=None, **{"proxy.calibration_batches": 2 + shown}))
    assert proxy.prepare_teacher().ok
    write_probe(proxy, seed=0)
    whole = proxy.batches

    def batches(*given: Any) -> Iterator[Any]:
        for number, (batch, teacher) in enumerate(whole(*given)):
            if number < 2:
                for sample in batch["data_samples"]:
                    sample.gt_instances = sample.gt_instances[:0]
            yield batch, teacher

    monkeypatch.setattr(proxy, "batches", batches)
    assert measure_scale(proxy, "l2(instance)", seed=0).failure == wanted
    assert measure_scale(proxy, "l2(global)", seed=0).ok
