"""The two halves of a convolution that is computed at chosen positions only (guided anchoring)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def masked_im2col_forward(
    features: Tensor,
    rows: Tensor,
    columns: Tensor,
    patches: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Fill ``patches`` (C * kernel_h * kernel_w, P) with what the filter sees at P positions of (1, C, H, W)."""
    padded = pad(features[0], (pad_w, pad_w + kernel_w, pad_h, pad_h + kernel_h))
    windows = padded.unfold(1, kernel_h, 1).unfold(2, kernel_w, 1)  # (C, H', W', kernel_h, kernel_w)
    seen = windows[:, rows, columns]  # (C, P, kernel_h, kernel_w)
    patches.copy_(seen.permute(0, 2, 3, 1).reshape(patches.shape))


def masked_col2im_forward(
    values: Tensor, rows: Tensor, columns: Tensor, output: Tensor, height: int, width: int, channels: int
) -> None:
    """Put ``values`` (O, P) at P positions of ``output`` (1, O, H, W)."""
    output[0, :, rows, columns] = values
