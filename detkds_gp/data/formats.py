"""Formats that a folder's annotations may have, and the data set that they become."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from detkds_gp.data.coco_layout import CocoFile, coco_files, images_flag, json_flag
from detkds_gp.data.conversion import sources_hash
from detkds_gp.data.discover import OPEN, Choice, FoundData, find_data, given_folder
from detkds_gp.data.folders import CONVERSION, files_below
from detkds_gp.data.voc import convert_voc
from detkds_gp.data.yolo import convert_yolo, source_in
from detkds_gp.data.yolo_layout import files_outside, read_source, yolo_files
from detkds_gp.errors import DataError

LAYOUTS = ("coco", "voc", "yolo")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z")
TRIED = 20
"""Files of a kind that are opened to learn what a folder without any data set holds instead."""


def data_in(place: Path, converted: Path, choice: Choice = OPEN) -> FoundData:
    """Return the data set in a folder; one in VOC or YOLO format is written in COCO's first.

    A conversion is found again by the hash of all that it reads, and never used for other sources.

    Args:
        place: the folder, or the data.yaml of one.
        converted: where a conversion is written; the hash comes after this name.
        choice: what the user says of the folder.

    Raises:
        DataError: if it holds no data set, or two readings of it remain that ``choice`` does not decide.
    """
    if not place.exists():
        raise DataError(f"got {str(place)!r}, wanted a folder of COCO, VOC or YOLO annotations")
    if place.is_file() and place.suffix.lower() not in (".yaml", ".yml"):
        remedy = "unpack it first" if place.suffix.lower() in ARCHIVES else "give the folder that holds it"
        raise DataError(f"got the file {str(place)!r}, wanted a folder, or the data.yaml of a YOLO folder; {remedy}")
    place = Path(os.path.abspath(place))
    files = files_below(place if place.is_dir() else place.parent)
    coco = coco_files(files)
    layout = choice.layout or ("coco" if choice.json else "yolo" if place.is_file() else _only(place, files, coco))
    _check_use(layout, choice)
    if layout == "coco":
        return find_data(place, choice, files=files, coco=coco)
    return _converted(place, files, converted, layout, choice)


def _only(place: Path, files: Sequence[Path], coco: Sequence[CocoFile]) -> str:
    """Return the one format of a folder."""
    xmls = (path for path in files if path.suffix.lower() == ".xml")
    every = {
        "coco": [file.path for file in coco[:1]],
        "voc": list(islice((path for path in xmls if re.search(rb"<annotation[\s>]", _ascii(path))), 1)),
        "yolo": yolo_files(files),
    }
    found = {layout: paths[0] for layout, paths in every.items() if paths}
    if len(found) > 1:
        shown = " and ".join(f"{layout.upper()} ({path.relative_to(place)})" for layout, path in found.items())
        choices = " or ".join(f"--format {layout}" for layout in found)
        raise DataError(f"{place} holds annotations in {shown}; say which count by {choices}")
    if not found:
        raise DataError(f"{place} holds no COCO annotation file, nor VOC or YOLO annotations{_instead(files)}")
    return next(iter(found))


def _check_use(layout: str, choice: Choice) -> None:
    """Refuse flags that say nothing of a format."""
    if choice.encoding is not None and layout != "voc":
        raise DataError(f"--encoding is of VOC's XML files, but the format is {layout}; leave it out")
    if layout == "coco":
        return
    if choice.json:
        raise DataError(
            f"the format is {layout}, but a COCO file was named by {json_flag(next(iter(choice.json)))}; leave it out"
        )
    unused = next((split for split in choice.images if split or layout == "yolo"), None)
    if unused is not None:
        remedy = "its data.yaml names its images" if layout == "yolo" else "name one folder for all by --images"
        raise DataError(f"{images_flag(unused)} does not suit {layout.upper()}; {remedy}")


def _converted(place: Path, files: Sequence[Path], converted: Path, layout: str, choice: Choice) -> FoundData:
    root = place if place.is_dir() else place.parent
    images = given_folder(root, choice.images[""], images_flag("")) if "" in choice.images else None
    told = f"{layout} {place.name if place.is_file() else ''} {images} {choice.encoding}"
    if layout == "yolo":
        files = [*files, *files_outside(read_source(source_in(place)), root)]
    out = converted.with_name(f"{converted.name}-{sources_hash(files, root, told)[:8]}")
    if not (out / CONVERSION).is_file():
        if layout == "voc":
            convert_voc(place, out, images=images, encoding=choice.encoding)
        else:
            convert_yolo(place, out)
    lines = (out / CONVERSION).read_text(encoding="utf-8").splitlines()
    notes = (f"{layout.upper()}, {lines[0]} as gp_search data {layout} does", *lines[1:])
    found = find_data(out)
    return replace(found, notes=(*notes, *found.notes), name=root.resolve().name)


def _ascii(path: Path) -> bytes:
    """Return a file in which ASCII can be looked for, be it written in UTF-16."""
    return path.read_bytes().replace(b"\0", b"")


def _instead(files: Sequence[Path]) -> str:
    """Say what else a folder holds that people take for a data set, and the way from there."""
    pages = [_json(path) for path in islice((p for p in files if p.suffix.lower() == ".json"), TRIED)]
    keys = [page.keys() for page in pages if isinstance(page, dict)]
    task_keys = [p[0].keys() for p in pages if isinstance(p, list) and p and isinstance(p[0], dict)]
    xmls = [_ascii(path) for path in islice((p for p in files if p.suffix.lower() == ".xml"), TRIED)]
    labels = [path for path in files if path.suffix.lower() == ".txt" and path.parent.name.lower() == "labels"]
    kinds = {
        "labelme's own files; convert them by labelme2coco": any({"shapes", "imagePath"} <= own for own in keys),
        "Label Studio's own export; export as COCO with images, or as YOLO": any(
            {"annotations", "data"} <= own for own in task_keys
        ),
        "CVAT's own XML; export as COCO 1.0 or Ultralytics YOLO": any(b"<annotations>" in xml for xml in xmls),
        "YOLO labels without class names; add a data.yaml with names, train and val": bool(labels),
        "tables; convert them to COCO": any(path.suffix.lower() == ".csv" for path in files),
    }
    found = [kind for kind, holds in kinds.items() if holds]
    return f", but {found[0]}" if found else "; give the folder that holds them"


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
