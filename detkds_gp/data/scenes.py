"""Draws scenes of handwritten digits on textured backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

OBJECTS = (2, 7)  # a scene
SIDES = (0.16, 0.45)  # height of a digit, as a share of the scene
VISIBLE = 0.88  # at least this share of a digit, however many later ones overlap it
INK = 0.5  # opacity from which a pixel belongs to a digit


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn scene.

    Attributes:
        pixels: (S, S, 3) uint8 BGR.
        labels: the digit of each object, back to front.
        masks: (S, S) bool of each object, its visible part.
    """

    pixels: np.ndarray
    labels: tuple[int, ...]
    masks: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Handwritten digits to draw from.

    Attributes:
        images: (E, 8, 8) float32, ink 0 to 1.
        labels: (E,) int64, 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


def draw_scene(exemplars: Exemplars, size: int, rng: np.random.Generator) -> Scene:
    """Draw 2 to 7 digits of different height, tilt, ink and contrast, some overlapping, into a square of that size."""
    canvas = _background(size, rng)
    inks: list[np.ndarray] = []
    labels: list[int] = []
    for _ in range(rng.integers(OBJECTS[0], OBJECTS[1] + 1)):
        index = int(rng.integers(len(exemplars.labels)))
        opacity = _place(exemplars.images[index], size, inks, rng)
        if opacity is None:
            continue
        _paint(canvas, opacity, rng)
        inks.append(opacity > INK)
        labels.append(int(exemplars.labels[index]))
    canvas += np.float32(rng.uniform(1, 4)) * rng.standard_normal(canvas.shape, np.float32)
    pixels = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return Scene(pixels, tuple(labels), tuple(_visible(inks)))


def _place(image: np.ndarray, size: int, inks: list[np.ndarray], rng: np.random.Generator) -> np.ndarray | None:
    """Return the opacity (S, S) of a digit where all digits stay visible; None if none is found."""
    for _ in range(10):
        opacity = _warped(image, size, rng)
        after = [*inks, opacity > INK]
        pairs = zip(_visible(after), after, strict=True)
        if all(seen.sum() >= max(VISIBLE * ink.sum(), 8) for seen, ink in pairs):
            return opacity
    return None


def _warped(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return one digit, upscaled smoothly, tilted and sheared, as opacity on an empty scene."""
    low, high = SIDES
    height = size * low * (high / low) ** rng.random()
    width = height * rng.uniform(0.85, 1.25)
    angle, shear = np.deg2rad(rng.normal(0, 6)), rng.normal(0, 0.08)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.array([[1, shear], [0, 1]]) @ np.diag([width, height]) / 8
    margin = np.abs(linear) @ np.array([3.0, 4.0])  # the ink is about 6 of 8 columns wide
    centre = rng.uniform(margin, size - margin)
    padded = np.pad(image, 2)
    offset = centre - linear @ np.array([5.5, 5.5])
    ink = cv2.warpAffine(padded, np.column_stack([linear, offset]), (size, size), flags=cv2.INTER_CUBIC)
    edge = rng.uniform(0.4, 0.55)  # the lower, the bolder the stroke
    return np.clip((ink - edge + 0.15) / 0.3, 0, 1)


def _visible(inks: list[np.ndarray]) -> list[np.ndarray]:
    """Take from each ink, back to front, what later inks cover."""
    visible: list[np.ndarray] = []
    covered = np.zeros((), bool)
    for ink in reversed(inks):
        visible.append(ink & ~covered)
        covered = covered | ink
    return visible[::-1]


def _paint(canvas: np.ndarray, opacity: np.ndarray, rng: np.random.Generator) -> None:
    """Blend a digit into ``canvas``: lighter or darker than its ground, tinted, its ink uneven."""
    left, top, width, height = cv2.boundingRect((opacity > 0).astype(np.uint8))
    window = slice(top, top + height), slice(left, left + width)
    ground, opacity = canvas[window], opacity[window][..., None]
    mean = ground[opacity[..., 0] > INK].mean(axis=0)
    contrast = rng.uniform(70, 140) * rng.choice([-1, 1])
    if not 0 <= mean.mean() + contrast <= 255:
        contrast = -contrast
    colour = np.float32(mean + contrast + rng.normal(0, 16, 3))
    ink = colour + 12 * cv2.resize(_bumps(5, rng), (width, height), interpolation=cv2.INTER_CUBIC)
    ground += (ink - ground) * (opacity * np.float32(rng.uniform(0.8, 1)))


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return (S, S, 3) float32: a gradient of two colours, noise of three scales, distractors."""
    axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None] + 0.5
    near, far = (rng.uniform(60, 195) + rng.normal(0, 18, 3) for _ in range(2))
    colours = near + rng.uniform(0.2, 0.8) * (far - near) * slope[..., None]
    canvas: np.ndarray = colours.astype(np.float32)
    for cells, most in ((6, 18.0), (13, 10.0), (43, 6.0)):
        noise = cv2.resize(_bumps(cells, rng), (size, size), interpolation=cv2.INTER_CUBIC)
        canvas += np.float32(rng.uniform(0.1, 1) * most) * noise
    for _ in range(rng.integers(1, 5)):
        _distract(canvas, rng)
    return canvas


def _bumps(cells: int, rng: np.random.Generator) -> np.ndarray:
    """Return (cells, cells, 3) float32, normal noise whose channels agree more or less."""
    tint = np.float32(rng.uniform(0, 0.5))
    shared = rng.standard_normal((cells, cells, 1), np.float32)
    return (1 - tint) * shared + tint * rng.standard_normal((cells, cells, 3), np.float32)


def _distract(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Draw into ``canvas`` one thing that is no digit: a line, a bent line, a bow or a blot."""
    size = canvas.shape[0]
    layer = np.zeros((size, size), np.uint8)
    thickness = int(rng.integers(1, max(2, size // 32) + 1))
    kind = rng.choice(["line", "bent", "bow", "blot"])
    reach = size * rng.uniform(0.08, 0.5)
    centre = rng.uniform(0, size, 2)
    if kind in ("line", "bent"):
        points = centre + rng.uniform(-reach, reach, (2 if kind == "line" else 3, 2))
        cv2.polylines(layer, [points.astype(np.int32)], False, (255,), thickness, cv2.LINE_AA)
    else:
        axes = rng.uniform(0.1, 0.4, 2) * reach + 2
        turn, start = rng.uniform(0, 180), rng.uniform(0, 360)
        end = start + (360 if kind == "blot" else rng.uniform(60, 200))
        where = centre.astype(int).tolist(), axes.astype(int).tolist()
        thickness = cv2.FILLED if kind == "blot" else thickness
        cv2.ellipse(layer, *where, turn, start, end, (255,), thickness, cv2.LINE_AA)
    opacity = layer[..., None] * np.float32(rng.uniform(0.2, 0.6) / 255)
    colour = np.float32(rng.uniform(20, 235) + rng.normal(0, 25, 3))
    canvas += (colour - canvas) * opacity
