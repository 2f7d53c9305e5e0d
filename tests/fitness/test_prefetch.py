from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from detkds_gp.fitness import ProxyTraining
from detkds_gp.fitness.batches import Batches, ahead
from detkds_gp.score import Trial

from .conftest import Tasks


def test_the_next_item_is_made_while_one_is_at_use() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    taken = ahead(items())
    assert next(taken) == 1
    assert second.wait(timeout=120)
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


def test_an_error_keeps_nothing_alive() -> None:
    class Model:
        """Stands for what a failed training holds."""

    def items(model: Model) -> Iterator[int]:
        yield 1
        raise MemoryError(model)

    def take() -> weakref.ref[Model]:
        model = Model()
        with pytest.raises(MemoryError):
            list(ahead(items(model)))
        return weakref.ref(model)

    gc.disable()
    try:
        assert take()() is None
    finally:
        gc.enable()


ASKED = "1 * 1 * weighted_binary_kl(units(cross_logits, 1))"
"""Asks the teacher's head at every step, whether its outputs are kept or not."""


@pytest.mark.parametrize("kept", [True, False])
def test_a_student_trained_on_batches_made_ahead_is_the_same(kept: bool, task_with: Tasks, tmp_path: Path) -> None:
    task = task_with(tmp_path, primitive_set="detkds_gp.primitives:OMNI", knowledge=None)
    task = task if kept else replace(task, teacher_outputs=None)
    assert ProxyTraining(task).prepare_teacher().ok
    scores = []
    for prefetch in (False, True):
        proxy = ProxyTraining(task)
        proxy.batches = Batches(task, proxy.images["train"], lambda proxy=proxy: proxy.teacher, prefetch=prefetch)
        scores += [replace(score, wall_seconds=0.0) for score in proxy.together([Trial(ASKED, 4, 0)])]
    assert scores[0].ok
    assert scores[0] == scores[1]
