"""Combiners of losses, and the constants that formulas use."""

from torch import Tensor

from detkds_gp.language import Algebra, Factor, Loss, Ratio, Temperature, combiner, constant


@combiner((Loss, Loss), latex=r"#1 + #2", algebra=Algebra(commutative=True))
def add(a: Tensor, b: Tensor) -> Tensor:
    """Add two losses."""
    return a + b


@combiner((Loss, Factor), latex=r"#2 \cdot #1", algebra=Algebra(multiplies=True))
def scaled(loss: Tensor, factor: float) -> Tensor:
    """Multiply a loss by a constant."""
    return loss * factor


@constant(Temperature)
def temperature() -> tuple[float, ...]:
    """Temperatures that formulas draw."""
    return (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@constant(Factor)
def factor() -> tuple[float, ...]:
    """Factors between the losses of one tree."""
    return (0.1, 0.2, 0.5, 2.0, 5.0, 10.0)


@constant(Ratio)
def ratio() -> tuple[float, ...]:
    """Shares of positions kept or of numbers dropped."""
    return (0.1, 0.35, 0.5, 0.65)
