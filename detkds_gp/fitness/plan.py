"""Which images, in which order, flipped or not: one plan for all candidates of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator


def plan(images: int, batch_size: int, seed: int) -> Iterator[tuple[list[int], list[bool]]]:
    """Yield (image indices, flips) of one batch after the other, without end.

    Every image comes once per pass, in an order drawn per pass; a pass may end within a batch. A shorter
    training sees a prefix of a longer one's batches.
    """
    rng = random.Random(f"plan/{seed}")
    waiting: list[int] = []
    while True:
        while len(waiting) < batch_size:
            order = list(range(images))
            rng.shuffle(order)
            waiting += order
        indices, waiting = waiting[:batch_size], waiting[batch_size:]
        yield indices, [rng.random() < 0.5 for _ in indices]
