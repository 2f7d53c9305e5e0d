"""The same loss is known again, and nothing else is: against full gradients at points that no fingerprint has seen."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
import torch

from detkds_gp.language import make_term, parse_distiller, ramped_half_and_half
from detkds_gp.language.samples import sample_knowledge
from detkds_gp.losses import DistillationLoss
from detkds_gp.primitives import OMNI
from detkds_gp.screening import Fingerprint
from detkds_gp.search.variation import mutate_insert, mutate_point, mutate_subtree

SAME = [
    ("add(l2(global), l1(global))", "add(l1(global), l2(global))"),
    ("scaled(l2(global), 5)", "l2(global)"),
    ("add(l2(global), l2(global))", "l2(global)"),
    ("add(l2(global), scaled(l1(global), 0.5))", "add(scaled(l2(global), 2), l1(global))"),
    ("l2(positions(global))", "l2(flatten_space(global))"),
    ("l2(class_logits)", "scaled(l2(class_logits), 10)"),
    ("l2(unit_channel(global))", "cosine(global)"),
    ("l2(square(square(global)))", "l2(fourth_power(global))"),
    ("l2(max_pool_2(max_pool_2(global)))", "l2(max_pool_4(global))"),
    ("smooth_l1(probabilities(softmax_row(class_logits, 1)))", "l2(probabilities(softmax_row(class_logits, 1)))"),
    ("kl(softmax_channel(class_map, 1))", "kl(softmax_row(positions(class_map), 1))"),
]
DIFFERENT = [
    ("l2(global)", "smooth_l1(global)"),
    ("l2(global)", "l1(global)"),
    ("l2(relu(global))", "l2(leaky_relu(global))"),
    ("l2(unit_channel(global))", "l2(unit_space(global))"),
    ("kl(softmax_row(class_logits, 1))", "kl(softmax_row(class_logits, 2))"),
    ("binary_kl(units(class_logits, 1))", "weighted_binary_kl(units(class_logits, 1))"),
    ("add(l2(global), l1(global))", "add(l2(global), scaled(l1(global), 2))"),
    ("add(l2(fourth_power(global)), l2(global))", "l2(fourth_power(global))"),
    ("l1(class_logits)", "l1(class_map)"),  # two tensors in the sample
]


def of(screen, formula):
    found = screen(formula)
    assert found.failure is None, found
    return Fingerprint.parse(found.fingerprint)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_loss_is_known_again(one, other, omni):
    assert of(omni, one).same(of(omni, other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_loss_is_told_apart(one, other, omni):
    assert not of(omni, one).same(of(omni, other))


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_a_loss_and_its_power_are_told_apart(power, with_forced, sampled):
    def powered(s, t):
        return (s - t).square().mean().clamp_min(1e-12) ** power - 1e-12**power

    from detkds_gp.language import Loss

    screen = sampled(with_forced("powered", powered, result=Loss), off=("gradient",))
    assert not of(screen, "l2(global)").same(of(screen, "powered(global)"))


def test_what_is_drawn_at_random_has_no_fingerprint(omni):
    assert omni("l2(shared_mask(global, 0.5))").fingerprint == ""
    assert omni("add(l2(global), l2(shared_dropout(global, 0.1)))").fingerprint == ""


def test_a_screen_without_identity_makes_no_fingerprints(omni, sampled):
    assert sampled(OMNI, identity=False)("l2(global)").fingerprint == ""


def test_its_text_reads_back_equal(omni):
    fingerprint = of(omni, "l2(weighted(global, teacher_score))")
    again = Fingerprint.parse(fingerprint.text)
    assert again.where == fingerprint.where == ("global",)
    assert (again.vectors == fingerprint.vectors).all()
    assert again.same(fingerprint)


def grown(count, seed):
    """Return formulas and their mutants, which differ by little."""
    rng, formulas = random.Random(seed), dict[str, str]()
    while len(formulas) < count:
        niche = OMNI.niches[rng.randrange(len(OMNI.niches))]
        tree = ramped_half_and_half(OMNI.niche(niche), rng, 1, 4)
        mutate = rng.choice((mutate_insert, mutate_point, mutate_subtree))
        for nodes in (tree, type(tree)(mutate(tree, rng, OMNI.niche(niche)))):
            term = make_term(nodes, OMNI)
            formulas[term.formula] = term.knowledge
    return formulas


def directions(formula, points):
    """Return the gradient at each point, all divided by one norm, in float64."""
    loss = DistillationLoss(parse_distiller(formula, OMNI), OMNI)
    gradients = []
    for knowledge in points:
        students = [s for levels in knowledge.values() for s, _ in levels]
        found = torch.autograd.grad(loss(knowledge).total, students, allow_unused=True)
        flat = [torch.zeros(s.numel()) if g is None else g.flatten() for g, s in zip(found, students, strict=True)]
        gradients.append(torch.cat(flat).double())
    common = torch.cat(gradients).norm()
    return [gradient / common for gradient in gradients]


@pytest.mark.slow
def test_every_merge_of_random_formulas_holds_at_unseen_points(omni):
    points = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        for images, share in ((2, 1.0), (3, 0.3), (1, -2.0)):
            drawn = sample_knowledge(OMNI.inputs, images)
            points.append(
                {
                    name: [((t + share * (s - t)).detach().requires_grad_(), t) for s, t in levels]
                    for name, levels in drawn.items()
                }
            )
    known: dict[str, list[tuple[str, Fingerprint]]] = {}
    for formula, niche in grown(250, seed=5).items():
        if text := omni(formula).fingerprint:
            known.setdefault(niche, []).append((formula, Fingerprint.parse(text)))
    merged = [
        (one[0], other[0])
        for losses in known.values()
        for one, other in combinations(losses, 2)
        if one[1].same(other[1])
    ]
    assert len(merged) > 5
    for one, other in merged:
        for a, b in zip(directions(one, points), directions(other, points), strict=True):
            assert (a - b).norm() <= 1e-4 * a.norm(), (one, other)
