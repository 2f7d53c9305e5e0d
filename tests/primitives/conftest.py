"""One independent oracle for every primitive: loops in numpy (float64), or scipy's definition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import correlation
from scipy.special import expit, log_expit, log_softmax, softmax

Array = np.ndarray
EPS = 1e-6


def each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return np.vectorize(function, otypes=[float])


def sign(x: float) -> float:
    return float(x > 0) - float(x < 0)


def softplus(x: float) -> float:
    return x if x > 30 else math.log1p(math.exp(x))


POINTWISE = {
    "signed_sqrt": each(lambda x: sign(x) * (math.sqrt(abs(x) + 1e-4) - 1e-2)),
    "signed_log": each(lambda x: sign(x) * math.log(1 + abs(x))),
    "square": each(lambda x: x * x),
    "fourth_power": each(lambda x: min(abs(x), 1e4) ** 4),
    "absolute": each(lambda x: -x if x < 0 else x),
    "sigmoid": expit,
    "swish": each(lambda x: x * expit(x)),
    "tanh": each(lambda x: 2 * expit(2 * x) - 1),
    "relu": each(lambda x: x if x > 0 else 0),
    "leaky_relu": each(lambda x: x if x > 0 else x / 100),
    "mish": each(lambda x: x * math.tanh(softplus(x))),
    "exp": each(lambda x: math.exp(x) if x < 10 else math.exp(10) * (x - 9)),
}


def along(axes: tuple[int, ...], function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Apply a function of a vector to every slice of an array over some axes."""

    def apply(x: Array) -> Array:
        result = np.empty_like(x)
        others = [range(n) if axis not in axes else [slice(None)] for axis, n in enumerate(x.shape)]
        for index in itertools.product(*others):
            result[index] = function(x[index].ravel()).reshape(x[index].shape)
        return result

    return apply


def unit(v: Array) -> Array:
    return v / max(math.sqrt(sum(a * a for a in v)), EPS)


def standard(v: Array) -> Array:
    mean = sum(v) / len(v)
    return (v - mean) / math.sqrt(sum((a - mean) ** 2 for a in v) / len(v) + EPS**2)


def space_field(x: Array, temperature: float) -> Array:
    n, _, h, w = x.shape
    return np.stack([h * w * softmax(np.abs(x[i]).mean(0).ravel() / temperature).reshape(1, h, w) for i in range(n)])


def channel_field(x: Array, temperature: float) -> Array:
    n, c = x.shape[:2]
    strength = np.array([[np.abs(x[i, j]).mean() for j in range(c)] for i in range(n)])
    return np.stack([c * softmax(strength[i] / temperature)[:, None, None] for i in range(n)])


def pool(side: int) -> Callable[[Array], Array]:
    def apply(x: Array) -> Array:
        n, c, h, w = x.shape
        result = np.empty((n, c, -(-h // side), -(-w // side)))
        for i, j in np.ndindex(result.shape[2:]):
            cell = x[:, :, i * side : (i + 1) * side, j * side : (j + 1) * side]
            result[:, :, i, j] = cell.max((2, 3))
        return result

    return apply


def patches(side: int) -> Callable[[Array], Array]:
    def apply(x: Array) -> Array:
        n, c, h, w = x.shape
        padded = np.zeros((n, c, -(-h // side) * side, -(-w // side) * side))
        padded[:, :, :h, :w] = x
        rows = [
            padded[i, j, r : r + side, s : s + side].ravel()
            for i in range(n)
            for j in range(c)
            for r in range(0, h, side)
            for s in range(0, w, side)
        ]
        return np.array(rows)

    return apply


def resized(x: Array, h: int, w: int) -> Array:
    """Average the cells from floor(i H / h) to ceil((i + 1) H / h)."""
    result = np.empty((*x.shape[:2], h, w))
    for i, j in np.ndindex(h, w):
        rows = slice(i * x.shape[2] // h, -(-(i + 1) * x.shape[2] // h))
        columns = slice(j * x.shape[3] // w, -(-(j + 1) * x.shape[3] // w))
        result[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
    return result


def weighted(x: Array, field: Array) -> Array:
    if field.shape[2:] not in ((1, 1), x.shape[2:]):
        field = resized(field, *x.shape[2:])
    return x * np.sqrt(field)


def channel_gram(x: Array) -> Array:
    n, c, h, w = x.shape
    entries = [[(x[i, j] * x[i, k]).sum() / (h * w) for k in range(c)] for i in range(n) for j in range(c)]
    return np.array(entries)


def space_gram(x: Array) -> Array:
    x = resized(x, 16, 16)
    vectors = [np.array([image[:, i, j] for i, j in np.ndindex(16, 16)]) for image in x]
    return np.array([(v @ v.T / v.shape[1]).ravel() for v in vectors])


def rows_of(x: Array) -> Array:
    """Make one row of every position: the features stand on axis 1."""
    return x if x.ndim == 2 else np.array([x[i, :, r, s] for i, r, s in np.ndindex(len(x), *x.shape[2:])])


def channels_of(x: Array) -> Array:
    return np.array([x[i, j].ravel() for i, j in np.ndindex(*x.shape[:2])])


def mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


def huber(d: float) -> float:
    return d * d / 2 if d < 1 else d - 0.5


def binary(a: float, b: float) -> float:
    """Sum over both outcomes of teacher's p (log p - log q), from logits."""
    outcomes = [(a, b), (-a, -b)]
    return float(sum(expit(t) * (log_expit(t) - log_expit(s)) for s, t in outcomes))


def binary_rows(s: Array, t: Array, weight: Callable[[float, float], float]) -> float:
    pairs = [list(zip(a, b, strict=True)) for a, b in zip(s, t, strict=True)]
    return mean([sum(weight(expit(a), expit(b)) * binary(a, b) for a, b in row) for row in pairs])


def angle(a: Array, b: Array) -> float:
    """1 - cosine; of zero vectors, the limit of the smoothed definition."""
    if a.any() and b.any():
        return 1 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    return 0.5 * float(((unit(a) - unit(b)) ** 2).sum())


def repeated(field: Array, rows: int) -> list[float]:
    """Give every row its number: row i of k M has number floor(i / k) of M."""
    return [float(field[i * len(field) // rows, 0]) for i in range(rows)]


def weighted_mean(values: list[float], field: Array) -> float:
    weights = repeated(field, len(values))
    return sum(w * v for w, v in zip(weights, values, strict=True)) / max(sum(weights), 1e-12)


def intervals(box: Array, least: float) -> list[tuple[float, float]]:
    """Give a box's interval on each axis, corners in order, of a least length."""
    ends = [sorted((float(box[axis]), float(box[axis + 2]))) for axis in (0, 1)]
    return [(low, low + max(high - low, least)) for low, high in ends]


def overlaps(a: Array, b: Array) -> tuple[float, float]:
    """Give IoU and GIoU from areas in pixels."""
    pairs = list(zip(intervals(a, 1e-3), intervals(b, 1e-3), strict=True))
    common = math.prod(max(0, min(p[1], q[1]) - max(p[0], q[0])) for p, q in pairs)
    hull = math.prod(max(p[1], q[1]) - min(p[0], q[0]) for p, q in pairs)
    union = math.prod(p[1] - p[0] for p, _ in pairs) + math.prod(q[1] - q[0] for _, q in pairs) - common
    return common / union, common / union - (hull - union) / hull


def box_gaps(s: Array, t: Array, which: int) -> list[float]:
    return [1 - overlaps(a, b)[which] for a, b in zip(s, t, strict=True)]


def box_offsets(s: Array, t: Array) -> tuple[Array, Array]:
    rows = []
    for a, b in zip(s, t, strict=True):
        pairs = list(zip(intervals(a, 1), intervals(b, 1), strict=True))
        shifts = [(sum(p) - sum(q)) / 2 / (q[1] - q[0]) for p, q in pairs]
        rows.append([0.5 + d for d in shifts] + [math.log((p[1] - p[0]) / (q[1] - q[0])) for p, q in pairs])
    return np.array(rows).reshape(-1, 4), np.array([[0.5, 0.5, 0, 0]] * len(rows)).reshape(-1, 4)


def ssim(s: Array, t: Array) -> float:
    """Wang et al., eq. 13, window by window."""
    values = []
    for n, c, i, j in np.ndindex(s.shape):
        extent = max(t[n].max() - t[n].min(), 1e-6)
        c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
        window = slice(max(0, i - 3), i + 4), slice(max(0, j - 3), j + 4)
        a, b = s[n, c][window].ravel(), t[n, c][window].ravel()
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        light = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
        values.append(1 - light * (2 * covariance + c2) / (a.var() + b.var() + c2))
    return mean(values)


def divergences(s: Array, t: Array) -> list[float]:
    return [float((np.exp(b) * (b - a)).sum()) for a, b in zip(s, t, strict=True)]


DISTANCES = {
    "l1": lambda s, t: mean(np.abs(s - t).ravel().tolist()),
    "l2": lambda s, t: mean(((s - t) ** 2).ravel().tolist()),
    "smooth_l1": lambda s, t: mean([huber(d) for d in np.abs(s - t).ravel()]),
    "l1_sum": lambda s, t: mean([np.abs(a - b).sum() for a, b in zip(s, t, strict=True)]),
    "l2_sum": lambda s, t: mean([((a - b) ** 2).sum() for a, b in zip(s, t, strict=True)]),
    "kl": lambda s, t: mean(divergences(s, t)),
    "weighted_kl": lambda s, t, field: weighted_mean(divergences(s, t), field),
    "ssim": ssim,
    "iou": lambda s, t: mean(box_gaps(s, t, 0)),
    "giou": lambda s, t: mean(box_gaps(s, t, 1)),
    "weighted_iou": lambda s, t, field: weighted_mean(box_gaps(s, t, 0), field),
    "weighted_giou": lambda s, t, field: weighted_mean(box_gaps(s, t, 1), field),
    "binary_kl": lambda s, t: binary_rows(s, t, lambda p, q: 1),
    "weighted_binary_kl": lambda s, t: binary_rows(s, t, lambda p, q: abs(p - q)),
    "cosine": lambda s, t: mean([angle(a, b) for a, b in zip(rows_of(s), rows_of(t), strict=True)]),
    "pearson": lambda s, t: mean([
        correlation(a, b) if min(a.std(), b.std()) > 1e-9 else angle(a - a.mean(), b - b.mean())
        for a, b in zip(rows_of(s), rows_of(t), strict=True)
    ]),
}  # fmt: skip

TRANSFORMS = {
    **POINTWISE,
    "spatial_attention": lambda x, t: x * np.sqrt(space_field(x, t)),
    "channel_attention": lambda x, t: x * np.sqrt(channel_field(x, t)),
    "spatial_attention_map": space_field,
    "channel_attention_map": channel_field,
    "weighted": weighted,
    "max_pool_2": pool(2),
    "max_pool_4": pool(4),
    "patches_2": patches(2),
    "patches_4": patches(4),
    "unit_channel": along((1,), unit),
    "unit_space": along((2, 3), unit),
    "standardize_channel": along((0, 2, 3), standard),
    "weighted_rows": lambda x, field: x * np.sqrt(np.array(repeated(field, len(x))))[:, None],
    "unit_row": along((1,), unit),
    "standardize_row": along((1,), standard),
    "channel_gram": channel_gram,
    "space_gram": space_gram,
    "flatten_space": channels_of,
    "flatten_image": lambda x: np.array([image.ravel() for image in x]),
    "positions": rows_of,
    "softmax_space": lambda x, t: np.array([log_softmax(row / t) for row in channels_of(x)]),
    "softmax_channel": lambda x, t: np.array([log_softmax(row / t) for row in rows_of(x)]),
    "softmax_row": lambda x, t: np.array([log_softmax(row / t) for row in x]).reshape(x.shape),
    "probabilities": lambda x: np.array([[math.exp(v) for v in row] for row in x]).reshape(x.shape),
    "units": lambda x, t: x / t,
    "sigmoid_units": expit,
}
PAIRS = {
    "box_offsets": box_offsets,
    "teacher_spatial_attention": lambda s, t, temperature: space_field(t, temperature),
    "teacher_channel_attention": lambda s, t, temperature: channel_field(t, temperature),
    "disagreement": lambda s, t: np.abs(s - t).mean(1, keepdims=True),
}
COMBINERS = {"add": lambda a, b: a + b, "scaled": lambda a, factor: a * factor}
RANDOM = ("shared_mask", "shared_dropout")
"""Random primitives are tested by what every draw must satisfy, in test_pairs.py."""


@pytest.fixture(scope="session")
def oracles() -> dict[str, Callable]:
    return {**TRANSFORMS, **PAIRS, **DISTANCES, **COMBINERS, **dict.fromkeys(RANDOM)}
