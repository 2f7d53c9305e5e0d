"""Work: how many numbers a piece of torch code writes, counted and not timed, so that every machine says the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Work(TorchDispatchMode):
    """Counts the numbers that torch's operations write while it is entered; views write none.

    Of losses over maps this follows the time that they add to a step: `benchmarks/work.py`.

    Attributes:
        numbers: written so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it writes."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.numbers += sum(x.numel() for x in tree_leaves(out) if isinstance(x, Tensor))
        return out


def work_of(act: Callable[[], object]) -> int:
    """Return how many numbers an act writes."""
    with Work() as work:
        act()
    return work.numbers
