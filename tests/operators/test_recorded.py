"""Our operators against numbers that compiled mmcv 2.1.0 gave on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from .cases import CASES
from .families import FAMILIES, one_step
from .record import recorded

pytestmark = pytest.mark.usefixtures("ours")
RECORDED = recorded()
TOLERANCES = {np.dtype("float64"): 1e-10, np.dtype("float32"): 1e-5, np.dtype("float16"): 5e-3}
"""By type, relative to the largest number of an array: half precision sums in another order."""


SUMS = 10
"""How many times as far a detector's step may be: its gradients are sums over all positions, in the CPU's own order."""


def agree(found: dict[str, torch.Tensor], expected: dict[str, np.ndarray], times: float = 1) -> None:
    assert found.keys() == expected.keys()
    for part, wanted in expected.items():
        got = found[part].numpy()
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), part
        if wanted.dtype.kind == "i":
            assert np.array_equal(got, wanted), part
        elif wanted.size:
            scale = max(1e-3, float(np.abs(wanted).max()))
            off = np.abs(got.astype(float) - wanted.astype(float)).max()
            assert off <= times * TOLERANCES[wanted.dtype] * scale, part


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_compiled_mmcv_gave(name: str) -> None:
    found = CASES[name]()
    order, expected_order = found.pop("order", None), RECORDED[name].get("order")
    if order is not None and not np.array_equal(order.numpy(), expected_order):
        pytest.skip("torch sorts these tied scores in another order here than where the numbers were recorded")
    agree(found, {part: value for part, value in RECORDED[name].items() if part != "order"})


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_step_and_predictions_are_those_of_compiled_mmcv(name: str) -> None:
    agree(one_step(name), RECORDED[name], SUMS)
