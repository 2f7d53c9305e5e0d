"""The screener of a run: answers from the store, else from workers, recorded before they are used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from detkds_gp.language import PrimitiveSet, parse_distiller
from detkds_gp.score import Score, Screening
from detkds_gp.screening.findings import DIRECTION, Finding
from detkds_gp.screening.fingerprint import Fingerprint
from detkds_gp.store import Store


class NotRecordedError(Exception):
    """A replay came to a formula of which nothing is recorded."""


class RecordedScreener:
    """Says of formulas whether they are worth a training and whether they are the same loss as an earlier one.

    Rejections, merges and fingerprints of the formulas asked together are recorded together, so that a run
    that was killed finds either all of them or none.

    Args:
        store: of the run.
        primitive_set: the grammar of the search.
        ask: screens formulas of which nothing is recorded; None for a replay from the store alone.
        say: takes a line of news.

    Raises:
        NotRecordedError: when called with a formula that is not recorded, and there is nobody to ask.
    """

    def __init__(
        self,
        store: Store,
        primitive_set: PrimitiveSet,
        ask: Callable[[Sequence[str]], Mapping[str, Screening]] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._store, self._primitive_set, self._ask, self._say = store, primitive_set, ask, say
        self._losses: dict[str, list[tuple[str, Fingerprint]]] = defaultdict(list)
        twins = {merge.other for merge in store.merges()}
        for record in store.screenings():
            if record.screening.fingerprint and record.tree not in twins:
                self._known(record.tree).append((record.tree, Fingerprint.parse(record.screening.fingerprint)))

    def __call__(self, formulas: Sequence[str]) -> list[Finding]:
        """Return a finding for each of some formulas, in that order."""
        missing = [formula for formula in formulas if self._store.screening(formula) is None]
        if missing and self._ask is None:
            raise NotRecordedError(f"nothing is recorded of {missing[0]!r}")
        if missing and self._ask is not None:
            self._record(missing, self._ask(missing))
        return [self._finding(formula) for formula in formulas]

    def _record(self, formulas: Sequence[str], screenings: Mapping[str, Screening]) -> None:
        with self._store.together():
            for formula in formulas:
                self._store.record_screening(formula, screenings[formula])
                if screenings[formula].fingerprint:
                    self._merge(formula, Fingerprint.parse(screenings[formula].fingerprint))
        for formula in formulas:
            if not screenings[formula].ok:
                self._say(f"{screenings[formula].failure}: {formula}: {screenings[formula].detail}")

    def _merge(self, formula: str, fingerprint: Fingerprint) -> None:
        """Record that a formula is the same loss as an earlier one of its knowledge, or remember it as a new loss."""
        known = self._known(formula)
        twin = next((other for other, loss in known if loss.same(fingerprint)), None)
        if twin is None:
            known.append((formula, fingerprint))
        else:
            self._store.record_merge(formula, twin)

    def _known(self, formula: str) -> list[tuple[str, Fingerprint]]:
        """Return the losses that are known of a formula's knowledge."""
        return self._losses[parse_distiller(formula, self._primitive_set).terms[0].knowledge]

    def _finding(self, formula: str) -> Finding:
        screening = self._store.screening(formula)
        assert screening is not None
        if screening.failure is not None:
            return Finding(Score.failed(screening.failure, screening.detail, screening.wall_seconds))
        told = screening.fingerprint
        direction = Fingerprint.parse(told).direction(DIRECTION) if told else None
        return Finding(twin=self._store.merge(formula), direction=direction)
