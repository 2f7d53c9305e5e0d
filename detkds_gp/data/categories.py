"""Classes of a data set, from the categories of its files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from detkds_gp.data.annotation_file import check_unique
from detkds_gp.data.findings import Tally
from detkds_gp.errors import DataError, nearest


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
    rows = _without_namesakes(raw["categories"], used, tally)
    if classes is None:
        rows = _without_roots(rows, used, tally)
    names = [str(row["name"]) for row in rows]
    check_unique(names, "the category names")
    asked = tuple(names if classes is None else classes)
    check_unique(asked, "classes")
    absent = [name for name in asked if name not in names]
    if not asked or (absent and not _may_lack(rows, used, asked, known)):
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


def _may_lack(rows: list[dict[str, Any]], used: set[int], asked: Sequence[str], known: Collection[str]) -> bool:
    """Tell whether a file just does not list what it has no object of: it has a class, and nothing unknown."""
    own = {str(row["name"]) for row in rows if row["id"] in used}
    return bool(own & set(asked)) and own <= {*asked, *known}


def _without_namesakes(rows: list[dict[str, Any]], used: set[int], tally: Tally) -> list[dict[str, Any]]:
    """Leave out unused categories that have the name of one that is used."""
    taken = {str(row["name"]) for row in rows if row["id"] in used}
    kept = [row for row in rows if row["id"] in used or str(row["name"]) not in taken]
    for row in rows:
        if row["id"] not in used and str(row["name"]) in taken:
            tally.add("same_name", f"category {row['id']} {str(row['name'])!r}")
    return kept


def _without_roots(rows: list[dict[str, Any]], used: set[int], tally: Tally) -> list[dict[str, Any]]:
    """Leave out unused categories that others name as their supercategory."""
    parents = {row.get("supercategory") for row in rows if isinstance(row.get("supercategory"), str)}
    kept = []
    for row in rows:
        children = str(row["name"]) in parents and row.get("supercategory") != row["name"]
        if row["id"] in used or not children:
            kept.append(row)
        else:
            tally.add("root_category", f"category {row['id']} {row['name']!r}")
    return kept
