"""Turns a Pascal VOC folder of any layout into COCO splits that load_split reads."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from detkds_gp.data.conversion import Page, check_empty, few, write_coco
from detkds_gp.data.folders import files_below
from detkds_gp.data.voc_layout import VocImages, voc_splits
from detkds_gp.data.voc_reader import VocReader
from detkds_gp.data.voc_report import VocReport
from detkds_gp.data.xml_text import XmlFiles, parse_files
from detkds_gp.data.yolo_layout import yolo_files
from detkds_gp.errors import DataError


def convert_voc(
    src: str | Path, out_dir: str | Path, seed: int = 0, *, images: Path | None = None, encoding: str | None = None
) -> VocReport:
    """Write a Pascal VOC folder as train.json, selection.json, test.json and images/.

    Annotations are all ``*.xml`` below ``src`` with the root element ``annotation``; the image of
    each is the one of the same stem, else of its ``filename``, the nearest in the tree. For the
    splits see ``voc_layout.voc_splits``, for encodings ``xml_text.parse_files``, for sizes
    ``voc_sizes.scale_of``.

    VOC counts pixels from 1 and includes the last one: a box from xmin to xmax covers xmin - 1 to
    xmax in COCO's continuous coordinates, so x = xmin - 1 and width = xmax - xmin + 1. Where
    xmin = xmax the annotator clicked once: the box is dropped. Difficult objects stay with
    ``"ignore": 1`` and ``"iscrowd": 0``, as mmdet's own converter writes them: training does not
    see them, COCO evaluation counts them. Images are copied; those of the same name get the names
    of their folders in front.

    Args:
        src: the VOC folder.
        out_dir: new or empty.
        seed: of the random splits.
        images: only images in this folder of ``src`` or below it count; None: all.
        encoding: of the files that neither declare theirs nor are UTF-8; None: as `parse_files` tells it.

    Raises:
        DataError: no annotations or too few images to split, two images of one annotation file or the other way
            round, an image that is listed for two splits, several encodings that files may be in, or ``out_dir`` in
            use.
    """
    src, out_dir = Path(os.path.abspath(src)), Path(out_dir)
    check_empty(out_dir)
    images = None if images is None else Path(os.path.abspath(images))
    files = files_below(src)
    parsed = parse_files((path for path in files if path.suffix.lower() == ".xml"), encoding)
    reader = VocReader(src, VocImages(src, files, images))
    pages = reader.pages(parsed)
    if not any(page.objects for page in pages.values()):
        faults = f"; left out: {few(reader.left_out)}" if reader.left_out else ""
        faults += "; it is in YOLO format: gp_search data yolo" if not pages and yolo_files(files) else ""
        raise DataError(
            f"{src}: got no object in {len(pages)} images, wanted Pascal VOC *.xml; check the folder{faults}"
        )
    origin, splits = voc_splits(src, files, {xml: page.image for xml, page in pages.items()}, seed)
    chosen = {split: [pages[xml] for xml in xmls] for split, xmls in splits.items()}
    report = _report(reader, parsed, chosen, origin, [xml.relative_to(src) for xml in pages])
    write_coco(out_dir, src, chosen, report.classes, str(report).splitlines())
    return report


def _report(
    reader: VocReader, parsed: XmlFiles, chosen: dict[str, list[Page]], origin: str, xmls: list[Path]
) -> VocReport:
    tally = reader.tally
    return VocReport(
        classes=tuple(sorted({found.name for own in chosen.values() for page in own for found in page.objects})),
        images={split: len(own) for split, own in chosen.items()},
        boxes={split: sum(len(page.objects) for page in own) for split, own in chosen.items()},
        origin=origin,
        difficult=tally["difficult"],
        clipped=tally["clipped"],
        swapped=tally["swapped"],
        dropped=tally["dropped"],
        scaled=tally["scaled"],
        wrong_sizes=tally["kept"],
        example=reader.examples.get("scaled") or reader.examples.get("kept", ""),
        folders=dict(Counter(xml.parent.as_posix() for xml in xmls)),
        unlisted=len(xmls) - sum(map(len, chosen.values())),
        encodings=dict(parsed.encodings),
        detected=parsed.detected,
        left_out=tuple(reader.left_out),
    )
