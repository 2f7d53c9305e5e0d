"""The module that Python finds as ``mmcv._ext`` where mmcv has none: every operator by the name that mmcv calls.

mmcv asks at import whether each of its operators is there: those without an equivalent are, and raise when called.
"""

# ruff: noqa: F401  (mmcv takes them by name)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torchvision

from detkds_gp.operators.attention import ms_deform_attn_backward, ms_deform_attn_forward
from detkds_gp.operators.deformable import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from detkds_gp.operators.focal_loss import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from detkds_gp.operators.masked import masked_col2im_forward, masked_im2col_forward
from detkds_gp.operators.missing import missing
from detkds_gp.operators.regions import roi_align_backward, roi_align_forward, roi_pool_backward, roi_pool_forward
from detkds_gp.operators.suppression import nms, nms_match, softnms
from detkds_gp.operators.upsampling import carafe_backward, carafe_forward, carafe_naive_backward, carafe_naive_forward


def get_compiler_version() -> str:
    """Return whose kernels these are, where mmcv asks for the compiler of its build."""
    return f"none: operators of torchvision {torchvision.__version__}"


def get_compiling_cuda_version() -> str:
    """Return the CUDA version that torchvision was built for, or ``not available`` as mmcv says of a CPU build."""
    built_for = int(torch.ops.torchvision._cuda_version())
    return "not available" if built_for < 0 else f"{built_for // 1000}.{built_for % 1000 // 10}"


def __getattr__(name: str) -> Callable[..., Any]:
    """Return a stand-in that raises ``MissingOperator`` for an operator that has no equivalent."""
    if name.startswith("_"):
        raise AttributeError(name)
    return missing(name)
