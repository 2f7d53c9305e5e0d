"""Published distillers as formulas, against the papers' own definitions computed here.

And the faults of DetKDS's released code that concern formulas, which the language makes impossible.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import rel_entr, softmax
from scipy.stats import pearsonr

from detkds_gp.errors import DeclarationError, FormulaError
from detkds_gp.language import Field, Map, RowField, Transform, parse_tree, transform
from detkds_gp.language.contract import check_contract
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import DETKDS, OMNI

SIZE = (3, 4, 5, 7)


def loss_of(text, **pairs):
    return DistillationLoss(text, OMNI)({name: [pair] for name, pair in pairs.items()}).total


def maps(seed=0, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, *size, generator=generator)
    return student * 2 + 1, teacher * 3 - 2


def test_mimic_is_the_mean_square():
    student, teacher = maps()
    expected = ((student - teacher).numpy().astype(float) ** 2).mean()
    assert loss_of("l2(global)", **{"global": (student, teacher)}).item() == pytest.approx(expected, rel=1e-5)


def test_pkd_is_one_minus_pearson_per_channel():
    student, teacher = maps()
    r = [pearsonr(student[:, c].numpy().ravel(), teacher[:, c].numpy().ravel()).statistic for c in range(SIZE[1])]
    pkd = loss_of("0.5 * l2(standardize_channel(global))", **{"global": (student, teacher)})
    assert pkd.item() == pytest.approx(1 - np.mean(r), rel=1e-4)


def test_pkd_does_not_see_scale_and_shift_of_a_channel():
    student, teacher = maps()
    moved = 5 * student - 3
    pkd = "l2(standardize_channel(global))"
    first = loss_of(pkd, **{"global": (student, teacher)})
    assert loss_of(pkd, **{"global": (moved, teacher)}).item() == pytest.approx(first.item(), rel=1e-4)


@pytest.mark.parametrize("temperature", [1, 4])
def test_cwd_is_the_channel_wise_divergence_of_its_paper(temperature):
    """CWD, eq. 4 and 5: per channel, softmax over space, sum of phi(T) log(phi(T) / phi(S))."""
    student, teacher = maps()
    n, c = SIZE[:2]
    p_s = softmax(student.double().numpy().reshape(n * c, -1) / temperature, axis=1)
    p_t = softmax(teacher.double().numpy().reshape(n * c, -1) / temperature, axis=1)
    papers = temperature**2 / c * rel_entr(p_t, p_s).sum() / n
    ours = loss_of(f"kl(softmax_space(global, {temperature}))", **{"global": (student, teacher)})
    assert ours.item() * temperature**2 == pytest.approx(papers, rel=1e-4)


def test_hintons_divergence_of_class_probabilities():
    student, teacher = torch.randn(20, 9), torch.randn(20, 9)
    p_s, p_t = (softmax(x.double().numpy() / 2, axis=1) for x in (student, teacher))
    ours = loss_of("kl(softmax_row(class_logits, 2))", class_logits=(student, teacher))
    assert ours.item() == pytest.approx(rel_entr(p_t, p_s).sum(1).mean(), rel=1e-4)


def mmdets_ld(student, teacher, temperature, **weighting):
    losses = pytest.importorskip("mmdet.models.losses")
    loss = losses.KnowledgeDistillationKLDivLoss(loss_weight=1.0, T=temperature)
    return loss(student, teacher, **weighting).item() / temperature**2 * student.shape[1]


def test_localization_distillation_is_mmdets_loss():
    student, teacher = torch.randn(12, 17) * 5, torch.randn(12, 17) * 5
    ours = loss_of("kl(softmax_row(box_bins, 10))", box_bins=(student, teacher))
    assert ours.item() == pytest.approx(mmdets_ld(student, teacher, 10), rel=1e-4)


def test_weighted_localization_distillation_is_mmdets_loss():
    """As mmdet's LDHead: every one of a box's four sides is weighted by the box's score."""
    student, teacher, score = torch.randn(12, 17) * 5, torch.randn(12, 17) * 5, torch.rand(3, 1)
    four = score.expand(3, 4).reshape(-1)
    expected = mmdets_ld(student, teacher, 10, weight=four, avg_factor=four.sum().item())
    text = "weighted_kl(softmax_row(box_bins, 10), box_score)"
    ours = loss_of(text, box_bins=(student, teacher), box_score=(score, score))
    assert ours.item() == pytest.approx(expected, rel=1e-4)


def test_fgds_masks_weigh_the_squared_difference():
    """FGD, eq. 2 to 4 and 7, without attention: sum of M S (F^T - F^S)^2."""
    student, teacher = maps()
    mask = torch.zeros(3, 1, 5, 7)
    mask[0, :, 1:3, 2:6] = 1 / 8
    expected = (mask.numpy() * (student - teacher).numpy() ** 2).sum() / 3
    text = "l2_sum(weighted(global, foreground_mask))"
    ours = loss_of(text, **{"global": (student, teacher), "foreground_mask": (mask, mask)})
    assert ours.item() == pytest.approx(expected, rel=1e-4)
    given = tuple(x * mask.sqrt() for x in (student, teacher))
    assert loss_of("l2_sum(foreground)", foreground=given).item() == pytest.approx(expected, rel=1e-4)


def test_fault_an_overlap_of_features_cannot_be_written():
    for primitive_set in (OMNI, DETKDS):
        with pytest.raises(FormulaError, match="'giou' takes Boxes, but 'global' returns (Map|Raw)"):
            parse_tree("giou(global)", primitive_set)


def test_bckd_is_binary_kl_weighted_by_the_gap():
    """BCKD, eq. 3: |p - q| BCE(p, q), up to the teacher's own entropy, which has no gradient."""
    student, teacher = torch.randn(11, 6, requires_grad=True), torch.randn(11, 6)
    p, q = student.sigmoid(), teacher.sigmoid()
    papers = ((p - q).abs().detach() * F.binary_cross_entropy(p, q, reduction="none")).sum() / 11
    (expected,) = torch.autograd.grad(papers, student)
    ours = loss_of("weighted_binary_kl(units(class_logits, 1))", class_logits=(student, teacher))
    (gradient,) = torch.autograd.grad(ours, student)
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_mgds_mask_is_shared_by_sides_and_channels():
    """MGD, eq. 3: M = 0 where a uniform number R is below the masked share, else 1."""
    student, teacher = maps()
    torch.manual_seed(3)
    ours = loss_of("l2_sum(shared_mask(global, 0.35))", **{"global": (student, teacher)})
    torch.manual_seed(3)
    mask = np.where(torch.rand(3, 1, 5, 7).numpy() < 0.35, 1, 0)
    expected = (((student - teacher).numpy() * mask) ** 2).sum() / 3
    assert ours.item() == pytest.approx(expected, rel=1e-4)


def test_fgds_attention_weighs_the_squared_difference():
    """FGD, eq. 1 to 4 and 7: sum of A^S A^C (F^T - F^S)^2 with the teacher's attention, T = 0.5."""
    student, teacher = maps()
    t = teacher.double().numpy()
    space = np.stack([35 * softmax(np.abs(x).mean(0) / 0.5).reshape(1, 5, 7) for x in t])
    channel = np.stack([4 * softmax(np.abs(x).mean((1, 2)) / 0.5).reshape(4, 1, 1) for x in t])
    expected = (space * channel * (t - student.double().numpy()) ** 2).sum() / 3
    inner = "weighted(global, teacher_spatial_attention(global, 0.5))"
    outer = f"l2_sum(weighted({inner}, teacher_channel_attention(global, 0.5)))"
    assert loss_of(outer, **{"global": (student, teacher)}).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=lambda s: s.name)
@pytest.mark.parametrize("raw", ["global", "relu(global)", "class_logits", "class_map", "unit_channel(global)"])
@pytest.mark.parametrize("divergence", ["kl", "binary_kl"])
def test_fault_kl_on_raw_features_cannot_be_written(divergence, raw, primitive_set):
    with pytest.raises(FormulaError, match=f"'{divergence}' takes (Probs|Units), but"):
        parse_tree(f"{divergence}({raw})", primitive_set)


@pytest.mark.parametrize("similarity", ["cosine", "pearson"])
def test_fault_similarities_decrease_towards_the_teacher(similarity):
    student, teacher = maps()
    values = [
        loss_of(f"{similarity}(global)", **{"global": (student.lerp(teacher, step), teacher)}).item()
        for step in torch.linspace(0, 1, 11)
    ]
    assert all(b < a for a, b in pairwise(values))
    assert abs(values[-1]) <= 1e-6
    student.requires_grad_()
    loss_of(f"{similarity}(global)", **{"global": (student, teacher)}).backward()
    nearer = (student - 0.1 * student.grad / student.grad.abs().max()).detach()
    assert loss_of(f"{similarity}(global)", **{"global": (nearer, teacher)}).item() < values[0]


@pytest.mark.parametrize("mask", ["shared_mask(global, 0.35)", "shared_dropout(global, 0.1)"])
def test_fault_masks_are_never_drawn_twice(mask):
    teacher = maps()[1]
    assert loss_of(f"l2({mask})", **{"global": (teacher, teacher)}).item() == 0


FIELDS = {Field: torch.linspace(0, 1, 105).view(3, 1, 5, 7), RowField: torch.tensor([[0.2], [1.0], [0.0]])}
TRANSFORMS = [d for d in OMNI.declarations.values() if isinstance(d, Transform)]


@pytest.mark.parametrize("declaration", TRANSFORMS, ids=lambda d: d.name)
def test_fault_no_norm_over_the_batch(declaration):
    """Doubling the batch leaves each image's result unchanged."""
    torch.manual_seed(0)
    size = SIZE if declaration.arguments[0] is Map else (3, 6)
    x = torch.randn(size)
    shared = [FIELDS.get(kind, 0.5) for kind in declaration.arguments[1:]]
    doubled = [torch.cat([s, s]) if isinstance(s, torch.Tensor) else s for s in shared]
    once, twice = declaration(x, *shared), declaration(torch.cat([x, x]), *doubled)
    assert torch.allclose(twice, torch.cat([once, once]), atol=1e-5)


@pytest.mark.parametrize("declaration", TRANSFORMS, ids=lambda d: d.name)
def test_fault_an_image_does_not_see_the_others(declaration):
    """Only PKD's statistics, taken over the batch by definition, depend on the other images."""
    torch.manual_seed(0)
    size = SIZE if declaration.arguments[0] is Map else (3, 6)
    x, y = torch.randn(size), torch.randn(size)
    y[0] = x[0]
    shared = [FIELDS.get(kind, 0.5) for kind in declaration.arguments[1:]]
    a, b = declaration(x, *shared), declaration(y, *shared)
    first = len(a) // 3
    assert torch.allclose(a[:first], b[:first], atol=1e-5) == (declaration.name != "standardize_channel")


def test_fault_a_norm_over_the_batch_breaks_the_contract():
    def unit_batch(x):
        """Scale every number by the batch."""
        return F.normalize(x, dim=0)

    with pytest.raises(DeclarationError, match="mixes images"):
        check_contract(transform(Map, Map, shape="n c h w -> n c h w", latex="#1")(unit_batch))
