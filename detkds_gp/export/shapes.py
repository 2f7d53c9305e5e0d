"""The tensor shapes that pass along the edges of a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch

from detkds_gp.language import PrimitiveSet
from detkds_gp.language.tree import Node
from detkds_gp.losses.lint import computed_steps, sample_knowledge

Shapes: TypeAlias = Mapping[str, Sequence[int]]
"""By the text of a subtree, e.g. ``unit_channel(global)``, the shape of the tensor it gives (of one side)."""


def sample_shapes(trees: Sequence[Sequence[Node]], primitive_set: PrimitiveSet) -> dict[str, tuple[int, ...]]:
    """Compute every subtree on one level of sample knowledge, the one that `lint` checks formulas on.

    Args:
        trees: the trees; equal subtrees are computed once a tree.
        primitive_set: the set that declares their names.

    Returns:
        by text of a subtree, the shape of one side. Numbers have none, nor has what cannot be
        computed on the sample: a drawing of a broken formula helps to mend it.
    """
    found: dict[str, tuple[int, ...]] = {}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        knowledge = sample_knowledge(primitive_set)
        for tree in trees:
            try:
                for step in computed_steps(tree, primitive_set, knowledge):
                    found[step.text] = step.shape
            except (RuntimeError, ValueError, TypeError):
                continue
    return found


def shape_text(shape: Sequence[int] | None) -> str:
    """Write a shape: ``2×8×9×11``, ``()`` for a scalar, nothing for None."""
    if shape is None:
        return ""
    return "×".join(str(size) for size in shape) or "()"
