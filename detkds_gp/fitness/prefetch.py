"""Batches that are made ready while the GPU is busy with the one before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from torch import Tensor

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the same items, each made in a thread while the one before is at use.

    At most one item more is drawn than taken; what making one raises is raised where it would have been taken.
    Closing the iterator ends the thread.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        following = pool.submit(next, items, None)
        try:
            while (item := following.result()) is not None:
                following = pool.submit(next, items, None)
                yield item
        finally:
            del following  # an error that it holds would keep this frame, and all models below it, alive


def uploaded(image: Tensor, device: str) -> Tensor:
    """Return an image on a CUDA device, copied through pinned memory without waiting for the copy."""
    return image.pin_memory().to(device, non_blocking=True)
