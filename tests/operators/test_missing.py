from __future__ import annotations

import re
from types import ModuleType

import pytest
import torch
from mmcv import ops

from detkds_gp.errors import UserError
from detkds_gp.operators.missing import COMPILE_MMCV, MissingOperator

pytestmark = pytest.mark.usefixtures("ours")
SHIFTED = "from mmcv.ops import box_iou_rotated\ndef overlap(boxes):\n    return box_iou_rotated(boxes, boxes)\n"


def test_an_operator_without_an_equivalent_names_itself_its_caller_and_the_remedy() -> None:
    module = ModuleType("mmdet.models.rotated_head")
    exec(SHIFTED, module.__dict__)
    boxes = torch.rand(2, 5)
    with pytest.raises(MissingOperator) as raised:
        module.overlap(boxes)
    said = str(raised.value)
    assert isinstance(raised.value, UserError)
    assert said.startswith("mmdet.models.rotated_head got mmcv's operator 'box_iou_rotated'")
    assert said.endswith(COMPILE_MMCV)
    assert "\n" not in said


def test_a_use_without_an_equivalent_is_told_too() -> None:
    align = ops.RoIAlign(7, pool_mode="max")
    with pytest.raises(MissingOperator, match=re.escape("with pool_mode='max'")):
        align(torch.rand(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 3, 3]]))
