"""A COCO annotation file, parsed: its shape, whole numbers as ids, and the labels of its categories."""

from __future__ import annotations

import gc
import json
import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from detkds_gp.data.findings import Tally
from detkds_gp.errors import DataError, nearest

REQUIRED = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
"""What entries need; the ids among it, by which they point to each other, must be whole numbers."""
FLAGS = {"": 0, "0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


def read_annotation_file(path: Path, tally: Tally) -> dict[str, Any]:
    """Return the parsed file; every entry has the keys it needs, and ids are whole numbers.

    The ids of annotations, to which nothing points, are left as they are: whoever needs them numbers them anew.

    Raises:
        DataError: the file is missing, broken, not COCO, one of its lists is empty, or ids are not unique.
    """
    raw = _parsed(path)
    for part, keys in REQUIRED.items():
        rows = raw.get(part) if isinstance(raw, dict) else None
        if not isinstance(rows, list):
            raise DataError(f"not COCO format: got no list {part!r}, wanted {', '.join(REQUIRED)}; export as COCO")
        if not rows:
            raise DataError(f"got no {part}, wanted 1 at least; label images, or check the export")
        for row in rows:
            absent = keys if not isinstance(row, dict) else [key for key in keys if key not in row]
            if absent:
                raise DataError(f"not COCO format: an entry of {part!r} has no {absent[0]!r}: {row!r:.80}")
        _number(rows, [key for key in keys if key.endswith("id")], part, tally)
    for part in ("images", "categories"):
        check_unique([row["id"] for row in raw[part]], f"the ids of {part!r}")
    _count_odd_ids(raw["annotations"], tally)
    return raw


@contextmanager
def collection_paused() -> Iterator[None]:
    """Search for no cycles meanwhile: large annotation files are parsed in a third of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def labels_by_category(
    raw: dict[str, Any], classes: Sequence[str] | None, known: Collection[str], tally: Tally
) -> tuple[tuple[str, ...], dict[int, int | None]]:
    """Return the class names, and the label of every category id; None for one that is no class.

    A category without objects is no class where it has the name of another one, or where it is only the supercategory
    of others and nobody asked for it: exports of Roboflow put such a root first.

    Args:
        raw: the parsed file.
        classes: the names in the order of the labels; None takes the file's categories, in its order.
        known: categories of the data set's other files; one whose objects are all of them may lack some classes.
        tally: counts what is left out.

    Raises:
        DataError: a class that the file does not have, or a name that stands twice.
    """
    used = {row["category_id"] for row in raw["annotations"]}
    rows = _without_unused(raw["categories"], used, tally, roots=classes is None)
    names = [str(row["name"]) for row in rows]
    check_unique(names, "the category names")
    asked = tuple(names if classes is None else classes)
    check_unique(asked, "classes")
    absent = [name for name in asked if name not in names]
    own = {str(row["name"]) for row in rows if row["id"] in used}
    may_lack = own & set(asked) and own <= {*asked, *known}  # it just does not list what it has no object of
    if not asked or (absent and not may_lack):
        hint = nearest(absent[0], names) if absent else ""
        raise DataError(
            f"got classes {', '.join(asked) or 'none'}, but the file's categories are "
            f"{', '.join(names)}; name only classes of the file{hint}"
        )
    for name in absent:
        tally.add("lacking", repr(name))
    label_of = {name: label for label, name in enumerate(asked)}
    kept = {row["id"]: label_of.get(str(row["name"])) for row in rows}
    return asked, {row["id"]: kept.get(row["id"]) for row in raw["categories"]}


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


def _number(rows: list[dict[str, Any]], keys: Sequence[str], part: str, tally: Tally) -> None:
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
    seen: set[int] = set()
    for value in (row.get("id") for row in rows):
        if type(value) is not int or value == 0 or value in seen:
            tally.add("annotation_ids", "no id" if value is None else f"id {value!r:.40}")
        else:
            seen.add(value)


def _without_unused(rows: list[dict[str, Any]], used: set[int], tally: Tally, *, roots: bool) -> list[dict[str, Any]]:
    """Leave out categories without objects that have the name of another one; roots too that others name as theirs."""
    taken = {str(row["name"]) for row in rows if row["id"] in used}
    distinct = [row for row in rows if row["id"] in used or str(row["name"]) not in taken]
    parents = {parent for row in distinct if isinstance(parent := row.get("supercategory"), str)} if roots else set()
    kept = []
    for row in rows:
        name = str(row["name"])
        if row["id"] in used:
            kept.append(row)
        elif name in taken:
            tally.add("same_name", f"category {row['id']} {name!r}")
        elif name in parents and row.get("supercategory") != row["name"]:
            tally.add("root_category", f"category {row['id']} {row['name']!r}")
        else:
            kept.append(row)
    return kept


def real_number(value: Any) -> float | None:
    """Return a finite number, of text too; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def whole_number(value: Any) -> int | None:
    """Return a whole number, of text and of floats without a fraction too; None for anything else."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            return int(value)
    number = real_number(value)
    return int(number) if number is not None and number.is_integer() else None


def flag(value: Any) -> bool | None:
    """Return what a flag says, null as false; None for what says neither."""
    if value is None or isinstance(value, bool):
        return bool(value)
    number = FLAGS.get(value.strip().lower()) if isinstance(value, str) else real_number(value)
    return None if number is None else number != 0
