"""Pointwise functions, protected where they could overflow or lose their gradient."""

import torch.nn.functional as F
from torch import Tensor

from detkds_gp.language import Algebra, Map, transform

SAME = "n c h w -> n c h w"
LARGE = 10.0


@transform(Map, Map, shape=SAME, latex=r"\sqrt{#1}")
def signed_sqrt(x: Tensor) -> Tensor:
    """Take sign(x) (sqrt(|x| + 1e-4) - 1e-2): the square root, odd, with slope 50 at zero."""
    return x / ((x.abs() + 1e-4).sqrt() + 1e-2)


@transform(Map, Map, shape=SAME, latex=r"\log #1")
def signed_log(x: Tensor) -> Tensor:
    """Take sign(x) log(1 + |x|): the logarithm, odd and finite everywhere, with slope 1 at zero."""
    # At zero relu has slope 0 and what is chosen slope 1, where sign(x) and |x| would both give 0.
    return F.relu(x).log1p() - x.where(x <= 0, 0.0).neg().log1p()


@transform(Map, Map, shape=SAME, latex=r"#1^{2}")
def square(x: Tensor) -> Tensor:
    """Square every number."""
    return x.square()


@transform(Map, Map, shape=SAME, latex=r"#1^{4}")
def fourth_power(x: Tensor) -> Tensor:
    """Raise every number to the fourth power; beyond 1e4 in magnitude it is clipped first."""
    return x.clamp(-1e4, 1e4).pow(4)


@transform(Map, Map, shape=SAME, latex=r"|#1|", algebra=Algebra(idempotent=True))
def absolute(x: Tensor) -> Tensor:
    """Take the magnitude of every number."""
    return x.abs()


@transform(Map, Map, shape=SAME, latex=r"\mathrm{sig}(#1)")
def sigmoid(x: Tensor) -> Tensor:
    """Squash every number to (0, 1)."""
    return x.sigmoid()


@transform(Map, Map, shape=SAME, latex=r"\mathrm{swish}(#1)")
def swish(x: Tensor) -> Tensor:
    """Smooth a ramp: x sigmoid(x)."""
    return F.silu(x)


@transform(Map, Map, shape=SAME, latex=r"\tanh(#1)")
def tanh(x: Tensor) -> Tensor:
    """Squash every number to (-1, 1)."""
    return x.tanh()


@transform(Map, Map, shape=SAME, latex=r"(#1)_{+}", algebra=Algebra(idempotent=True))
def relu(x: Tensor) -> Tensor:
    """Keep positive numbers, set the others to zero."""
    return F.relu(x)


@transform(Map, Map, shape=SAME, latex=r"\mathrm{lrelu}(#1)")
def leaky_relu(x: Tensor) -> Tensor:
    """Keep positive numbers, divide the others by 100."""
    return F.leaky_relu(x)


@transform(Map, Map, shape=SAME, latex=r"\mathrm{mish}(#1)")
def mish(x: Tensor) -> Tensor:
    """Smooth a ramp: x tanh(log(1 + exp x))."""
    return F.mish(x)


@transform(Map, Map, shape=SAME, latex=r"e^{#1}")
def exp(x: Tensor) -> Tensor:
    """Exponentiate up to x = 10; beyond, the tangent there goes on, so that nothing overflows."""
    low = x.clamp_max(LARGE)
    return low.exp() * (1 + (x - low))


POINTWISE = (
    signed_sqrt, signed_log, square, fourth_power, absolute, sigmoid, swish, tanh, relu, leaky_relu, mish, exp,
)  # fmt: skip
