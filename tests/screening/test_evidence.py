"""Numbers that operations write, against counts by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from detkds_gp.screening.evidence import Work

X = torch.ones(3, 4)


def work_of(act: Callable[[], object]) -> int:
    with Work() as work:
        act()
    return work.numbers


@pytest.mark.parametrize(
    ("act", "numbers"),
    [
        (lambda: X + 1, 12),
        (lambda: (X + 1).sum(), 13),
        (lambda: X @ X.T, 9),
        (lambda: X.T.reshape(4, 3)[1:], 0),
        (lambda: X.max(dim=1), 6),
        (lambda: None, 0),
    ],
)
def test_what_is_written_is_counted_and_views_are_not(act: Callable[[], object], numbers: int) -> None:
    assert work_of(act) == numbers


def test_a_backward_pass_is_counted_where_it_runs() -> None:
    x = X.clone().requires_grad_()
    assert work_of(lambda: (2 * x).sum().backward()) > work_of(lambda: (2 * x).sum())
