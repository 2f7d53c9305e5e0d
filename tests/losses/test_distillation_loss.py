from __future__ import annotations

import pickle

import pytest
import torch

from detkds_gp.errors import FormulaError
from detkds_gp.language import Field, Map, PrimitiveSet, input, parse_distiller, transform
from detkds_gp.losses import DistillationLoss, KnowledgeError
from detkds_gp.primitives import OMNI, attention, combiners, distances, inputs, pairs

BOTH = "2 * 0.5 * l2(global) + 3 * 1 * kl(softmax_row(class_logits, 2))"
CALLS: list[tuple[int, ...]] = []


@transform(Map, Map, shape="n c h w -> n c h w", latex="#1")
def counted(x):
    """Count the calls."""
    CALLS.append(tuple(x.shape))
    return x * 1


@input(Field, latex="B")
def boxes():
    """Weigh the boxes: (N, 1, H, W)."""


COUNTING = PrimitiveSet(
    "COUNTING",
    [
        inputs.global_,
        boxes,
        counted,
        attention.weighted,
        pairs.shared_mask,
        combiners.ratio,
        distances.l1,
        distances.l2,
        combiners.add,
    ],
)


def knowledge(levels=1, channels=3, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [(2, channels, 8 >> level, 6 >> level) for level in range(levels)]
    return {
        name: [tuple(torch.randn(2, *size, generator=generator).to(dtype)) for size in shapes]
        for name, shapes in (("global", sizes), ("class_logits", [(9, 4)] * levels))
    }


def test_levels_are_averaged_and_terms_weighted():
    given = knowledge(levels=3)
    terms = DistillationLoss(BOTH, OMNI)(given)
    global_ = torch.stack([(s - t).square().mean() for s, t in given["global"]])
    logits = torch.stack([
        torch.nn.functional.kl_div(
            (s / 2).log_softmax(1), (t / 2).softmax(1), reduction="batchmean"
        ) for s, t in given["class_logits"]
    ])  # fmt: skip
    assert list(terms.levels) == ["global", "class_logits"]
    assert torch.allclose(terms.levels["global"], global_)
    assert torch.allclose(terms.levels["class_logits"], 3 * logits)
    assert torch.allclose(terms.total, global_.mean() + 3 * logits.mean())


def test_equal_subtrees_are_computed_once_a_side_and_level():
    text = "add(l1(counted(global)), add(l2(counted(global)), l2(weighted(counted(global), boxes))))"
    given = {
        **knowledge(levels=2),
        "boxes": [(torch.rand(2, 1, 8, 6),) * 2, (torch.rand(2, 1, 4, 3),) * 2],
    }
    loss = DistillationLoss(text, COUNTING)
    CALLS.clear()
    loss(given)
    assert CALLS == [(2, 3, 8, 6)] * 2 + [(2, 3, 4, 3)] * 2
    CALLS.clear()
    DistillationLoss("l1(counted(counted(global)))", COUNTING)(given)
    assert len(CALLS) == 8


def test_a_random_transform_draws_once_for_all_its_uses():
    text = "add(l1(shared_mask(global, 0.5)), l1(counted(shared_mask(global, 0.5))))"
    given = knowledge()
    torch.manual_seed(1)
    total = DistillationLoss(text, COUNTING)(given).total
    torch.manual_seed(1)
    once = DistillationLoss("l1(shared_mask(global, 0.5))", COUNTING)(given).total
    assert total.item() == pytest.approx(2 * once.item(), rel=1e-6)
    assert DistillationLoss("l1(shared_mask(global, 0.5))", COUNTING)(given).total != once


@pytest.mark.parametrize("text", [BOTH, "cosine(global)", "l2(space_gram(global))", "l2(channel_gram(global))"])
def test_it_computes_in_float32_under_autocast(text):
    loss = DistillationLoss(text, OMNI)
    given = knowledge()
    expected = loss(given).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = loss(given).total
    assert total.dtype == torch.float32
    assert total.item() == expected.item()


def test_half_precision_knowledge_is_cast_at_the_door():
    given = knowledge(dtype=torch.bfloat16)
    total = DistillationLoss(BOTH, OMNI)(given).total
    as_float = {name: [(s.float(), t.float()) for s, t in levels] for name, levels in given.items()}
    assert total.dtype == torch.float32
    assert total.item() == DistillationLoss(BOTH, OMNI)(as_float).total.item()


def test_the_teacher_never_gets_a_gradient():
    given = knowledge(levels=2)
    for levels in given.values():
        for student, teacher in levels:
            student.requires_grad_()
            teacher.requires_grad_()
    DistillationLoss(BOTH, OMNI)(given).total.backward()
    assert all(s.grad.any() and t.grad is None for levels in given.values() for s, t in levels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"global": None}, "needs 'global', the pair gives class_logits"),
        ({"global": []}, "needs 'global'"),
        ({"global": [(torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 4, 4))]},
         r"'global': student \(2, 3, 4, 4\), teacher \(2, 5, 4, 4\)"),
        ({"global": [(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4))]}, "wanted equal shapes"),
    ],
)  # fmt: skip
def test_knowledge_that_does_not_fit(change, message):
    given = {**knowledge(), **change}
    given = {name: levels for name, levels in given.items() if levels is not None}
    with pytest.raises(KnowledgeError, match=message):
        DistillationLoss(BOTH, OMNI)(given)


def test_inputs_of_one_formula_need_equally_many_levels():
    text = "add(l2(class_map), l1(class_logits))"
    given = {
        "class_map": [(torch.zeros(1, 2, 3, 3),) * 2] * 2,
        "class_logits": [(torch.zeros(9, 2),) * 2],
    }
    with pytest.raises(KnowledgeError, match="has 1 levels, wanted 2"):
        DistillationLoss(text, OMNI)(given)


def test_a_shared_field_has_one_side():
    text = "l2(weighted(global, boxes))"
    given = {**knowledge(), "boxes": [(torch.rand(2, 1, 8, 6),) * 2]}
    (student, teacher), field = given["global"][0], given["boxes"][0][0]
    expected = (field * (student - teacher).square()).mean()
    assert torch.allclose(DistillationLoss(text, COUNTING)(given).total, expected)


def test_its_print_is_its_text_and_its_inputs_are_named():
    loss = DistillationLoss(BOTH, OMNI)
    assert BOTH in repr(loss)
    assert loss.inputs == ("global", "class_logits")
    assert not list(loss.parameters())


def test_an_unmeasured_scale_is_refused():
    with pytest.raises(FormulaError, match=r"the scale of l2\(global\) is not measured"):
        DistillationLoss("2 * calibrated * l2(global)", OMNI)


def test_the_empty_distiller_is_zero():
    terms = DistillationLoss("none", OMNI)({})
    assert (terms.total.item(), terms.levels) == (0, {})


def test_it_travels_to_other_processes():
    loss = pickle.loads(pickle.dumps(DistillationLoss(parse_distiller(BOTH, OMNI), OMNI)))
    assert loss(knowledge()).total == DistillationLoss(BOTH, OMNI)(knowledge()).total


def test_gradients_are_finite_on_1x1_maps_and_no_rows():
    given = {"global": [(torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1))],
             "class_logits": [(torch.zeros(0, 4), torch.zeros(0, 4))]}  # fmt: skip
    for levels in given.values():
        levels[0][0].requires_grad_()
    terms = DistillationLoss(BOTH, OMNI)(given)
    terms.total.backward()
    assert terms.total.item() == 0
    assert all(levels[0][0].grad.isfinite().all() for levels in given.values())
