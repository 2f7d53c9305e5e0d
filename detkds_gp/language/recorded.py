"""A primitive set as plain values: enough to read, check, print and draw formulas without importing what they compute.

The set that `grammar_from_json` makes has the same names, kinds and algebra as the one recorded, so a formula has
the same canonical text under both. Its functions are imported only if one of them is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from detkds_gp.language import kinds
from detkds_gp.language.declarations import Absent, Algebra, Declaration, KindType
from detkds_gp.language.kinds import Kind, Number
from detkds_gp.language.primitive_set import PrimitiveSet
from detkds_gp.language.roles import ROLES

PLAIN = ("name", "role", "latex", "shape", "source", "random", "sides")
"""The fields of a declaration that are JSON values as they are; empty are those that its role does not have."""

BY_NAME = {role.role: role for role in ROLES}


def grammar_to_json(primitive_set: PrimitiveSet) -> dict[str, Any]:
    """Return a set as JSON values, which `grammar_from_json` reads."""
    declared = primitive_set.declarations.values()
    used = {kind for declaration in declared for kind in (*declaration.arguments, declaration.result)}
    lineage = {base for kind in used for base in kind.__mro__ if issubclass(base, Kind)}
    own = sorted((kind for kind in lineage if not _is_standard(kind)), key=lambda kind: (len(kind.__mro__), _id(kind)))
    return {
        "name": primitive_set.name,
        "kinds": [_kind_to_json(kind) for kind in own],
        "declarations": [_declaration_to_json(declaration, primitive_set) for declaration in declared],
    }


def grammar_from_json(values: Mapping[str, Any]) -> PrimitiveSet:
    """Make the set that `grammar_to_json` recorded, importing none of its primitives."""
    known: dict[str, KindType] = {_id(kind): kind for kind in vars(kinds).values() if _is_standard(kind)}
    for told in values["kinds"]:
        known[told["id"]] = _kind_from_json(told, known)
    grown = [_declaration_from_json(told, known) for told in values["declarations"] if not told["known"]]
    named = [_declaration_from_json(told, known) for told in values["declarations"] if told["known"]]
    return PrimitiveSet(values["name"], grown, named)


def _id(kind: KindType) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_standard(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Kind) and kind.__module__ == kinds.__name__


def _kind_to_json(kind: KindType) -> dict[str, Any]:
    limits = {"low": kind.low, "high": kind.high} if issubclass(kind, Number) else {}
    bases = [_id(base) for base in kind.__bases__ if issubclass(base, Kind)]
    return {"id": _id(kind), "bases": bases, "sided": kind.sided, **limits}


def _kind_from_json(told: Mapping[str, Any], known: Mapping[str, KindType]) -> KindType:
    module, _, qualname = told["id"].partition(":")
    values = {key: told[key] for key in ("sided", "low", "high") if key in told}
    name = qualname.rpartition(".")[2]
    bases = tuple(known[base] for base in told["bases"])
    return type(name, bases, {**values, "__module__": module, "__qualname__": qualname})


def _declaration_to_json(declaration: Declaration, primitive_set: PrimitiveSet) -> dict[str, Any]:
    function = declaration.function
    return {
        **{name: getattr(declaration, name, "") for name in PLAIN},
        "arguments": [_id(kind) for kind in declaration.arguments],
        "result": _id(declaration.result),
        "niches": list(getattr(declaration, "niches", ())),
        "values": list(getattr(declaration, "values", ())),
        "algebra": asdict(declaration.algebra),
        "known": declaration.name in primitive_set.known,
        "function": [function.__module__, function.__qualname__, function.__doc__ or ""],
    }


def _declaration_from_json(told: Mapping[str, Any], known: Mapping[str, KindType]) -> Declaration:
    row = {
        **told,
        "arguments": tuple(known[kind] for kind in told["arguments"]),
        "result": known[told["result"]],
        "niches": tuple(told["niches"]),
        "values": tuple(told["values"]),
        "algebra": Algebra(**told["algebra"]),
        "function": Absent(*told["function"]),
    }
    role = BY_NAME[told["role"]]
    return role(**{field.name: row[field.name] for field in fields(role)})
