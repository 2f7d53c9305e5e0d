"""Every knowledge of every family is screened: what is sound passes, whatever it is cut from."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detkds_gp.fitness import ProxyTraining, probes_of
from detkds_gp.preflight.check import simplest_formula
from detkds_gp.screening import Screen

from .conftest import FAMILIES, OF_PREDICTIONS, QUERIES, UNLIKE

QUICK = ("retinanet", "mask_rcnn", "detr")
SLOW = tuple(name for name in (*FAMILIES, *QUERIES, *UNLIKE, *OF_PREDICTIONS) if name not in QUICK)
TEACHER = {name: {"teacher.train.iterations": 60, "teacher.train.checks": 0} for name in ("rtmdet", "sparse_rcnn")}
"""An RTMDet's boxes begin as points, on which no overlap has a gradient, and those of all Sparse R-CNNs as the image:
their teachers have to train for a while."""


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_the_simplest_formula_of_every_knowledge_passes(name: str, proxy_of: Callable[..., ProxyTraining]) -> None:
    proxy = proxy_of(name, **TEACHER.get(name, {}))
    grammar = proxy.task.primitive_set
    screen = Screen(probes_of(proxy, 0), grammar)
    sided = [d for d in grammar.inputs if d.result.sided]
    found = {d.name: screen(simplest_formula(d, grammar)) for d in sided}
    assert {input_: s.detail for input_, s in found.items() if s.failure} == {}
    assert all(screening.fingerprint for screening in found.values())
