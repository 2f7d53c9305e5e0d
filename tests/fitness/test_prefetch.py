from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import pytest
import torch

from detkds_gp.fitness import ProxyTraining
from detkds_gp.fitness.prefetch import ahead


def test_the_next_item_is_made_while_one_is_at_use() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    taken = ahead(items())
    assert next(taken) == 1
    assert second.wait(timeout=10)
    assert list(taken) == [2]


def test_what_making_an_item_raises_comes_after_the_items_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second is broken")

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="the second is broken"):
        next(taken)


def test_closing_ends_the_thread() -> None:
    taken = ahead(iter(range(1, 100)))
    next(taken)
    taken.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_batches_made_ahead_are_the_batches(proxy: ProxyTraining) -> None:
    plain, early = proxy.batches(0), ahead(proxy.batches(0))
    for (batch, _), (same, _) in islice(zip(plain, early, strict=False), 3):
        assert all(torch.equal(a, b) for a, b in zip(batch["inputs"], same["inputs"], strict=True))
