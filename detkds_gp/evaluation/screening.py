"""Screening as the search asks for it: answers from the store, else from workers, recorded before they are used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from detkds_gp.language import PrimitiveSet, parse_distiller
from detkds_gp.losses.screening import Fingerprint
from detkds_gp.score import Score, Screening
from detkds_gp.search import DIRECTION, Finding
from detkds_gp.store import Store

Ask = Callable[[Sequence[str]], Mapping[str, Screening]]


class NotRecordedError(Exception):
    """A replay came to a formula of which nothing is recorded."""


def answer_nothing(formulas: Sequence[str]) -> Mapping[str, Screening]:
    """Answer nothing, as a replay from the store alone does.

    Raises:
        NotRecordedError: always.
    """
    raise NotRecordedError(f"nothing is recorded of {formulas[0]!r}")


class Screener:
    """Says of formulas whether they are worth a training and whether they are the same loss as an earlier one.

    Rejections, merges and fingerprints of the formulas asked together are recorded together, so that a run
    that was killed finds either all of them or none.

    Args:
        store: of the run.
        primitive_set: the grammar of the search.
        ask: screens formulas of which nothing is recorded.
        say: takes a line of news.
    """

    def __init__(
        self, store: Store, primitive_set: PrimitiveSet, ask: Ask, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._store = store
        self._primitive_set = primitive_set
        self._ask = ask
        self._say = say
        self._losses: dict[str, list[tuple[str, Fingerprint]]] = defaultdict(list)
        twins = {merge.other for merge in store.merges()}
        for record in store.screenings():
            if record.tree not in twins:
                self._remember(record.tree, record.screening)

    def __call__(self, formulas: Sequence[str]) -> list[Finding]:
        """Return a finding for each of some formulas, in that order."""
        missing = [formula for formula in formulas if self._store.screening(formula) is None]
        if missing:
            self._record(missing, self._ask(missing))
        return [self._finding(formula) for formula in formulas]

    def _record(self, formulas: Sequence[str], screenings: Mapping[str, Screening]) -> None:
        with self._store.together():
            for formula in formulas:
                screening = screenings[formula]
                self._store.record_screening(formula, screening)
                twin = self._twin(formula, screening)
                if twin is None:
                    self._remember(formula, screening)
                else:
                    self._store.record_merge(formula, twin)
        for formula in formulas:
            if not screenings[formula].ok:
                self._say(f"{screenings[formula].failure}: {formula}: {screenings[formula].detail}")

    def _finding(self, formula: str) -> Finding:
        screening = self._store.screening(formula)
        assert screening is not None
        if screening.failure is not None:
            return Finding(Score.failed(screening.failure, screening.detail, screening.wall_seconds))
        told = screening.fingerprint
        direction = Fingerprint.parse(told).direction(DIRECTION) if told else None
        return Finding(twin=self._store.merge(formula), direction=direction)

    def _twin(self, formula: str, screening: Screening) -> str | None:
        """Return the first formula of the same knowledge that is the same loss."""
        if not screening.fingerprint:
            return None
        fingerprint = Fingerprint.parse(screening.fingerprint)
        known = self._losses[self._knowledge(formula)]
        return next((other for other, loss in known if loss.same(fingerprint)), None)

    def _remember(self, formula: str, screening: Screening) -> None:
        if screening.fingerprint:
            known = self._losses[self._knowledge(formula)]
            known.append((formula, Fingerprint.parse(screening.fingerprint)))

    def _knowledge(self, formula: str) -> str:
        return parse_distiller(formula, self._primitive_set).terms[0].knowledge
