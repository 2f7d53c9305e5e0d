"""Extra, budgeted evaluations that say why a winner wins: ablations, gradients and detections on pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.config import ExperimentConfig, parse_config
from detkds_gp.errors import StoreError
from detkds_gp.evaluation import EvaluationService, Question
from detkds_gp.explanation.ablations import ablations
from detkds_gp.explanation.pictures import PICTURE_TRAININGS, paint_pictures
from detkds_gp.fitness import ProxyTask
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.results import Summary
from detkds_gp.score import Trial
from detkds_gp.store import Store
from detkds_gp.store.events import EXPLAINED, EXPLAINING, STARTED

_PAIRS = 2


@dataclass(frozen=True)
class Explanation:
    """What `explain` did.

    Attributes:
        spent: trainings.
        left: trainings of ablations that the budget did not hold.
        pictures: whether pictures were painted, now or before.
    """

    spent: int
    left: int
    pictures: bool


def recorded_config(work_dir: Path) -> ExperimentConfig:
    """Return the config with which a run was last started.

    Raises:
        StoreError: nothing was started there, or by a version that did not record it.
    """
    with Store.open(work_dir, readonly=True) as store:
        starts = store.events(STARTED)
        if not starts or "config" not in starts[-1].detail:
            raise StoreError(f"{store.path} does not say its config; start it once more with gp_search run CONFIG")
        return parse_config(starts[-1].detail["config"], str(store.path))


class Explaining:
    """Explains the winner of a run.

    Args:
        store: open for writing; the caller lets it mark what is recorded as extra.
        evaluations: where trainings come from.
        task: of the workers.
        work_dir: pictures are written to its folder ``explain``.
        listener: hears what happens.
    """

    def __init__(
        self, store: Store, evaluations: EvaluationService, task: ProxyTask, work_dir: Path, listener: Listener
    ) -> None:
        self._store, self._evaluations, self._task, self._listener = store, evaluations, task, listener
        self._folder = work_dir / "explain"
        self._summary = Summary(store, task.primitive_set)

    def explain(self, evaluations: int) -> Explanation:
        """Spend at most so many trainings; what was answered before costs nothing.

        Raises:
            StoreError: nothing was found that could be explained.
        """
        ranking = self._summary.ranking()
        if not ranking:
            raise StoreError(f"{self._store.path} has no scored distiller to explain; let gp_search run go on first")
        if not self._summary.verdict.seeds:
            got = f"the budget of {self._store.path} ended before its final round, so that no gain is known to explain"
            raise StoreError(f"{got}; search in another --work-dir with a larger --budget")
        best = self._summary.winner(ranking) or ranking[0]
        self._store.record_event(EXPLAINING, winner=best.text)
        pictures, spent = self._painted(best.text), 0
        if not pictures and evaluations >= PICTURE_TRAININGS:
            self._listener.say(f"training {PICTURE_TRAININGS} students for pictures")
            judged = self._summary.verdict
            pictures = paint_pictures(self._task, best.distiller, judged.iterations, judged.seeds[0], self._folder)
            spent = PICTURE_TRAININGS
        distiller = parse_distiller(best.text, self._task.primitive_set)
        removed = ablations(distiller, self._task.primitive_set)
        missing = self._missing([(best.text, distiller), *((k.distiller.text, k.distiller) for k in removed)])
        asked = missing[: max(0, evaluations - spent)]
        self._evaluations.scores("ablations", [Question(*one, "ablation") for one in asked])
        told = [vars(one) | {"distiller": one.distiller.text} for one in removed]
        self._store.record_event(EXPLAINED, winner=best.text, ablations=told, pictures=pictures)
        return Explanation(spent + len(asked), len(missing) - len(asked), bool(pictures))

    def _missing(self, distillers: Sequence[tuple[str, Distiller]]) -> list[tuple[Trial, Distiller]]:
        """Return what is not answered: two seeds of every distiller first, for an interval, then two more of each."""
        judged = self._summary.verdict
        return [
            (trial, distiller)
            for start in range(0, len(judged.seeds), _PAIRS)
            for text, distiller in distillers
            for trial in judged.trials(text)[start : start + _PAIRS]
            if self._store.score(trial) is None
        ]

    def _painted(self, text: str) -> Mapping[str, Any]:
        """Return the pictures of a winner that an earlier call painted; empty if there are none."""
        events = [event.detail for event in self._store.events(EXPLAINED)]
        painted = [one["pictures"] for one in events if one["winner"] == text and one["pictures"]]
        return painted[-1] if painted else {}
