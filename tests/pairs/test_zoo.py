"""Published distillers on every family they apply to."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import pytest
import torch

from detkds_gp.fitness import ProxyTraining
from detkds_gp.naming import reason_against
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.training import train

from .conftest import FAMILIES, UNLIKE

ProxyOf = Callable[..., ProxyTraining]
ANY = {"mimic", "cwd"}
ONE_STAGE = ANY | {
    "pkd", "fgd", "fgd_anchor_free", "fgd_fcos", "mgd", "bckd", "crosskd",
    "detkds_retinanet_r101", "detkds_retinanet_x101", "detkds_fcos", "detkds_gfl",
}  # fmt: skip
TWO_STAGE = ANY | {"pkd_two_stage", "fgd_two_stage", "mgd_two_stage", "detkds_faster_rcnn", "detkds_cascade"}
APPLY = {
    **dict.fromkeys(("retinanet", "fcos", "atss", "reppoints", "gfl_to_retinanet", "retinanet34_to_fcos18"), ONE_STAGE),
    **dict.fromkeys(("tood", "vfnet", "yolox", "rtmdet"), ONE_STAGE),
    "gfl": ONE_STAGE | {"ld"},
    **dict.fromkeys(
        ("faster_rcnn", "cascade_rcnn", "mask_rcnn", "cascade_mask_rcnn", "cascade_mask_to_faster"), TWO_STAGE
    ),
}


def trained(proxy: ProxyTraining, name: str) -> None:
    """Train a student for a step under a published distiller and check that it and the distiller's weights move."""
    model = proxy.model(ZOO[name].distiller(proxy.task.primitive_set), seed=0).train()
    ((batch, outputs),) = islice(proxy.batches(0, model), 1)
    losses = {key: value for key, value in model.losses(batch, outputs).items() if "distill" in key}
    total = sum(value.mean() for value in losses.values())
    assert math.isfinite(float(total.detach()))
    assert float(total.detach()) > 0
    total.backward()
    assert any(p.grad is not None and p.grad.any() for p in model.student.parameters()), name
    model.zero_grad()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(model, proxy.batches(0, model), proxy.task.settings, 1, seed=0)
    after = model.state_dict()
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert any(key.startswith("student.backbone") for key in moved)
    learned = {key for key in before if key.startswith("distillation.")}
    assert bool(learned) == ("mgd" in name or "fgd" in name or name == "detkds_cascade")
    assert bool(learned & moved) == bool(learned)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, *UNLIKE])
def test_every_distiller_trains_on_every_family_it_applies_to(name: str, proxy_of: ProxyOf) -> None:
    proxy = proxy_of(name)
    grammar, pair = proxy.task.primitive_set, proxy.task.pair
    reasons = {entry.name: reason_against(entry, grammar, pair) for entry in ZOO.values()}
    assert {entry for entry, reason in reasons.items() if not reason} == APPLY[name], reasons
    for entry in sorted(APPLY[name]):
        trained(proxy, entry)
