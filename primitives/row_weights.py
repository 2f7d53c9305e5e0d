"""One number for every row: weights of rows and of their distances."""

from torch import Tensor

from detkds_gp.language import RowField, Rows, transform
from detkds_gp.primitives.attention import root

EPS = 1e-12  # weights whose sum lies below it count as none


def per_row(field: Tensor, rows: int) -> Tensor:
    """Repeat the numbers of a field for rows that come k to each.

    Args:
        field: (M, 1), never negative.
        rows: k M, how many rows there are.

    Returns:
        (rows,).

    Raises:
        ValueError: if the rows are no multiple of the field's numbers.
    """
    numbers = len(field)
    if rows == numbers:
        return field.flatten()
    if not numbers or rows % numbers:
        raise ValueError(f"a field has {numbers} numbers for {rows} rows, wanted 1 for every row or every k rows")
    return field.flatten().repeat_interleave(rows // numbers)


def weighted_mean(values: Tensor, field: Tensor) -> Tensor:
    """Average (k M,) values with the weights of a (M, 1) field; 0 where all weights are 0."""
    weights = per_row(field, len(values))
    return (weights * values).sum() / weights.sum().clamp_min(EPS)


@transform((Rows, RowField), Rows, shape="m d -> m d", latex=r"#2 \odot #1")
def weighted_rows(x: Tensor, field: Tensor) -> Tensor:
    """Multiply rows by the root of a field, so that a squared distance is weighted by it.

    Rows that come k to a number of the field share it.
    """
    return x * root(per_row(field, len(x)))[:, None]
