"""The error of an operator that has no equivalent in torchvision or plain torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from detkds_gp.errors import UserError

COMPILE_MMCV = (
    'pip install "setuptools<81" wheel ninja && '
    "MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir mmcv==2.1.0"
)
"""The command that puts compiled operators beside ``mmcv-lite``; needs a C++ compiler, and nvcc for a GPU."""

_INSIDE = ("mmcv", "torch", "detkds_gp.operators")


class MissingOperator(UserError):
    """An operator that only a compiled mmcv has: names it, the module that wanted it, and the remedy."""


def missing(operator: str, case: str = "") -> Callable[..., Any]:
    """Return a stand-in for an operator that raises ``MissingOperator`` when it is called.

    Args:
        operator: its name in ``mmcv._ext``.
        case: which use of it is missing, such as ``with pool_mode='max'``; empty: all.
    """

    def refuse(*_: Any, **__: Any) -> Any:
        raise MissingOperator(
            f"{_caller()} got mmcv's operator {operator!r}{case and ' ' + case}, which torchvision and plain torch "
            f"do not offer, wanted mmcv with compiled operators; {COMPILE_MMCV}"
        )

    return refuse


def _caller() -> str:
    """Return the innermost module on the stack that is neither mmcv's nor torch's nor ours."""
    frame = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name and not name.startswith("_") and name.split(".")[0] not in _INSIDE and not name.startswith(_INSIDE[2]):
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return "this program"
