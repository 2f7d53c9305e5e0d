"""What mmcv says of its own build, said of torchvision's."""

from __future__ import annotations

import torch
import torchvision


def get_compiler_version() -> str:
    """Return whose kernels these are."""
    return f"none: operators of torchvision {torchvision.__version__}"


def get_compiling_cuda_version() -> str:
    """Return the CUDA version that torchvision was built for, or ``not available`` as mmcv says of a CPU build."""
    built_for = int(torch.ops.torchvision._cuda_version())
    return "not available" if built_for < 0 else f"{built_for // 1000}.{built_for % 1000 // 10}"
