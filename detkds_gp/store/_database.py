"""Opening ``store.sqlite``, and saying in one line what SQLite finds wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, insert, inspect, select
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError

from detkds_gp.errors import StoreError
from detkds_gp.store.tables import SCHEMA_VERSION, meta, metadata

_BUSY_SECONDS = 30.0
_HEADER_BYTES = 100
_DAMAGED = "restore a copy of it or use another --work-dir"
_REMEDIES = {
    "full": "free some space and start again; everything recorded before is kept",
    "disk I/O error": "free some space or check the disk, then start again",
    "locked": "close the program that holds it and start again",
    "readonly": "make the directory and its files writable or use another --work-dir",
    "unable to open": "make the directory and its files accessible or use another --work-dir",
    "not a database": _DAMAGED,
    "malformed": _DAMAGED,
}


@contextmanager
def connected(path: Path, readonly: bool) -> Iterator[Connection]:
    """Open the store, creating its tables if new; every statement commits by itself.

    Raises:
        StoreError: the file is missing (for reading), damaged, no store, or of another version.
    """
    if readonly and not path.is_file():
        raise StoreError(f"{path.parent} holds no {path.name}; run a search with this --work-dir first")
    with plain_errors(path):
        if not path.exists():
            _create(path)
        if (size := path.stat().st_size) < _HEADER_BYTES:  # SQLite would take it for a new database and overwrite it
            raise StoreError(f"{path} is damaged: it was cut to {size} bytes; {_DAMAGED}")
        connection = _connect_to_read(path) if readonly else _connect(path, "mode=rw")
    try:
        with plain_errors(path):
            _check(connection, path)
            if not readonly:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.exec_driver_sql("PRAGMA synchronous=FULL")
        yield connection
    finally:
        connection.close()


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file into a StoreError of one line."""
    try:
        yield
    except DatabaseError as error:
        if type(error) not in (DatabaseError, InternalError, OperationalError):
            raise
        reason = str(error.orig)
        remedies = (remedy for word, remedy in _REMEDIES.items() if word in reason)
        raise StoreError(f"{path}: {reason}; {next(remedies, _DAMAGED)}") from error


def _connect(path: Path, mode: str) -> Connection:
    uri = f"{path.absolute().as_uri()}?{mode}"
    return create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    ).connect()


def _connect_to_read(path: Path) -> Connection:
    """Open for reading, also where the directory does not let SQLite make its WAL files."""
    connection = _connect(path, "mode=ro")
    try:
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
        connection.close()
        return _connect(path, "mode=ro&immutable=1")
    return connection


def _create(path: Path) -> None:
    """Make the file with all its tables, or none: one that is there but empty has lost its content."""
    draft = path.with_name(path.name + ".new")
    for leftover in (draft, draft.with_name(draft.name + "-journal")):
        leftover.unlink(missing_ok=True)
    connection = _connect(draft, "mode=rwc")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        metadata.create_all(connection)
        connection.execute(insert(meta).values(name="schema_version", value=str(SCHEMA_VERSION)))
        connection.exec_driver_sql("COMMIT")
    finally:
        connection.close()
    draft.replace(path)


def _check(connection: Connection, path: Path) -> None:
    """Refuse other people's databases, other versions and damaged files."""
    version = None
    if inspect(connection).has_table(meta.name):
        named = select(meta.c.value).where(meta.c.name == "schema_version")
        version = connection.execute(named).scalar()
    if version is None:
        raise StoreError(f"{path} is no store of detkds_gp; move it away or use another --work-dir")
    if version != str(SCHEMA_VERSION):
        raise StoreError(
            f"{path} has schema version {version}, wanted {SCHEMA_VERSION}; "
            "use the detkds_gp that wrote it or another --work-dir"
        )
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise StoreError(f"{path} is damaged: {found!r}; {_DAMAGED}")
