"""The tables of ``store.sqlite``; a change here needs a new SCHEMA_VERSION."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, MetaData, Table, Text, TypeDecorator, UniqueConstraint, false
from sqlalchemy.types import TypeEngine

from detkds_gp.store._fingerprint import to_json

SCHEMA_VERSION = 4

metadata = MetaData()


class Json(TypeDecorator[Any]):
    """Plain values, by their one JSON text; a list comes back as a tuple."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        """Return the text of a value."""
        return to_json(value)

    def process_result_value(self, value: Any, dialect: object) -> Any:
        """Return the value of a text."""
        found = json.loads(value)
        return tuple(found) if isinstance(found, list) else found


def _table(title: str, key: int, /, maybe: Collection[str] = (), **columns: type[TypeEngine[Any]]) -> Table:
    """Declare a table in the order of recording; its first ``key`` columns identify a row, ``maybe`` may be NULL.

    A column ``extra`` tells whether a row comes of what was asked beside the search, and is no cost of it.
    """
    made = [
        Column(name, kind, nullable=name in maybe, server_default=false() if name == "extra" else None)
        for name, kind in columns.items()
    ]
    names = tuple(columns)[:key]
    order = Column("position", Integer, primary_key=True)
    unique = [UniqueConstraint(*names)] if names else []
    return Table(title, metadata, order, *made, *unique, info={"key": names})


meta = _table("meta", 1, name=Text, value=Text)
scores = _table(
    "scores",
    4,
    maybe=("ap", "test_ap", "failure"),
    distiller=Text,
    iterations=Integer,
    seed=Integer,
    test=Boolean,
    ap=Float,
    test_ap=Float,
    failure=Text,
    detail=Text,
    wall_seconds=Float,
    resolved=Text,
    finished_at=Float,
    extra=Boolean,
)
scales = _table(
    "scales",
    1,
    maybe=("value", "failure"),
    tree=Text,
    value=Float,
    failure=Text,
    detail=Text,
    wall_seconds=Float,
    extra=Boolean,
)
screenings = _table(
    "screenings", 1, maybe=("failure",), tree=Text, failure=Text, detail=Text, fingerprint=Text, wall_seconds=Float
)
births = _table("births", 1, text=Text, stage=Text, niche=Text, generation=Integer, parents=Json)
merges = _table("merges", 1, other=Text, canonical=Text)
generations = _table("generations", 2, stage=Text, number=Integer, counts=Json, statistics=Json)
steering = _table("steering", 2, stage=Text, number=Integer, decision=Json)
events = _table("events", 0, time=Float, kind=Text, detail=Json, extra=Boolean)

ALL_COSTS = """
    SELECT count(*), coalesce(sum(wall_seconds), 0), max(finished_at) FROM scores
    WHERE iterations > 0 AND NOT extra AND failure IS NOT 'rejected:budget'
"""
SCALE_COSTS = "SELECT coalesce(sum(wall_seconds), 0) FROM scales WHERE NOT extra"
LAST_ACTIVITY = """
    SELECT max(t) FROM (SELECT max(finished_at) AS t FROM scores WHERE finished_at < ? AND NOT extra
    UNION ALL SELECT max(time) FROM events WHERE time < ? AND NOT extra AND kind != 'named')
"""
