from __future__ import annotations

import numpy as np
import pytest

from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.screening import DIRECTION
from detkds_gp.search.belief import BOUNDS, Belief, TermsKernel

TEXTS = (
    "1 * calibrated * l2(global)",
    "10 * calibrated * l2(global)",
    "100 * calibrated * l1(unit_channel(global))",
    "3 * calibrated * l2(standardize_channel(global))",
    "2 * calibrated * binary_kl(units(class_logits, 1))",
    "30 * calibrated * l2(class_logits)",
    "1 * calibrated * l2(global) + 2 * calibrated * binary_kl(units(class_logits, 1))",
    "10 * calibrated * l2(global) + 30 * calibrated * l2(class_logits)",
    "50 * calibrated * l2(instance) + 2 * calibrated * l2(class_logits)",
    "5 * calibrated * l2(instance)",
)
APS = (0.21, 0.22, 0.25, 0.24, 0.26, 0.2, 0.27, 0.22, 0.23, 0.21)


def distillers(texts=TEXTS):
    return [parse_distiller(text, DETKDS, bare=None) for text in texts]


def direction(formula: str) -> tuple[float, ...]:
    vector = np.random.default_rng(sum(map(ord, formula))).standard_normal(DIRECTION)
    return tuple(vector / np.linalg.norm(vector))


def learned() -> Belief:
    belief = Belief(DETKDS, direction)
    belief.learn(distillers(), APS)
    return belief


def rows() -> np.ndarray:
    return learned()._rows(distillers())


def slow_likeness(kernel: TermsKernel, one: np.ndarray, other: np.ndarray) -> float:
    """The kernel's definition, term by term."""
    shared = alike = 0.0
    for a, b in zip(one.reshape(kernel.niches, -1), other.reshape(kernel.niches, -1), strict=True):
        if a[0] and b[0]:
            shared += 1
            gap = ((a[1] - b[1]) / kernel.decades) ** 2
            gap += sum(((x - y) / kernel.direction) ** 2 for x, y in zip(a[2 : 2 + kernel.width], b[2:], strict=False))
            split = 2 + kernel.width
            gap += sum(((x - y) / kernel.parts) ** 2 for x, y in zip(a[split:], b[split:], strict=True))
            alike += np.exp(-gap / 2)
    return kernel.knowledge * shared + kernel.term * alike + kernel.pair * alike**2


def test_likeness_is_what_its_definition_says():
    kernel, X = TermsKernel(len(DETKDS.niches), DIRECTION, pair=0.2), rows()
    wanted = [[slow_likeness(kernel, a, b) for b in X] for a in X]
    assert kernel(X) == pytest.approx(np.array(wanted))
    assert kernel(X[:3], X) == pytest.approx(np.array(wanted)[:3])
    assert kernel.diag(X) == pytest.approx(np.diag(wanted))
    assert np.linalg.eigvalsh(kernel(X)).min() > -1e-9


def test_its_slopes_are_those_of_finite_differences():
    kernel, X = TermsKernel(len(DETKDS.niches), DIRECTION, pair=0.2), rows()
    theta = kernel.theta
    _, slopes = kernel(X, eval_gradient=True)
    for place in range(len(BOUNDS)):
        moved = []
        for step in (1e-5, -1e-5):
            kernel.theta = theta + step * np.eye(len(theta))[place]
            moved.append(kernel(X))
        kernel.theta = theta
        assert slopes[:, :, place] == pytest.approx((moved[0] - moved[1]) / 2e-5, abs=1e-6)


def test_what_is_expected_is_the_posterior_of_a_gaussian_process():
    belief = learned()
    kernel, noise = belief._model.kernel_.k1, belief._model.kernel_.k2.noise_level
    X, new = belief._rows(distillers()), belief._rows(distillers(["7 * calibrated * l2(standardize_channel(global))"]))
    aps = np.array(APS)
    centred = (aps - aps.mean()) / aps.std()
    weights = np.linalg.inv(kernel(X) + noise * np.eye(len(X)))
    mean = aps.mean() + aps.std() * (kernel(new, X) @ weights @ centred)
    variance = aps.std() ** 2 * (kernel(new) - kernel(new, X) @ weights @ kernel(X, new))
    expected, deviation = belief.expected(distillers(["7 * calibrated * l2(standardize_channel(global))"]))
    assert expected == pytest.approx(mean, abs=1e-6)
    assert deviation == pytest.approx(np.sqrt(variance[0]), abs=1e-5)
    assert belief.noise == pytest.approx(noise * aps.std() ** 2)


def test_draws_have_the_moments_that_are_believed():
    belief, asked = learned(), distillers(["7 * calibrated * l2(global)", "8 * calibrated * l2(global)", TEXTS[5]])
    drawn = belief.sampled(asked, 20_000, seed=1)
    mean, deviation = belief.expected(asked)
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=1e-3)
    assert drawn.std(axis=0) == pytest.approx(deviation, rel=0.05, abs=1e-4)
    assert np.corrcoef(drawn.T)[0, 1] > 0.9  # neighbours in weight share their luck
    assert (drawn == belief.sampled(asked, 20_000, seed=1)).all()


def test_the_same_answers_give_the_same_belief_to_the_last_digit():
    one, two = learned(), learned()
    asked = distillers(["4 * calibrated * l1(global)"])
    assert one.expected(asked)[0].tolist() == two.expected(asked)[0].tolist()


def test_nothing_is_believed_before_something_was_learned():
    belief = Belief(DETKDS, direction)
    assert not belief.ready
    with pytest.raises(ValueError, match="call learn"):
        belief.expected(distillers())


def test_formulas_without_a_direction_are_known_by_their_parts():
    belief = Belief(DETKDS, lambda formula: None)
    belief.learn(distillers(), APS)
    near, far = belief.expected(
        distillers(["3 * calibrated * l2(standardize_channel(global))", "900 * calibrated * l1(instance)"])
    )[1]
    assert near < far
