from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from broken_primitives import REJECTED, declared

from detkds_gp.language import Loss, make_term, ramped_half_and_half
from detkds_gp.losses import distillation_loss
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.screening import CHECK_NAMES, CHECKS, Probe, Screen


def with_a_wider_level(probes):
    """Add a second level to the knowledge ``global`` of all probes, one position wider than the first."""
    for probe in (probe for probe in vars(probes).values() if isinstance(probe, Probe)):
        levels = probe.knowledge["global"]
        levels.append(tuple(F.pad(side.detach(), (0, 1)).requires_grad_() for side in levels[0]))
    return probes


@pytest.mark.parametrize("case", REJECTED)
def test_what_is_forced_in_is_rejected_by_the_check_for_it(case, with_forced, sampled):
    formula, name, function, more, check = declared(case)
    screening = sampled(with_forced(name, function, **more))(formula)
    assert screening.failure == f"rejected:{check}", screening
    assert screening.detail
    assert screening.fingerprint == ""


def test_a_rejection_says_why_in_words_and_numbers(with_forced, sampled):
    screening = sampled(with_forced("cos", lambda s, t: F.cosine_similarity(s, t, dim=1).mean(), result=Loss))(
        "cos(global)"
    )
    assert "not zero where the student equals the teacher" in screening.detail
    assert "1 where student equals teacher" in screening.detail


@pytest.mark.parametrize("name", CHECK_NAMES)
def test_every_check_can_be_switched_off(name, omni):
    screen = Screen(omni.probes, OMNI, off=(name,))
    assert [check.name for check in screen.checks] == [other for other in CHECK_NAMES if other != name]


def test_a_check_switched_off_lets_through_what_it_finds(with_forced, sampled):
    primitive_set = with_forced("less", lambda x: x / torch.arange(1, len(x) + 1).view(-1, 1, 1, 1))
    assert sampled(primitive_set)("l1(less(global))").failure == "rejected:order"
    off = sampled(primitive_set, off=("order", "doubled"))
    assert off("l1(less(global))").failure is None


def test_one_dead_level_is_found(with_forced, sampled):
    """On a pair's two levels a formula that is dead on one of them."""
    primitive_set = with_forced("dead", lambda x: x if x.shape[-1] == 11 else x.detach())
    probes = with_a_wider_level(sampled(primitive_set).probes)
    screening = Screen(probes, primitive_set)("l2(dead(global))")
    assert screening.failure == "rejected:gradient"
    assert "none on level 1" in screening.detail
    assert Screen(probes, primitive_set)("l2(global)").failure is None


def test_levels_of_very_different_gradients_are_found(with_forced, sampled):
    primitive_set = with_forced("loud", lambda x: x if x.shape[-1] == 11 else 1e6 * x)
    probes = with_a_wider_level(sampled(primitive_set).probes)
    screening = Screen(probes, primitive_set)("l1(loud(global))")
    assert screening.failure == "rejected:balance"


def test_images_of_very_different_gradients_are_found(with_forced, sampled):
    plain = sampled(with_forced("same", lambda x: x)).probes.far.knowledge["global"][0][0]
    between = float(plain[:, 0, 0, 0].detach().mean())

    def louder_above(x):
        return x * (1 + 1e6 * (x.detach()[:, :1, :1, :1] > between))

    screening = sampled(with_forced("loud", louder_above))("l1(loud(global))")
    assert screening.failure == "rejected:balance"


def test_a_gradient_that_reaches_the_teacher_is_found(omni, monkeypatch):
    def unchecked(declaration, pair):
        return pair if declaration.result.sided else pair[1]

    monkeypatch.setattr(distillation_loss, "_validated", unchecked)
    screening = omni("l2(global)")
    assert screening.failure == "rejected:gradient"
    assert "reaches the teacher" in screening.detail


def test_a_dead_single_image_is_found(with_forced, sampled):
    """A sum over the batch hides from doubling what a single image shows."""

    def whole(s, t):
        return (F.normalize(s, dim=0) - F.normalize(t, dim=0)).square().sum()

    assert sampled(with_forced("whole", whole, result=Loss))("whole(global)").failure == "rejected:single"


def test_what_cannot_be_computed_is_a_shape(with_forced, sampled):
    screening = sampled(with_forced("misfit", lambda x: x @ x))("l2(misfit(global))")
    assert screening.failure == "shape"
    assert "\n" not in screening.detail


def test_a_fault_of_the_machine_is_no_fault_of_the_formula(with_forced, sampled):
    def starve(x):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="memory"):
        sampled(with_forced("starve", starve))("l2(starve(global))")


@pytest.mark.parametrize("primitive_set", [OMNI, DETKDS], ids=["OMNI", "DETKDS"])
def test_the_library_passes_on_sample_features(primitive_set, sampled):
    screen, rng, failures = sampled(primitive_set), random.Random(3), {}
    for number in range(60):
        niche = primitive_set.niche(primitive_set.niches[number % len(primitive_set.niches)])
        term = make_term(ramped_half_and_half(niche, rng, 1, 3), primitive_set)
        if failure := screen(term.formula).failure:
            failures[term.formula] = failure
    assert not failures


def test_random_masks_shared_by_both_sides_pass(omni):
    for formula in ("l2(shared_mask(global, 0.5))", "l1(shared_dropout(class_map, 0.1))"):
        assert omni(formula).failure is None


def test_screening_leaves_its_probes_as_they_are(omni):
    before = [s.detach().clone() for s, _ in omni.probes.far.knowledge["global"]]
    first = omni("l2(exp(global))")
    assert all(map(torch.equal, before, [s for s, _ in omni.probes.far.knowledge["global"]]))
    again = omni("l2(exp(global))")
    assert (again.failure, again.fingerprint) == (first.failure, first.fingerprint)


def test_every_check_has_a_name_and_a_reason():
    assert len(set(CHECK_NAMES)) == len(CHECKS)
    assert all(check.reason and check.name.isidentifier() for check in CHECKS)


@pytest.mark.parametrize(
    "formula",
    [
        "l2(masked_generation(global, 0.5))",
        "l2(global_context(global))",
        "l2(shared_mask(masked_generation(global, 0.65), 0.5))",
    ],
)
def test_learned_parts_need_not_be_zero_and_merge_by_text_only(formula, omni):
    screening = omni(formula)
    assert (screening.failure, screening.fingerprint) == (None, "")
