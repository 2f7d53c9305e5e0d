"""A distiller as JSON, with the nodes of its trees, and back; reading never runs code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from detkds_gp.errors import FormulaError
from detkds_gp.export.graph import node_role, post_order
from detkds_gp.language import Distiller, PrimitiveSet, parse_distiller
from detkds_gp.language.tree import node_text

REMEDY = "mend or remove it, or export the distiller again"


def distiller_to_json(distiller: Distiller, primitive_set: PrimitiveSet) -> dict[str, Any]:
    """Return `Distiller.to_json` with a list ``nodes`` in every term.

    A node is ``{"id", "name", "role", "kind", "args"}``; a number's name is its text. Ids count
    from 0 in post-order within a term: ``args`` are earlier ids, the last node is the root.
    """
    data = distiller.to_json()
    for row, term in zip(data["terms"], distiller.terms, strict=True):
        row["nodes"] = [
            {
                "id": number,
                "name": node_text(node),
                "role": node_role(node, primitive_set),
                "kind": node.ret.__name__,
                "args": below,
            }
            for number, (node, below) in enumerate(post_order(term.tree))
        ]
    return data


def distiller_from_json(data: str | bytes | Mapping[str, Any], primitive_set: PrimitiveSet) -> Distiller:
    """Read a distiller back.

    ``formula`` is what is read; ``terms`` may be missing, but where they stand they must say the
    same. Other keys are left alone.

    Args:
        data: JSON text, or what `json.loads` gave for it.
        primitive_set: whose names the formula may use.

    Raises:
        FormulaError: for broken JSON, a missing or broken formula, or terms that disagree with it.
    """
    try:
        found = json.loads(data) if isinstance(data, str | bytes) else data
    except (ValueError, RecursionError) as error:
        why = str(error).replace("\n", " ")
        raise FormulaError(f"not a distiller's JSON ({why}); export the distiller again") from error
    if not isinstance(found, Mapping) or not isinstance(found.get("formula"), str):
        raise FormulaError(f"got {_brief(found)}, wanted a JSON object whose 'formula' is a distiller's text")
    distiller = parse_distiller(found["formula"], primitive_set)
    if "terms" in found:
        wanted = distiller_to_json(distiller, primitive_set)["terms"]
        _check_same(found["terms"], wanted, "terms")
    return distiller


def _check_same(found: Any, wanted: Any, where: str) -> None:
    """Compare JSON values; 1 equals 1.0, and keys that are not wanted are left alone."""
    if isinstance(wanted, dict) and isinstance(found, Mapping):
        missing = [key for key in wanted if key not in found]
        if missing:
            raise FormulaError(f"{where} has no {missing[0]!r}; {REMEDY}")
        for key, value in wanted.items():
            _check_same(found[key], value, f"{where}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        for index, value in enumerate(wanted):
            _check_same(found[index], value, f"{where}[{index}]")
    elif isinstance(wanted, list | dict) or isinstance(found, bool) or found != wanted:
        raise FormulaError(f"{where} is {_brief(found)}, the formula says {_brief(wanted)}; {REMEDY}")


def _brief(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(repr, list(value)[:4])) or 'no keys'}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
