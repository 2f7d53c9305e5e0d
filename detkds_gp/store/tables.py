"""The tables of ``store.sqlite``; a change here needs a new SCHEMA_VERSION."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, MetaData, Table, Text, UniqueConstraint, false

SCHEMA_VERSION = 4

metadata = MetaData()


def _table(name: str, key: int, *columns: Column[Any]) -> Table:
    """Declare a table in the order of recording; its first ``key`` columns identify a row."""
    names = tuple(column.name for column in columns[:key])
    order = Column("position", Integer, primary_key=True)
    unique = [UniqueConstraint(*names)] if names else []
    return Table(name, metadata, order, *columns, *unique, info={"key": names})


def _extra() -> Column[Any]:
    """Declare whether a row comes of what was asked beside the search, and is no cost of it."""
    return Column("extra", Boolean, nullable=False, server_default=false())


meta = _table(
    "meta",
    1,
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
)

scores = _table(
    "scores",
    4,
    Column("distiller", Text, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("ap", Float),
    Column("test_ap", Float),
    Column("failure", Text),
    Column("detail", Text, nullable=False),
    Column("wall_seconds", Float, nullable=False),
    Column("resolved", Text, nullable=False),
    Column("finished_at", Float, nullable=False),
    _extra(),
)

scales = _table(
    "scales",
    1,
    Column("tree", Text, nullable=False),
    Column("value", Float),
    Column("failure", Text),
    Column("detail", Text, nullable=False),
    Column("wall_seconds", Float, nullable=False),
    _extra(),
)

screenings = _table(
    "screenings",
    1,
    Column("tree", Text, nullable=False),
    Column("failure", Text),
    Column("detail", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("wall_seconds", Float, nullable=False),
)

births = _table(
    "births",
    1,
    Column("text", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("niche", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("parents", Text, nullable=False),
)

merges = _table(
    "merges",
    1,
    Column("other", Text, nullable=False),
    Column("canonical", Text, nullable=False),
)

generations = _table(
    "generations",
    2,
    Column("stage", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("counts", Text, nullable=False),
    Column("statistics", Text, nullable=False),
)

steering = _table(
    "steering",
    2,
    Column("stage", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("decision", Text, nullable=False),
)

events = _table(
    "events",
    0,
    Column("time", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    _extra(),
)

ALL_COSTS = """
    SELECT count(*), coalesce(sum(wall_seconds), 0), max(finished_at) FROM scores
    WHERE iterations > 0 AND NOT extra AND failure IS NOT 'rejected:budget'
"""
SCALE_COSTS = "SELECT coalesce(sum(wall_seconds), 0) FROM scales WHERE NOT extra"
LAST_ACTIVITY = """
    SELECT max(t) FROM (SELECT max(finished_at) AS t FROM scores WHERE finished_at < ? AND NOT extra
    UNION ALL SELECT max(time) FROM events WHERE time < ? AND NOT extra AND kind != 'named')
"""
