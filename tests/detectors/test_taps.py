from __future__ import annotations

import pytest
import torch

from detkds_gp.detectors import Taps, outputs_of
from detkds_gp.detectors.sources._heads import class_rows
from detkds_gp.errors import DetectorError


def _preprocessed(detector, batch):
    data = detector.data_preprocessor(batch, True)
    return data["inputs"], data["data_samples"]


def _hooks(detector) -> int:
    return sum(len(module._forward_hooks) for module in detector.modules())


def _counting(detector, names=("backbone", "neck", "bbox_head")):
    """Count a detector's runs by replacing the forwards, independently of hooks."""
    counts = dict.fromkeys(names, 0)

    def wrap(name, forward):
        def run(*args, **kwargs):
            counts[name] += 1
            return forward(*args, **kwargs)

        return run

    for name in names:
        module = getattr(detector, name)
        module.forward = wrap(name, module.forward)
    return counts


@pytest.mark.parametrize("name", ["student", "fcos", "gfl", "atss"])
def test_a_tapped_loss_is_the_loss_and_runs_the_student_once(built, name, batch):
    detector = built(name).train()
    inputs, samples = _preprocessed(detector, batch)
    state = {key: value.clone() for key, value in detector.state_dict().items()}
    torch.manual_seed(0)
    plain = detector.loss(inputs, samples)
    detector.load_state_dict(state)
    counts = _counting(detector)
    torch.manual_seed(0)
    with Taps(detector) as taps:
        tapped = detector.loss(inputs, samples)
    for part in counts:
        del getattr(detector, part).forward
    assert set(counts.values()) == {1}
    assert plain.keys() == tapped.keys()
    for key, losses in plain.items():
        assert _equal(losses, tapped[key])
    assert _hooks(detector) == 0
    outputs = taps.outputs()
    assert list(outputs) == ["global", "class_map", "box_map"] + ["bin_map"] * (name == "gfl")
    detector.load_state_dict(state)


def _equal(ours, theirs) -> bool:
    if isinstance(ours, torch.Tensor):
        return torch.equal(ours, theirs)
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize(("name", "anchors"), [("student", 9), ("fcos", 1), ("gfl", 1), ("atss", 1)])
def test_outputs_are_those_of_neck_and_head(built, name, anchors, batch):
    detector = built(name)
    inputs, _ = _preprocessed(detector, batch)
    outputs = outputs_of(detector, inputs)
    training = detector.training
    detector.eval()
    with torch.no_grad():
        features = detector.extract_feat(inputs)
        scores = detector.bbox_head.forward(features)[0]
    detector.train(training)
    assert len(outputs["global"]) == len(features) == 5
    assert all(map(torch.equal, outputs["global"], features))
    assert all(map(torch.equal, outputs["class_map"], scores))
    assert [tuple(x.shape) for x in outputs["class_map"]] == [(2, anchors * 3, s, s) for s in (16, 8, 4, 2, 1)]


def test_the_rows_of_class_logits_are_in_the_documented_order():
    n, anchors, width, h, w = 2, 3, 4, 5, 6
    class_map = torch.randn(n, anchors * width, h, w)
    rows = class_rows(class_map.unflatten(1, (anchors, width)))
    expected = [
        class_map[i, a * width : (a + 1) * width, y, x]
        for i in range(n)
        for y in range(h)
        for x in range(w)
        for a in range(anchors)
    ]
    assert torch.equal(rows, torch.stack(expected))


def test_the_rows_are_those_that_mmdet_matches_to_its_anchors(student, batch):
    """The head's own loss flattens scores so; anchor row r is then logits row r."""
    inputs, _ = _preprocessed(student, batch)
    outputs = outputs_of(student, inputs)
    maps = outputs["class_map"]
    flat = [m.permute(0, 2, 3, 1).reshape(2, -1, student.bbox_head.cls_out_channels) for m in maps]
    rows = [class_rows(m.unflatten(1, (-1, student.bbox_head.cls_out_channels))) for m in maps]
    for level, expected in zip(rows, flat, strict=True):
        assert torch.equal(level.reshape_as(expected), expected)
    sizes = [m.shape[2:] for m in maps]
    priors = student.bbox_head.prior_generator.grid_priors(sizes, device="cpu")
    assert [len(p) * 2 for p in priors] == [len(r) for r in rows]


def test_the_students_outputs_reach_its_weights(student, batch):
    inputs, samples = _preprocessed(student, batch)
    state = {key: value.clone() for key, value in student.state_dict().items()}
    with Taps(student) as taps:
        student.loss(inputs, samples)
    outputs = taps.outputs()
    student.zero_grad()
    outputs["global"][0].square().mean().backward(retain_graph=True)
    assert student.backbone.conv1.weight.grad.abs().sum() > 0
    assert student.bbox_head.retina_cls.weight.grad is None
    outputs["class_map"][0].square().mean().backward()
    assert student.bbox_head.retina_cls.weight.grad.abs().sum() > 0
    student.zero_grad()
    student.load_state_dict(state)


def test_the_teacher_runs_in_eval_mode_and_not_changed(teacher, batch):
    teacher.train()
    teacher.neck.eval()
    flags = [module.training for module in teacher.modules()]
    state = {key: value.clone() for key, value in teacher.state_dict().items()}
    inputs, _ = _preprocessed(teacher, batch)
    seen = []
    handle = teacher.backbone.register_forward_hook(
        lambda module, *_: seen.append((module.training, torch.is_grad_enabled()))
    )
    outputs = outputs_of(teacher, inputs)
    handle.remove()
    assert seen == [(False, False)]
    assert not any(x.requires_grad for levels in outputs.values() for x in levels)
    assert [module.training for module in teacher.modules()] == flags
    assert all(torch.equal(value, state[key]) for key, value in teacher.state_dict().items())
    assert _hooks(teacher) == 0
    teacher.train()


def test_outputs_are_float32_under_autocast(teacher, batch):
    inputs, _ = _preprocessed(teacher, batch)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = outputs_of(teacher, inputs)
    assert {x.dtype for levels in outputs.values() for x in levels} == {torch.float32}


def test_taps_refuse_what_ran_not_exactly_once(student, batch):
    inputs, _ = _preprocessed(student, batch)
    with torch.no_grad():
        with Taps(student) as taps, pytest.raises(DetectorError, match="ran 0 times"):
            taps.outputs()
        with Taps(student) as taps:
            student(inputs, mode="tensor")
        with pytest.raises(DetectorError, match=r"RetinaHead ran 0 times.*past its hooks"):
            taps.outputs()
        with Taps(student) as taps:
            features = student.extract_feat(inputs)
            student.bbox_head(features)
            student.bbox_head(features)
        with pytest.raises(DetectorError, match="RetinaHead ran 2 times"):
            taps.outputs()
        with Taps(student) as taps, pytest.raises(DetectorError, match="attached already"):
            taps.attach()
    assert _hooks(student) == 0


def test_taps_can_stay_attached_over_steps(student, batch):
    inputs, _ = _preprocessed(student, batch)
    taps = Taps(student).attach()
    with torch.no_grad():
        for _ in range(2):
            student.bbox_head(student.extract_feat(inputs))
            assert len(taps.outputs()["global"]) == 5
        student.extract_feat(inputs)
        taps.clear()
        student.bbox_head(student.extract_feat(inputs))
    assert len(taps.outputs()["global"]) == 5
    taps.detach()
    assert _hooks(student) == 0
