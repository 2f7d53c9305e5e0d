"""Turns a Pascal VOC folder of any layout into COCO splits that load_split reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from detkds_gp.data.conversion import Conversion, check_empty, few
from detkds_gp.data.folders import Roles, by_folders, files_below, nearness, three_splits
from detkds_gp.data.voc_reader import VocImages, VocReader
from detkds_gp.data.xml_text import XmlFiles, parse_files
from detkds_gp.data.yolo_layout import yolo_files
from detkds_gp.errors import DataError


def convert_voc(
    src: str | Path, out_dir: str | Path, seed: int = 0, *, images: Path | None = None, encoding: str | None = None
) -> Conversion:
    """Write a Pascal VOC folder as train.json, selection.json, test.json and images/.

    Annotations are all ``*.xml`` below ``src`` with the root element ``annotation``; the image of
    each is the one of the same stem, else of its ``filename``, the nearest in the tree. For the
    splits see `voc_splits`, for encodings ``xml_text.parse_files``, for sizes
    ``voc_reader.verdict_on``.

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

    Returns:
        what was written; its ``counts`` are of boxes ``difficult``, ``clipped``, ``swapped`` and ``dropped``, and of
        annotation files ``scaled`` and ``kept`` (see ``voc_reader.verdict_on``) and ``unlisted``: in no list, left out.

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
    origin, split_xmls = voc_splits(src, files, {xml: page.image for xml, page in pages.items()}, seed)
    splits = {split: [pages[xml] for xml in xmls] for split, xmls in split_xmls.items()}
    reader.counts["unlisted"] = len(pages) - sum(map(len, splits.values()))
    classes = sorted({found.name for own in splits.values() for page in own for found in page.objects})
    notes = tuple(_notes(reader, parsed, [xml.relative_to(src) for xml in pages]))
    report = Conversion(splits, tuple(classes), origin, reader.counts, tuple(reader.left_out), notes, "boxes")
    report.write(out_dir, src)
    return report


def voc_splits(
    src: Path, files: Iterable[Path], images: Mapping[Path, Path], seed: int
) -> tuple[str, dict[str, list[Path]]]:
    """Return what decided the splits, and the annotation files of train, selection and test.

    The lists train, val, trainval and test of ``ImageSets/Main`` (or ``ImageSets``) decide; without lists, folders
    called train, val (valid, validation) and test, of the annotations or else of the images; without either all is
    dealt out by ``seed``: see `three_splits`. trainval is what it lists beyond the others. A list whose annotations
    are not here counts as absent. ``images`` has the image of every annotation file.

    Raises:
        DataError: fewer than 3 annotation files, or one that stands in two of train, val and test.
    """
    xmls = sorted(images)
    roles = _listed(src, files, xmls)
    if any(roles.values()):
        return three_splits(roles, xmls, "lists", seed)
    found = by_folders({xml: (xml.relative_to(src), images[xml].relative_to(src)) for xml in xmls})
    return three_splits(found or roles, xmls, "folders", seed)


def _listed(src: Path, files: Iterable[Path], xmls: Sequence[Path]) -> Roles:
    """Return the annotation files that ImageSets lists as train, val and test."""
    by_stem: dict[str, list[Path]] = {}
    for xml in xmls:
        by_stem.setdefault(xml.stem, []).append(xml)
    lists: dict[str, dict[Path, None]] = {role: {} for role in ("train", "val", "test", "trainval")}
    for path in files:
        folders = [part.lower() for part in path.relative_to(src).parts[:-1]]
        in_place = folders[-2:] == ["imagesets", "main"] or folders[-1:] == ["imagesets"]
        if in_place and path.suffix.lower() == ".txt" and path.stem.lower() in lists:
            lines = path.read_text(errors="replace").splitlines()
            found = (_entry(line.strip(), by_stem, path) for line in lines)
            lists[path.stem.lower()].update(dict.fromkeys(xml for xml in found if xml))
    held = {**lists["val"], **lists["test"]}
    rest = dict.fromkeys(xml for xml in lists["trainval"] if xml not in held)
    train = sorted({**lists["train"], **rest})
    return {"train": train, "val": sorted(lists["val"]), "test": sorted(lists["test"])}


def _entry(line: str, by_stem: Mapping[str, list[Path]], list_file: Path) -> Path | None:
    """Return what a line names (a stem, a file, a stem and a flag), of several the nearest."""
    for name in (line, Path(line).stem, line.split()[0] if line else ""):
        if name in by_stem:
            return max(by_stem[name], key=lambda xml: nearness(xml, list_file))
    return None


def _notes(reader: VocReader, parsed: XmlFiles, xmls: Iterable[Path]) -> list[str]:
    """Return the lines on what was mended, and on what is not as it should be."""
    counts, examples = reader.counts, reader.examples
    mended = f"{counts['clipped']} clipped, {counts['swapped']} with swapped corners mended"
    notes = [f"boxes: {counts['dropped']} dropped, {mended}, {counts['difficult']} difficult"]
    folders = [f"{name} ({count})" for name, count in Counter(xml.parent.as_posix() for xml in xmls).items()]
    if len(folders) > 1:
        notes.append(
            f"annotations of {len(folders)} folders are taken together: {few(folders)}; give one of them, or the "
            "one above it, if they do not belong together"
        )
    if counts["scaled"]:
        notes.append(
            f"{counts['scaled']} images have another size than their XML states ({examples['scaled']}): "
            "boxes scaled by the ratio"
        )
    if counts["kept"]:
        example = "" if counts["scaled"] else f" ({examples['kept']})"
        notes.append(
            f"{counts['kept']} XML files state a size that is not their image's{example}, "
            "but their boxes fit it: read as they are"
        )
    if parsed.encodings:
        read = ", ".join(f"{count} in {name}" for name, count in parsed.encodings.items())
        told = f" ({parsed.detected} is not declared but told from their bytes: check the class names)"
        notes.append(f"files that are not UTF-8: {read}{told if parsed.detected else ''}")
    if counts["unlisted"]:
        notes.append(f"left out, named by no list: {counts['unlisted']}")
    if reader.left_out:
        notes.append(f"{len(reader.left_out)} files left out: {few(reader.left_out)}")
    return notes
