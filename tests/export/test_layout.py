from __future__ import annotations

import random
from itertools import pairwise

import pytest

from detkds_gp.export.layout import centres, layers


def _random_tree(rng: random.Random, size: int) -> list[list[int]]:
    """Post-order children lists of a random tree."""
    below: list[list[int]] = []
    roots: list[int] = []
    for node in range(size):
        take = rng.randint(0, min(3, len(roots))) if node < size - 1 else len(roots)
        children = roots[len(roots) - take :]
        roots = [*roots[: len(roots) - take], node]
        below.append(children)
    return below


@pytest.mark.parametrize("seed", range(40))
def test_tidy(seed):
    rng = random.Random(seed)
    below = _random_tree(rng, rng.randint(1, 60))
    widths = [rng.uniform(0.3, 2.5) for _ in below]
    depth, xs = layers(below), centres(below, widths, gap=0.2)

    order = []
    pending = [len(below) - 1]
    while pending:
        node = pending.pop()
        order.append(node)
        pending.extend(reversed(below[node]))
        for child in below[node]:
            assert depth[child] == depth[node] + 1
        if below[node]:
            first, last = below[node][0], below[node][-1]
            assert xs[node] == pytest.approx((xs[first] + xs[last]) / 2)
    for layer in range(max(depth) + 1):
        row = [node for node in order if depth[node] == layer]
        for a, b in pairwise(row):
            assert xs[b] - widths[b] / 2 >= xs[a] + widths[a] / 2 + 0.2 - 1e-9
    assert min(x - w / 2 for x, w in zip(xs, widths, strict=True)) == pytest.approx(0)


def test_two_leaves_touch_the_gap():
    assert centres([[], [], [0, 1]], [1.0, 2.0, 1.0], gap=0.5) == pytest.approx([0.5, 2.5, 1.5])


def test_a_deep_chain_needs_no_recursion():
    chain = [[], *([node] for node in range(20_000))]
    assert set(centres(chain, [1.0] * len(chain), gap=0.2)) == {0.5}
