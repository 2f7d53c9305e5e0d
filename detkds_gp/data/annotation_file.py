"""A COCO annotation file, parsed, with the shape of one and with whole numbers as ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.data.findings import Tally
from detkds_gp.data.numbers import whole_number
from detkds_gp.errors import DataError

REQUIRED = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
POINTERS = {"images": ("id",), "annotations": ("image_id", "category_id"), "categories": ("id",)}
"""What must be a whole number, since other entries point to it or it points to others."""


def read_annotation_file(path: Path, tally: Tally) -> dict[str, Any]:
    """Return the parsed file; every entry has the keys it needs, and ids are whole numbers.

    The ids of annotations, to which nothing points, are left as they are: whoever needs them numbers them anew.

    Args:
        path: the file.
        tally: counts what was mended.

    Raises:
        DataError: the file is missing, broken, not COCO, one of its lists is empty, or ids are not unique.
    """
    raw = _parsed(path)
    for part, keys in REQUIRED.items():
        rows = raw.get(part) if isinstance(raw, dict) else None
        if not isinstance(rows, list):
            wanted = ", ".join(REQUIRED)
            raise DataError(f"not COCO format: got no list {part!r}, wanted {wanted}; export as COCO")
        if not rows:
            raise DataError(f"got no {part}, wanted 1 at least; label images, or check the export")
        _check_entries(rows, keys, part)
        _number(rows, POINTERS[part], part, tally)
    for part in ("images", "categories"):
        check_unique([row["id"] for row in raw[part]], f"the ids of {part!r}")
    _count_odd_ids(raw["annotations"], tally)
    return raw


def check_unique(keys: Sequence[Hashable], what: str) -> None:
    """Refuse keys that stand twice.

    Raises:
        DataError: one does.
    """
    if len(set(keys)) < len(keys):
        repeated = [key for key, count in Counter(keys).items() if count > 1]
        raise DataError(f"{len(repeated)} duplicates in {what}, the first {repeated[0]!r}; give each one of its own")


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError("no such annotation file; check the path in the config") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:  # ValueError: JSONDecodeError and UnicodeDecodeError
        raise DataError(f"broken JSON ({error}); export the annotations again") from None


def _check_entries(rows: list[Any], keys: tuple[str, ...], part: str) -> None:
    needed = frozenset(keys)
    for row in rows:
        if not isinstance(row, dict) or not needed <= row.keys():
            absent = next(key for key in keys if not isinstance(row, dict) or key not in row)
            raise DataError(f"not COCO format: an entry of {part!r} has no {absent!r}: {row!r:.80}")


def _number(rows: list[dict[str, Any]], keys: tuple[str, ...], part: str, tally: Tally) -> None:
    """Turn ids of text, and of floats without a fraction, into whole numbers in place."""
    for row in rows:
        for key in keys:
            value = row[key]
            if type(value) is int:
                continue
            number = whole_number(value)
            if number is None:
                what = "the id" if key == "id" else f"the {key}"
                raise DataError(f"got {what} {value!r:.60} in {part!r}, wanted integers; number them anew")
            row[key] = number
            tally.add("numbers", f"{key} {value!r} in {part!r}")


def _count_odd_ids(rows: list[dict[str, Any]], tally: Tally) -> None:
    """Count the annotation ids that pycocotools would misread: it takes 0 for 'unmatched', and equal ids for one."""
    ids = [row.get("id") for row in rows]
    good = {value for value in ids if type(value) is int and value != 0}
    if len(good) == len(ids):
        return
    seen: set[int] = set()
    for value in ids:
        if type(value) is not int or value == 0 or value in seen:
            tally.add("annotation_ids", "no id" if value is None else f"id {value!r:.40}")
        else:
            seen.add(value)
