"""The watch over trainings while they run: which may begin, what is abandoned, what they taught about the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from detkds_gp.evaluation import Allowance, EvaluationService, Interrupt, Question
from detkds_gp.listener import Listener
from detkds_gp.score import NOT_BEGUN, Score, Trial
from detkds_gp.steering.inbox import Inbox
from detkds_gp.steering.plan import Plan
from detkds_gp.steering.planner import Planner
from detkds_gp.steering.prices import Prices
from detkds_gp.store import Store
from detkds_gp.store.events import WORKED
from detkds_gp.turns import Turns

_TOLD_SECONDS = 5.0
"""Between two estimates of the time that is left."""


@dataclass
class Watch:
    """An evaluator of generations that keeps to the budget and obeys ``gp_search stop``.

    Attributes:
        planner: says what still fits.
        interrupt: asked for an end by a command in the inbox.
        plan: what is to come, the generation at work first; None where nothing was planned in this session.
    """

    planner: Planner
    store: Store
    evaluations: EvaluationService
    listener: Listener
    inbox: Inbox
    interrupt: Interrupt
    plan: Plan | None = None
    _waiting: dict[str, None] = field(default_factory=dict)
    _trained: float = 0.0
    _besides: float = 0.0
    _candidates: int = 0
    _resumed: bool = False
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._mark = self._noted = self._used()

    def scoring(self, phase: str, questions: Sequence[Question]) -> Turns[list[Score]]:
        """Find the scores of a generation's candidates, or of those on a rung, in the order asked.

        What the budget leaves no time for is recorded as a failure, so that a replay is told the same.

        Raises:
            Stopped: an end was asked for.
        """
        fresh = [one.trial for one in questions if self.store.score(one.trial) is None]
        scores = yield from self.evaluations.scoring(phase, questions, self._generation())
        self._record_not_begun(questions, scores)
        self._note_work(phase)
        proxy = self.planner.prices.proxy
        self._learn_overhead(fresh, first=questions[0].trial.iterations == [*proxy.rungs, proxy.iterations][0])
        return scores

    def _note_work(self, phase: str) -> None:
        """Record how workers were used since the last note."""
        _, *before = self._noted
        _, *now = self._noted = self._used()
        busy, held = (after - earlier for after, earlier in zip(now, before, strict=True))
        if held > 0:
            self.store.record_event(WORKED, phase=phase, busy=busy, held=held)

    def _used(self) -> tuple[float, float, float]:
        """Return the time, and the seconds that workers were busy and held."""
        usage = self.evaluations.usage
        return time.monotonic(), usage.busy_seconds, usage.held_seconds

    def racing(self, places: int) -> Allowance:
        """Return what a seed of the race may begin, with some places to train on it."""
        return self._by_seed(lambda opened: self.planner.may_race(places))

    def judging(self, places: int, done: int) -> Allowance:
        """Return what the final round may begin on seeds with some places each; some seeds are done already."""
        return self._by_seed(lambda opened: self.planner.may_judge(done + opened, places))

    def _by_seed(self, fits: Callable[[int], bool]) -> Allowance:
        """Allow a seed whole if it fits besides those opened, or not at all, unless the machine becomes slower then."""
        self.planner.prices.forget_work()
        opened: dict[int, bool] = {}

        def begin(trials: Sequence[Trial]) -> bool:
            seed = trials[0].seed
            if seed not in opened:
                opened[seed] = fits(len(opened))
            return opened[seed] and self.planner.may_end(trials)

        return self._allowance(begin, self.planner.over)

    def anchors(self) -> Allowance:
        """Return what the noise model's trainings may begin: all of them, until an end is asked for."""
        return Allowance(heard=self._heard, lost=self.planner.prices.lost)

    def tuning(self) -> tuple[Allowance, Callable[[], bool]]:
        """Return what the tuning of rivals may begin, and what tells whether it goes on."""
        return self._allowance(lambda trials: True, self.planner.late), self.planner.may_tune

    def _allowance(self, fits: Callable[[Sequence[Trial]], bool], over: Callable[[], bool]) -> Allowance:
        """Allow trainings that fit, and note them as begun."""

        def begin(trials: Sequence[Trial]) -> bool:
            fit = fits(trials)
            if fit:
                self.planner.prices.begun(trials)
            return fit

        return Allowance(begin, over, self._heard, self.planner.prices.lost)

    def search_begins(self) -> None:
        """Take the time from which candidates cost something."""
        self._mark = self._noted = self._used()
        self._trained, self._resumed = 0.0, bool(self.store.births())

    def expect(self, texts: Sequence[str]) -> None:
        """Note distillers that were asked, and wait for their trainings."""
        self._waiting |= dict.fromkeys(texts)

    def forget(self, texts: Sequence[str]) -> None:
        """Note that distillers wait no more."""
        for text in texts:
            self._waiting.pop(text, None)

    def _generation(self) -> Allowance:
        """Return what a generation may begin; the time left is told on the way."""

        def heard(trial: Trial, score: Score) -> None:
            if trial.iterations == self.planner.prices.proxy.iterations or not score.ok:
                self.forget([trial.distiller])
            self._trained += score.wall_seconds
            self._heard(trial, score)
            if time.monotonic() - self._told > _TOLD_SECONDS:
                self._told = time.monotonic()
                self.listener.time_left(self._time_left())

        return replace(self._allowance(self.planner.may_begin, self.planner.late), heard=heard)

    def asked_cost(self, prices: Prices, careful: bool = True) -> float:
        """Return what is still to be trained of the generations that were asked costs."""
        return prices.generation(1, len(self._waiting), careful)

    def _time_left(self) -> float:
        """Estimate the seconds to the end while generations are trained."""
        now = self.asked_cost(self.planner.prices.on_the_clock, careful=False)
        if self.plan is None:  # what was decided before this session began
            return now + self.planner.seconds(self.planner.plan())
        following = {(one.stage, one.number) for one in self.planner.strategy.plan()}
        ahead = tuple(one for one in self.plan.generations if (one.stage, one.number) in following)
        return now + self.planner.seconds(replace(self.plan, generations=ahead))

    def _record_not_begun(self, questions: Sequence[Question], scores: Sequence[Score]) -> None:
        missing = [
            (one.trial, score)
            for one, score in zip(questions, scores, strict=True)
            if score.failure == NOT_BEGUN and self.store.score(one.trial) is None
        ]
        with self.store.together():
            for trial, score in missing:
                self.store.record_score(trial, score)
        if missing:
            self.listener.say(f"{len(missing)} candidates are not trained: the rest of the budget is kept")

    def _learn_overhead(self, fresh: Sequence[Trial], first: bool) -> None:
        """Measure what candidates cost besides their trainings: screening, calibration, and the search itself.

        Workers that wait for the last training of a generation are no overhead: its rounds are priced by themselves.
        Nor is the replay of a search that is resumed, and what its first trainings wait for. What later rungs cost is
        added to the first one of a generation.
        """
        prices, now = self.planner.prices, self._used()
        prices.lost(fresh)
        answered = [score for trial in fresh if (score := self.store.score(trial)) is not None]
        trained = sum(score.failure != NOT_BEGUN for score in answered)
        passed, busy, held = (after - before for after, before in zip(now, self._mark, strict=True))
        resumed, self._resumed = self._resumed, self._resumed and not fresh
        seconds = self._trained
        if fresh or resumed:
            self._mark, self._trained = now, 0.0
        if trained and not resumed and (first or self._candidates):
            if first:
                self._besides, self._candidates = 0.0, trained
            self._besides += max(0.0, busy - seconds) + max(0.0, passed * prices.workers - held)
            prices.overhead = self._besides / self._candidates

    def _heard(self, trial: Trial, score: Score) -> None:
        self.planner.prices.learn(trial, score)
        self.obey()

    def obey(self) -> None:
        """Ask for an end if ``gp_search stop`` did."""
        if self.inbox.stop_command() == "pause":
            self.inbox.forget_stop()
            self.interrupt.request()
