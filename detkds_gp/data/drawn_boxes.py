"""Boxes drawn on an image, each with the name of its class on a ground of the class's colour."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from detkds_gp.data.images import decoded_if_possible

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c", "#008080", "#ffe119")
"""Of boxes, by their labels, from the start again after the last."""
LINE, INNER, LETTERS = 2, 1, 10
"""Pixels: the coloured line of a box, the black one within it, which shows a red box on a red object; and letters."""


def written(classes: Sequence[str]) -> list[str]:
    """Return how classes are named on images: by their names, or by their place where the font lacks a letter.

    >>> written(["cat", "Straße", "猫"])
    ['cat', 'Straße', 'class 3']
    """
    lacking = bytes(font().getmask("\uffff"))
    return [
        f"class {place}" if any(bytes(font().getmask(letter)) == lacking for letter in name) else name
        for place, name in enumerate(classes, 1)
    ]


@cache
def font() -> ImageFont.FreeTypeFont:
    """Return matplotlib's own font, without importing matplotlib: Pillow's has not even accents."""
    spec = find_spec("matplotlib")
    assert spec is not None  # a requirement
    assert spec.origin is not None
    return ImageFont.truetype(str(Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"), LETTERS)


def picture_of(path: Path, side: int) -> tuple[Image.Image, float] | None:
    """Return an image, its longer side of so many pixels, and its scale; None if it cannot be decoded."""
    pixels = decoded_if_possible(path)
    if pixels is None:
        return None
    scale = side / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return Image.fromarray(np.ascontiguousarray(resized[..., ::-1])), scale


def draw_boxes(
    image: Image.Image, corners: Sequence[Sequence[float]], names: Sequence[str], colours: Sequence[str]
) -> None:
    """Draw boxes into an image, what reaches out of it to its edge; names stand above their boxes, or else within.

    Args:
        image: RGB, changed in place.
        corners: (x1, y1, x2, y2) of each box, pixels of the image.
        names: of their classes, as `written`.
        colours: of the boxes, as ``#rrggbb``.
    """
    draw = ImageDraw.Draw(image)
    limits = [image.width - 1, image.height - 1] * 2
    boxes = [[int(min(max(value, 0), limit)) for value, limit in zip(row, limits, strict=True)] for row in corners]
    for (left, top, right, bottom), colour in zip(boxes, colours, strict=True):
        box = left, top, max(left, right), max(top, bottom)
        draw.rectangle(box, outline="black", width=LINE + INNER)
        draw.rectangle(box, outline=colour, width=LINE)
    for (left, top, _, _), name, colour in zip(boxes, names, colours, strict=True):
        _write(draw, (left, top), name, colour)


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], name: str, colour: str) -> None:
    """Write a name on a ground of its colour, black or white, whichever is read on it."""
    left, top, right, bottom = draw.textbbox((0, 0), name, font=font())
    width, height = round(right - left) + 4, round(bottom - top) + 4
    x, y = corner[0], corner[1] - height if corner[1] >= height else corner[1]
    red, green, blue = ImageColor.getrgb(colour)[:3]
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 128
    draw.text((x + 2 - left, y + 2 - top), name, "black" if light else "white", font=font())
