"""The store: recorded answers, looked up by what was asked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Select, Table, bindparam, insert, select
from sqlalchemy.exc import DatabaseError

from detkds_gp.errors import StoreError
from detkds_gp.score import Scale, Score, Screening, Trial
from detkds_gp.store import tables
from detkds_gp.store._database import connected, plain_errors
from detkds_gp.store._fingerprint import ROUNDING, brief, differences, differing, to_json
from detkds_gp.store._lock import sole_writer
from detkds_gp.store.events import MEASURED
from detkds_gp.store.records import Birth, Costs, Event, Generation, Merge, ScaleRecord, ScoreRecord, ScreeningRecord

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Made = TypeVar("Made", bound="DataclassInstance")

FILE_NAME = "store.sqlite"
"""Name of the store in a work directory."""
_UNCOMPARED = ("finished_at", "extra")
"""When and for what an answer was asked changes nothing of it."""


class Store:
    """The answers of one search, in ``store.sqlite`` of its work directory.

    One process writes, any number read meanwhile. An answer is on the disk when its ``record_*``
    returns. Recording the same again changes nothing, so that a search may be replayed; recording
    something else for the same question is refused. Not for use from several threads.

    Every method raises StoreError, in one line, when the file cannot be read or written.
    """

    def __init__(self, path: Path, connection: Connection, resources: ExitStack) -> None:
        self.path = path
        self._connection = connection
        self._resources = resources
        self._extra = False

    @classmethod
    def open(cls, work_dir: str | Path, readonly: bool = False) -> Store:
        """Open the store of a work directory; for writing, create what is missing.

        Raises:
            StoreError: another writer is at work (writing); there is no store (reading); the file
                is damaged, no store, or of another schema version.
        """
        path = Path(work_dir) / FILE_NAME
        with ExitStack() as resources:
            if not readonly:
                resources.enter_context(sole_writer(path.parent))
            connection = resources.enter_context(connected(path, readonly))
            return cls(path, connection, resources.pop_all())

    def close(self) -> None:
        """Close the file and let another writer in; closing twice is allowed."""
        self._resources.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, fingerprint: Mapping[str, Any]) -> None:
        """Record what the search is, or compare with what was recorded at its first start.

        Args:
            fingerprint: nested JSON: whatever changes the outcome.

        Raises:
            StoreError: it differs; lists the dotted keys.
        """
        asked, recorded = to_json(fingerprint), self.fingerprint()
        if recorded is None:
            self._record(tables.meta, name="fingerprint", value=asked)
        elif differing := differences(recorded, json.loads(asked)):
            raise StoreError(
                f"{self.path} belongs to another search (recorded -> asked): {differing}; "
                "use another --work-dir or ask as recorded"
            )

    def fingerprint(self) -> dict[str, Any] | None:
        """Return what ``begin`` recorded; None before."""
        text = self._value(tables.meta, "value", name="fingerprint")
        return None if text is None else json.loads(text)

    def bound_to(self) -> dict[str, Any]:
        """Return what ``begin`` recorded.

        Raises:
            StoreError: nothing was started here.
        """
        fingerprint = self.fingerprint()
        if fingerprint is None:
            raise StoreError(f"{self.path} holds no experiment yet; start one with gp_search run")
        return fingerprint

    def integrity(self) -> list[str]:
        """Return what SQLite finds wrong with the pages and indices of the file; empty if nothing."""
        with plain_errors(self.path):
            found = self._connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        return [] if found == ["ok"] else [str(line) for line in found]

    def score(self, trial: Trial) -> Score | None:
        """Return the recorded answer of a trial; None if it was not recorded."""
        return self._one(tables.scores, Score, **vars(trial))

    def record_score(self, trial: Trial, score: Score, resolved: str = "") -> None:
        """Record a trial's answer, with its details as an event before it, and the distiller's text as trained."""
        told = dict(vars(score))
        details = told.pop("details")
        if details is not None and self.score(trial) is None:
            self.record_event(MEASURED, trial=vars(trial), **vars(details))
        told |= {"resolved": resolved, "finished_at": time.time(), "extra": self._extra}
        self._record(tables.scores, **vars(trial), **told)

    def resolved(self, trial: Trial) -> str | None:
        """Return the distiller's text as a trial trained it; None if it was not recorded."""
        return self._value(tables.scores, "resolved", **vars(trial))

    def scores(self) -> list[ScoreRecord]:
        """Return all scores in the order of recording."""
        rows = self._rows(tables.scores)
        return [_made(ScoreRecord, row, trial=_made(Trial, row), score=_made(Score, row)) for row in rows]

    def scale(self, tree: str) -> Scale | None:
        """Return the recorded scale of a tree's text; None if it was not recorded."""
        return self._one(tables.scales, Scale, tree=tree)

    def record_scale(self, tree: str, scale: Scale) -> None:
        """Record the calibrated scale of a tree's text."""
        self._record(tables.scales, tree=tree, **vars(scale), extra=self._extra)

    def scales(self) -> list[ScaleRecord]:
        """Return all scales in the order of recording."""
        return [_made(ScaleRecord, row, scale=_made(Scale, row)) for row in self._rows(tables.scales)]

    def screening(self, tree: str) -> Screening | None:
        """Return what screening said of a tree's text; None if it was not recorded."""
        return self._one(tables.screenings, Screening, tree=tree)

    def record_screening(self, tree: str, screening: Screening) -> None:
        """Record what screening said of a tree's text."""
        self._record(tables.screenings, tree=tree, **vars(screening))

    def screenings(self) -> list[ScreeningRecord]:
        """Return all screenings in the order of recording."""
        return [_made(ScreeningRecord, row, screening=_made(Screening, row)) for row in self._rows(tables.screenings)]

    def record_birth(self, text: str, stage: str, niche: str, generation: int, parents: Sequence[str]) -> None:
        """Record where a distiller comes from; it is born once, so a later origin is refused."""
        self._record(tables.births, **vars(Birth(text, stage, niche, generation, tuple(parents))))

    def births(self) -> list[Birth]:
        """Return all distillers in the order of birth."""
        return self._all(tables.births, Birth)

    def merge(self, other: str) -> str | None:
        """Return the canonical text that ``other`` was merged into; None if it was not."""
        return self._value(tables.merges, "canonical", other=other)

    def record_merge(self, other: str, canonical: str) -> None:
        """Record that two texts are the same loss."""
        self._record(tables.merges, other=other, canonical=canonical)

    def merges(self) -> list[Merge]:
        """Return all merges in the order of recording."""
        return self._all(tables.merges, Merge)

    def record_generation(
        self, stage: str, number: int, counts: Mapping[str, Any], statistics: Mapping[str, Any]
    ) -> None:
        """Record the counts and statistics of a generation, any JSON; what differs by ``ROUNDING`` is the same."""
        known, now = self.generation(stage, number), json.loads(to_json(statistics))
        if known is not None and not list(differing(known.statistics, now, tolerance=ROUNDING)):
            statistics = known.statistics
        self._record(tables.generations, stage=stage, number=number, counts=counts, statistics=statistics)

    def generations(self) -> list[Generation]:
        """Return all generations in the order of recording."""
        return self._all(tables.generations, Generation)

    def generation(self, stage: str, number: int) -> Generation | None:
        """Return one generation; None while it was not recorded."""
        return self._one(tables.generations, Generation, stage=stage, number=number)

    def steering(self, stage: str, number: int) -> dict[str, Any] | None:
        """Return what was decided from outside after a generation was asked; None if nothing was yet."""
        return self._value(tables.steering, "decision", stage=stage, number=number)

    def record_steering(self, stage: str, number: int, decision: Mapping[str, Any]) -> None:
        """Record what was decided from outside (injections, an end) after a generation was asked, any JSON."""
        self._record(tables.steering, stage=stage, number=number, decision=decision)

    def steerings(self) -> list[dict[str, Any]]:
        """Return all decisions from outside in the order of recording."""
        return [row["decision"] for row in self._rows(tables.steering)]

    def costs(self) -> Costs:
        """Return how many trainings the search had and what they cost, summed up by SQLite; extra ones left out."""
        with plain_errors(self.path):
            trainings, seconds, last = self._connection.exec_driver_sql(tables.ALL_COSTS).one()
            calibration = self._connection.exec_driver_sql(tables.SCALE_COSTS).scalar_one()
        return Costs(trainings, seconds + calibration, last)

    def last_activity(self, before: float) -> float | None:
        """Return the Unix time of the search's last answer or event before a moment; None if there is none."""
        with plain_errors(self.path):
            return self._connection.exec_driver_sql(tables.LAST_ACTIVITY, (before, before)).scalar()

    @contextmanager
    def extra(self) -> Iterator[None]:
        """Mark the scores, scales and events recorded within: they are no cost of the search, and not its time."""
        self._extra = True
        try:
            yield
        finally:
            self._extra = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit all that is recorded within as one; nothing of it if an error leaves."""
        with plain_errors(self.path):
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield
            with plain_errors(self.path):
                self._connection.exec_driver_sql("COMMIT")
        except BaseException:
            with suppress(DatabaseError):  # a full disk has rolled back by itself
                self._connection.exec_driver_sql("ROLLBACK")
            raise

    def record_event(self, kind: str, **detail: Any) -> None:
        """Record that something happened now; every call adds an event."""
        self._record(tables.events, time=time.time(), kind=kind, detail=detail, extra=self._extra)

    def events(self, kind: str | None = None) -> list[Event]:
        """Return the events of one kind, or all, in the order of recording."""
        return self._all(tables.events, Event, **({} if kind is None else {"kind": kind}))

    def _rows(self, table: Table, /, **known: Any) -> list[dict[str, Any]]:
        """Return the rows that have some values, or all, in the order of recording."""
        with plain_errors(self.path):
            rows = self._connection.execute(_by(table, *known), known).all()
        names = table.c.keys()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _all(self, table: Table, kind: type[Made], /, **known: Any) -> list[Made]:
        return [_made(kind, row) for row in self._rows(table, **known)]

    def _one(self, table: Table, kind: type[Made], /, **key: Any) -> Made | None:
        return next(iter(self._all(table, kind, **key)), None)

    def _value(self, table: Table, column: str, /, **key: Any) -> Any:
        """Return what stands in a column of the row with a key; None if there is no such row."""
        return next((row[column] for row in self._rows(table, **key)), None)

    def _record(self, table: Table, /, **row: Any) -> None:
        """Commit a row, or check that the row with the same key says the same."""
        key = {name: row[name] for name in table.info["key"]}
        for recorded in self._rows(table, **key) if key else ():
            names = [name for name in row if name not in _UNCOMPARED]
            told, now = ({name: _comparable(side[name]) for name in names} for side in (recorded, row))
            if differing := differences(told, now):
                raise StoreError(
                    f"{self.path} already holds other {table.name} of {brief(key)} (recorded -> now): "
                    f"{differing}; the search no longer repeats itself: use another --work-dir"
                )
            return
        _check_values(table, row)
        with plain_errors(self.path):
            self._connection.execute(insert(table), row)


@cache
def _by(table: Table, *names: str) -> Select[Any]:
    """Build a look-up once; building takes longer than SQLite's answer."""
    return select(table).where(*(table.c[name] == bindparam(name) for name in names)).order_by(table.c.position)


def _made(kind: type[Made], row: Mapping[str, Any], **more: Any) -> Made:
    """Make a value of the columns that are called as its fields, and of more."""
    return kind(**{name: row[name] for name in kind.__dataclass_fields__ if name in row}, **more)


def _comparable(value: Any) -> Any:
    return to_json(value) if isinstance(value, (dict, list, tuple)) else value


def _check_values(table: Table, row: Mapping[str, Any]) -> None:
    """Refuse nan (SQLite would make it NULL) and inf, since a failure has a name, and what is no JSON."""
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{table.name}.{name} is {value}, wanted a finite number")
        _comparable(value)
