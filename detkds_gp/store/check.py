"""Reading a whole store and saying whether every row of it can be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.errors import StoreError
from detkds_gp.store._lock import writer_of
from detkds_gp.store.store import Store


@dataclass(frozen=True)
class StoreReport:
    """What a store holds.

    Attributes:
        path: the file.
        rows: by table.
        writer: the process that writes in it; None if none does.
        problems: what is wrong, each in one line.
    """

    path: Path
    rows: dict[str, int]
    writer: str | None
    problems: tuple[str, ...]


def check_store(work_dir: str | Path) -> StoreReport:
    """Check every page of the file and every row; nothing is written.

    Raises:
        StoreError: there is no store, it is of another schema version, or so damaged that it cannot be read.
    """
    with Store.open(work_dir, readonly=True) as store:
        problems = [f"{store.path}: {line}" for line in store.integrity()]
        tables: dict[str, Callable[[], list[Any]]] = {
            "scores": store.scores, "scales": store.scales, "screenings": store.screenings,
            "births": store.births, "merges": store.merges, "generations": store.generations,
            "steering": store.steerings, "events": store.events,
        }  # fmt: skip
        rows = {}
        for name, read in tables.items():
            try:
                rows[name] = len(read())
            except (ValueError, TypeError, StoreError) as error:
                problems.append(f"{name}: {' '.join(str(error).split())}")
        if store.fingerprint() is None:
            problems.append("no experiment was started in it")
        return StoreReport(store.path, rows, writer_of(store.path.parent), tuple(problems))
