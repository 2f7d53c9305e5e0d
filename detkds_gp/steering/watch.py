"""The watch over trainings while they run: which may begin, what is abandoned, what they taught about the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from detkds_gp.evaluation import Allowance, EvaluationService, Interrupt, Question
from detkds_gp.listener import Listener
from detkds_gp.score import NOT_BEGUN, Score, Trial
from detkds_gp.steering.inbox import Inbox
from detkds_gp.steering.plan import Plan
from detkds_gp.steering.planner import Planner
from detkds_gp.store import Store
from detkds_gp.store.events import WORKED

_TOLD_SECONDS = 5.0
"""Between two estimates of the time that is left."""


class Watch:
    """An evaluator of generations that keeps to the budget and obeys ``gp_search stop``.

    Args:
        planner: says what still fits.
        store: open for writing.
        evaluations: asked for scores.
        listener: is told the time left.
        inbox: may hold the command to stop.
        interrupt: asked for an end then.

    Attributes:
        plan: what is to come, the generation at work first; None where nothing was planned in this session.
    """

    def __init__(
        self,
        planner: Planner,
        store: Store,
        evaluations: EvaluationService,
        listener: Listener,
        inbox: Inbox,
        interrupt: Interrupt,
    ) -> None:
        self.plan: Plan | None = None
        self._planner = planner
        self._store = store
        self._evaluations = evaluations
        self._listener = listener
        self._inbox = inbox
        self._interrupt = interrupt
        self._mark = self._used()
        self._besides, self._candidates = 0.0, 0
        self._resumed = False
        self._told = 0.0

    def scores(self, phase: str, questions: Sequence[Question]) -> list[Score]:
        """Return the scores of a generation's candidates, or of those on a rung, in the order asked.

        What the budget leaves no time for is recorded as a failure, so that a replay is told the same.

        Raises:
            Stopped: an end was asked for.
        """
        _, busy, held = self._used()
        fresh = [one.trial for one in questions if self._store.score(one.trial) is None]
        scores = self._evaluations.scores(phase, questions, self._allowance(len(fresh)))
        self._record_not_begun(questions, scores)
        usage = self._evaluations.usage
        if usage.held_seconds > held:
            self._store.record_event(
                WORKED, phase=phase, busy=usage.busy_seconds - busy, held=usage.held_seconds - held
            )
        lengths = [*self._planner.prices.proxy.rungs, self._planner.prices.proxy.iterations]
        self._learn_overhead(fresh, first=questions[0].trial.iterations == lengths[0])
        return scores

    def _used(self) -> tuple[float, float, float]:
        """Return the time, and the seconds that workers were busy and held."""
        usage = self._evaluations.usage
        return time.monotonic(), usage.busy_seconds, usage.held_seconds

    def racing(self, places: int) -> Allowance:
        """Return what one seed of the race may begin: all of it or nothing, unless the machine becomes slower then.

        Args:
            places: formulas that are trained on it.
        """
        self._planner.prices.forget_work()
        opened: list[bool] = []

        def begin(trials: Sequence[Trial]) -> bool:
            opened[:] = opened or [self._planner.may_race(places)]
            return opened[0] and self._begun_in_time(trials)

        return Allowance(begin, self._planner.over, self._heard, self._planner.prices.lost)

    def judging(self, places: int, done: int) -> Allowance:
        """Return what the final round may begin: seed by seed, each only if it fits.

        Args:
            places: formulas that are judged.
            done: seeds on which all are judged already.
        """
        self._planner.prices.forget_work()
        opened: list[int] = []

        def begin(trials: Sequence[Trial]) -> bool:
            if trials[0].seed not in opened:
                if not self._planner.may_judge(done + len(opened), places):
                    return False
                opened.append(trials[0].seed)
            return self._begun_in_time(trials)

        return Allowance(begin, self._planner.over, self._heard, self._planner.prices.lost)

    def anchors(self) -> Allowance:
        """Return what the noise model's trainings may begin: all of them, until an end is asked for."""
        return Allowance(heard=self._heard, lost=self._planner.prices.lost)

    def tuning(self) -> tuple[Allowance, Callable[[], bool]]:
        """Return what the tuning of rivals may begin, and what tells whether it goes on."""
        planner = self._planner

        def begin(trials: Sequence[Trial]) -> bool:
            planner.prices.begun(trials)
            return True

        return Allowance(begin, planner.late, self._heard, planner.prices.lost), planner.may_tune

    def _begun_in_time(self, trials: Sequence[Trial]) -> bool:
        """Tell whether trainings of a seed that has begun still end within the budget, and note them as begun."""
        ends = self._planner.may_end(trials)
        if ends:
            self._planner.prices.begun(trials)
        return ends

    def search_begins(self) -> None:
        """Take the time from which candidates cost something."""
        self._mark, self._resumed = self._used(), bool(self._store.births())

    def _allowance(self, waiting: int) -> Allowance:
        left = waiting

        def heard(trial: Trial, score: Score) -> None:
            nonlocal left
            left -= 1
            self._heard(trial, score)
            if time.monotonic() - self._told > _TOLD_SECONDS:
                self._told = time.monotonic()
                self._listener.time_left(self._left(left))

        def begin(trials: Sequence[Trial]) -> bool:
            allowed = self._planner.may_begin(trials)
            if allowed:
                self._planner.prices.begun(trials)
            return allowed

        return Allowance(begin, self._planner.late, heard, self._planner.prices.lost)

    def _left(self, waiting: int) -> float:
        """Estimate the seconds to the end while a generation is trained, of which some are waiting."""
        prices = self._planner.prices
        now = replace(prices, kind="wall").generation(1, waiting, careful=False)
        if self.plan is None:  # what was decided before this session began
            return now + self._planner.seconds(self._planner.plan())
        return now + self._planner.seconds(replace(self.plan, generations=self.plan.generations[1:]))

    def _record_not_begun(self, questions: Sequence[Question], scores: Sequence[Score]) -> None:
        missing = [
            (one.trial, score)
            for one, score in zip(questions, scores, strict=True)
            if score.failure == NOT_BEGUN and self._store.score(one.trial) is None
        ]
        with self._store.together():
            for trial, score in missing:
                self._store.record_score(trial, score)
        if missing:
            self._listener.say(f"{len(missing)} candidates are not trained: the rest of the budget is kept")

    def _learn_overhead(self, fresh: Sequence[Trial], first: bool) -> None:
        """Measure what candidates cost besides their trainings: screening, calibration, and the search itself.

        Workers that wait for the last training of a generation are no overhead: its rounds are priced by themselves.
        Nor is the replay of a search that is resumed, and what its first trainings wait for.

        Args:
            fresh: what was trained now.
            first: whether it is the first rung of a generation; what later rungs cost is added to it.
        """
        prices, now = self._planner.prices, self._used()
        prices.forget_work()
        answered = [score for trial in fresh if (score := self._store.score(trial)) is not None]
        trained = [score.wall_seconds for score in answered if score.failure != NOT_BEGUN]
        passed, busy, held = (after - before for after, before in zip(now, self._mark, strict=True))
        resumed, self._resumed = self._resumed, self._resumed and not fresh
        if fresh or resumed:
            self._mark = now
        if trained and not resumed and (first or self._candidates):
            if first:
                self._besides, self._candidates = 0.0, len(trained)
            self._besides += max(0.0, busy - sum(trained)) + max(0.0, passed * prices.workers - held)
            prices.overhead = self._besides / self._candidates

    def _heard(self, trial: Trial, score: Score) -> None:
        self._planner.prices.learn(trial, score)
        self.obey()

    def obey(self) -> None:
        """Ask for an end if ``gp_search stop`` did."""
        if self._inbox.stop_command() == "pause":
            self._inbox.forget_stop()
            self._interrupt.request()
