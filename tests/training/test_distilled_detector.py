from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detkds_gp.detectors import Pair, make_batch, outputs_of, predict
from detkds_gp.fitness import SplitImages
from detkds_gp.language import Map, PrimitiveSet, distance, input
from detkds_gp.losses import DistillationLoss, KnowledgeError
from detkds_gp.primitives import DETKDS, distances
from detkds_gp.primitives.inputs import global_
from detkds_gp.training import DistilledDetector, OptimizerSettings, seed_all, train

Builder = Callable[[], Any]
Batch = dict[str, Any]

MAPS = "2 * 0.5 * l2(unit_channel(global))"
LOGITS = "1 * 3 * kl(softmax_row(class_logits, 2))"
MIX = f"{MAPS} + {LOGITS}"
DISTILLERS = (MAPS, LOGITS, MIX, "l1(shared_mask(class_map, 0.35))")


@pytest.fixture
def distilled(student: Builder, teacher: Builder, pair: Pair) -> Callable[[str], DistilledDetector]:
    """Make a student with a distiller and a live teacher."""

    def make(text: str) -> DistilledDetector:
        return DistilledDetector(student(), DistillationLoss(text, DETKDS), pair, teacher()).train()

    return make


def plain_losses(student: nn.Module, batch: Batch) -> dict[str, Any]:
    """What mmdet itself computes."""
    data = student.train().data_preprocessor(batch, True)
    return student.loss(data["inputs"], data["data_samples"])


def assert_same(losses: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert list(losses) == list(wanted)
    for name, value in wanted.items():
        for a, b in zip(_levels(losses[name]), _levels(value), strict=True):
            assert torch.equal(a, b), name


def _levels(value: Tensor | list[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else value


@pytest.mark.parametrize("text", DISTILLERS)
def test_the_student_runs_forward_once_and_the_teacher_too(
    text: str, distilled: Callable[[str], DistilledDetector], batch: Batch
) -> None:
    model, ran = distilled(text), Counter[str]()
    for side in ("student", "teacher"):
        for part in ("backbone", "neck", "bbox_head"):
            name = f"{side}.{part}"
            model.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.update([name]))
    model(**batch)
    assert len(ran) == 6
    assert set(ran.values()) == {1}


@pytest.mark.parametrize("text", DISTILLERS)
def test_the_students_own_losses_stay_exactly_the_same(
    text: str, distilled: Callable[[str], DistilledDetector], student: Builder, batch: Batch
) -> None:
    losses = distilled(text)(**batch)
    own = {name: value for name, value in losses.items() if "distill" not in name}
    assert_same(own, plain_losses(student(), batch))


def test_without_a_distiller_it_is_the_plain_student(student: Builder, batch: Batch) -> None:
    losses = DistilledDetector(student()).train()(**batch)
    assert_same(losses, plain_losses(student(), batch))
    assert list(losses) == ["loss_cls", "loss_bbox"]


def test_terms_stand_under_their_knowledge_and_add_up(
    distilled: Callable[[str], DistilledDetector], student: Builder, batch: Batch
) -> None:
    model = distilled(MIX)
    losses = model(**batch)
    assert list(losses)[2:] == ["loss_distill_global", "loss_distill_class_logits"]
    assert [tuple(losses[name].shape) for name in list(losses)[2:]] == [(3,), (3,)]
    total, _ = model.parse_losses(losses)
    own = sum(level.mean() for levels in plain_losses(student(), batch).values() for level in levels)
    extra = sum(losses[name].mean() for name in list(losses)[2:])
    assert total.item() == pytest.approx((own + extra).item(), rel=1e-6)


def test_a_term_is_the_formula_on_both_sides_maps(
    distilled: Callable[[str], DistilledDetector], student: Builder, teacher: Builder, batch: Batch
) -> None:
    model = distilled(MAPS)
    theirs = teacher().eval()
    inputs = theirs.data_preprocessor(batch, False)["inputs"]
    with torch.no_grad():
        wanted = theirs.neck(theirs.backbone(inputs))
        ours = student().train()
        maps = ours.neck(ours.backbone(inputs))
        bridged = [layer(x) for layer, x in zip(model.pairing.adapters["global"], maps, strict=True)]
    expected = []
    for s, t in zip(bridged, wanted, strict=True):
        s, t = (x / x.norm(dim=1, keepdim=True).clamp_min(1e-12) for x in (s, t))
        expected.append((s - t).square().mean())
    assert torch.allclose(model(**batch)["loss_distill_global"], torch.stack(expected), rtol=1e-5)


@pytest.mark.parametrize("text", DISTILLERS)
def test_distillation_reaches_the_student_and_its_adapters_and_never_the_teacher(
    text: str, distilled: Callable[[str], DistilledDetector], batch: Batch
) -> None:
    model = distilled(text)
    losses = model(**batch)
    sum(value.mean() for name, value in losses.items() if "distill" in name).backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert "student.backbone.conv1.weight" in reached
    assert not any(name.startswith("teacher") for name in reached)
    bridged = {name for name in dict(model.named_parameters()) if name.startswith("pairing")}
    assert bridged <= reached
    assert bool(bridged) == ("global" in text)
    assert ("student.bbox_head.retina_cls.weight" in reached) == ("class" in text)


def test_the_teacher_stays_as_it_is(
    distilled: Callable[[str], DistilledDetector], teacher: Builder, batch: Batch
) -> None:
    model = distilled(MIX)
    wrapper = OptimizerSettings(optimizer={"type": "SGD", "lr": 0.1, "weight_decay": 0.1}, warmup=0)
    train(model, [(batch, None)] * 2, wrapper, 2, seed=0)
    model.train()
    assert not any(part.training for part in model.teacher.modules())
    assert model.student.backbone.training
    assert not any(p.requires_grad for p in model.teacher.parameters())
    before = teacher().state_dict()
    assert all(torch.equal(value, before[name]) for name, value in model.teacher.state_dict().items())


def test_the_student_alone_is_what_one_saves(distilled: Callable[[str], DistilledDetector], student: Builder) -> None:
    model = distilled(MAPS)
    assert model.student.state_dict().keys() == student().state_dict().keys()
    assert [name for name in model.state_dict() if name.startswith("pairing.adapters.global.")]


def test_adapters_depend_on_their_generator_alone(student: Builder, pair: Pair) -> None:
    def weights(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        loss = DistillationLoss(MAPS, DETKDS)
        model = DistilledDetector(student(), loss, pair, generator=generator)
        return model.pairing.adapters["global"][0].weight

    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("text", DISTILLERS)
def test_kept_outputs_give_the_live_teachers_losses(
    text: str, distilled: Callable[[str], DistilledDetector], teacher: Builder, batch: Batch
) -> None:
    model, theirs = distilled(text), teacher()
    kept = outputs_of(theirs, theirs.data_preprocessor(batch, False)["inputs"], model.pairing.teacher_outputs)
    mute = copy.deepcopy(model)
    mute.teacher = None
    seed_all(0)
    live = model.losses(batch)
    seed_all(0)
    assert_same(mute.losses(batch, kept), live)


def test_other_modes_are_the_students_own(distilled: Callable[[str], DistilledDetector], images: SplitImages) -> None:
    model = distilled(MAPS).eval()
    batch = make_batch([images[0], images[1]])
    with torch.no_grad():
        samples = model.val_step(batch)
    for sample, found in zip(samples, predict(model.student, batch), strict=True):
        assert torch.equal(sample.pred_instances.bboxes, torch.from_numpy(found.boxes))
        assert torch.equal(sample.pred_instances.scores, torch.from_numpy(found.scores))


def test_without_outputs_and_teacher_it_says_so(student: Builder, pair: Pair, batch: Batch) -> None:
    model = DistilledDetector(student(), DistillationLoss(MAPS, DETKDS), pair)
    with pytest.raises(ValueError, match="without the teacher's outputs"):
        model.losses(batch)
    with pytest.raises(KnowledgeError, match="teacher's 'global' is not kept"):
        model.losses(batch, {})
    with pytest.raises(KnowledgeError, match="out of range"):
        model.losses(batch, {"global": [torch.zeros(4, 16, 8, 8)]})
    with pytest.raises(ValueError, match="loss without a pair"):
        DistilledDetector(student(), DistillationLoss(MAPS, DETKDS))


def test_an_input_may_have_another_name_than_its_knowledge(
    student: Builder, teacher: Builder, pair: Pair, batch: Batch
) -> None:
    @input(Map, niche="global", latex="P", source="global")
    def pyramid() -> None:
        """Maps of the neck."""

    own = PrimitiveSet("OWN", [pyramid, distances.l2])
    model = DistilledDetector(student(), DistillationLoss("l2(pyramid)", own), pair, teacher())
    named = DistilledDetector(student(), DistillationLoss("l2(global)", DETKDS), pair, teacher())
    assert_same(model.train()(**batch), named.train()(**batch))


@pytest.mark.parametrize("message", ["sizes do not match", "CUDA out of memory. Tried"])
def test_a_formulas_fault_is_told_from_the_machines(
    message: str, student: Builder, teacher: Builder, pair: Pair, batch: Batch
) -> None:
    @distance(Map, latex="f(#1)")
    def faulty(student: Tensor, teacher: Tensor) -> Tensor:
        """Mean square, (); fails on the teacher's 16 channels."""
        if student.shape[1] == 16:
            raise RuntimeError(message)
        return F.mse_loss(student, teacher, reduction="sum") / max(student.numel(), 1)

    loss = DistillationLoss("faulty(global)", PrimitiveSet("OWN", [global_, faulty]))
    model = DistilledDetector(student(), loss, pair, teacher())
    fault = RuntimeError if "memory" in message else KnowledgeError
    with pytest.raises(fault, match=message):
        model.losses(batch)
