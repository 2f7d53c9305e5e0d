"""Parses a COCO annotation file and checks that it has the shape of one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.errors import DataError, nearest

REQUIRED = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def read_annotation_file(path: Path) -> dict[str, Any]:
    """Return the parsed file; every entry has the keys it needs, every id is an integer of its own.

    Raises:
        DataError: the file is missing, broken, not COCO, or one of its lists is empty.
    """
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError("no such annotation file; check the path in the config") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); check the path") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise DataError(f"broken JSON ({error}); export the annotations again") from None
    for part, keys in REQUIRED.items():
        rows = raw.get(part) if isinstance(raw, dict) else None
        if not isinstance(rows, list):
            wanted = ", ".join(REQUIRED)
            raise DataError(f"not COCO format: got no list {part!r}, wanted {wanted}; export as COCO")
        if not rows:
            raise DataError(f"got no {part}, wanted 1 at least; label images, or check the export")
        _check_entries(rows, keys, part)
    return raw


def labels_by_category(
    categories: list[dict[str, Any]], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[int, int | None]]:
    """Return the class names, and the label of every category id; None for one not asked for.

    Args:
        categories: the file's.
        classes: the names in the order of the labels; None takes all, in the file's order.

    Raises:
        DataError: a name that the file does not have, or one that stands twice.
    """
    known = [str(row["name"]) for row in categories]
    names = tuple(known if classes is None else classes)
    _check_unique(known, "the category names")
    _check_unique(names, "classes")
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        hint = nearest(unknown[0], known) if unknown else ""
        raise DataError(
            f"got classes {', '.join(names) or 'none'}, but the file's categories are "
            f"{', '.join(known)}; name only classes of the file{hint}"
        )
    label_of = {name: label for label, name in enumerate(names)}
    return names, {row["id"]: label_of.get(str(row["name"])) for row in categories}


def _check_entries(rows: list[Any], keys: tuple[str, ...], part: str) -> None:
    for row in rows:
        absent = [key for key in keys if not isinstance(row, dict) or key not in row]
        if absent:
            entry = f"{row!r:.80}"
            raise DataError(f"not COCO format: an entry of {part!r} has no {absent[0]!r}: {entry}")
    ids = [row["id"] for row in rows if "id" in row]
    odd = [key for key in ids if not isinstance(key, int)]
    if odd:
        raise DataError(f"got the id {odd[0]!r} in {part!r}, wanted integers; number them anew")
    _check_unique(ids, f"the ids of {part!r}")


def _check_unique(keys: Sequence[Hashable], what: str) -> None:
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        raise DataError(f"{len(repeated)} duplicates in {what}, the first {repeated[0]!r}; give each one of its own")
