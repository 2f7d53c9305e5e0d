"""A contact sheet: some images of each split with their boxes, so that a person sees at once whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from detkds_gp.atomic import atomic_file
from detkds_gp.data.drawn_boxes import COLOURS, draw_boxes, font, picture_of, written
from detkds_gp.data.image_contents import readable, spread
from detkds_gp.data.split import CocoSplit, ImageRecord

IMAGES, COLUMNS = 12, 4
SIDE, CAPTION, MARGIN = 320, 18, 8
"""Pixels: the longer side of an image, the line of text below it, and the white between them."""
LETTERS = 50
NOT_LEARNED = "#a0a0a0"


def write_sheet(splits: Mapping[str, CocoSplit], path: Path) -> None:
    """Draw a dozen images, as many of each split, as they are read: turned by EXIF, 16 bits as 8.

    Boxes have the colour of their class and its name; what is not learned is grey. The file is a PNG.

    Raises:
        OSError: it cannot be written.
    """
    share = -(-IMAGES // len(splits))
    cells = []
    for name, split in splits.items():
        records = [record for record, _ in readable(split)]
        shown = spread([record for record in records if record.annotations] or records, share)
        cells += [_captioned(_picture(record, split), f"{name}: {record.path.name}") for record in shown]
    cells = cells[:IMAGES]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(cell.height for cell in row) + MARGIN for row in rows]
    sheet = Image.new("RGB", (COLUMNS * (SIDE + MARGIN) + MARGIN, sum(heights) + MARGIN), "white")
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.paste(cell, (MARGIN + column * (SIDE + MARGIN), MARGIN + sum(heights[:number])))
    with atomic_file(path) as unfinished:
        sheet.save(unfinished, format="PNG")


def _captioned(picture: Image.Image, text: str) -> Image.Image:
    """Return a picture with a line of text below it."""
    cell = Image.new("RGB", (SIDE, picture.height + CAPTION), "white")
    cell.paste(picture)
    short = text if len(text) <= LETTERS else f"{text[:LETTERS]}…"
    ImageDraw.Draw(cell).text((0, picture.height + 3), short, "black", font=font())
    return cell


def _picture(record: ImageRecord, split: CocoSplit) -> Image.Image:
    """Draw one image with its boxes, its longer side as long as fits a cell."""
    plain = picture_of(record.path, SIDE)
    if plain is None:
        empty = Image.new("RGB", (SIDE, SIDE // 2), "#e8e8e8")
        ImageDraw.Draw(empty).text((8, 8), "cannot be decoded", "black")
        return empty
    (picture, scale), shown = plain, record.annotations
    corners = [(scale * x, scale * y, scale * (x + w), scale * (y + h)) for x, y, w, h in (a.bbox for a in shown)]
    colours = [COLOURS[a.label % len(COLOURS)] if a.learned else NOT_LEARNED for a in shown]
    names = written(split.classes)
    draw_boxes(picture, corners, [names[a.label] for a in shown], colours)
    return picture
