"""The inheriting strategy: a student that starts with its teacher's neck and head (DetKDS; FGD, CVPR 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

INHERITED = ("neck", "bbox_head", "rpn_head", "roi_head")
CLASSLESS = ("neck", "rpn_head")
"""Parts that know no classes: all that is inherited where the classes differ."""


class _Classes(Protocol):
    @property
    def classes(self) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]: ...


def inheritable(student: nn.Module, teacher: nn.Module, pair: _Classes) -> dict[str, tuple[list[str], int]]:
    """Say for each part of the student which of its tensors the teacher can give it, and how many it has in all.

    A tensor is inherited if the teacher has one of the same name and shape.

    Args:
        student: the detector that starts.
        teacher: the detector that gives.
        pair: names the classes of both; where they differ, heads that know classes are left out.
    """
    theirs = teacher.state_dict()
    parts = INHERITED if pair.classes[0] == pair.classes[1] else CLASSLESS
    found: dict[str, tuple[list[str], int]] = {}
    for part in parts:
        own = {key: value for key, value in student.state_dict().items() if key.startswith(f"{part}.")}
        if own:
            found[part] = ([key for key, value in own.items() if _fits(value, theirs, key)], len(own))
    return found


def inherit(student: nn.Module, teacher: nn.Module, pair: _Classes) -> None:
    """Give the student, in place, what `inheritable` names."""
    theirs = teacher.state_dict()
    ours = student.state_dict()
    with torch.no_grad():
        for keys, _ in inheritable(student, teacher, pair).values():
            for key in keys:
                ours[key].copy_(theirs[key])


def _fits(value: Tensor, theirs: Mapping[str, Tensor], key: str) -> bool:
    return key in theirs and theirs[key].shape == value.shape
