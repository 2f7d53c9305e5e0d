"""The evaluation service: answers from the store, else from workers, recorded before they are used."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from detkds_gp.errors import UserError
from detkds_gp.evaluation.interrupt import Interrupt, Stopped
from detkds_gp.evaluation.packing import ALONE, Forecast, Packing
from detkds_gp.evaluation.question import UNLIMITED, Allowance, Question
from detkds_gp.execution import OPEN, Executor, Fault, Gate, Usage
from detkds_gp.fitness import PackRequest, Request, ScaleRequest, ScreenRequest
from detkds_gp.listener import Listener
from detkds_gp.score import NOT_BEGUN, Scale, Score, Screening, Trial
from detkds_gp.store import Store
from detkds_gp.turns import Turns, finished

ItemT = TypeVar("ItemT")

_SHOWN = 16
"""Waiting distillers that a listener is told of."""


class EvaluatorError(RuntimeError):
    """A worker raised what neither a formula nor the user should cause: a fault of ours."""


class LostTrainingError(UserError):
    """A required training failed twice."""


class EvaluationService:
    """Asks the store first and the workers for what is missing.

    Whatever is asked raises UserError if a worker met what the user can mend, such as a broken image, EvaluatorError
    if a worker failed in a way that is no formula's fault, and Stopped if the interrupt asked for an end.

    Args:
        store: open for writing.
        executor: makes workers when the first answer is missing.
        listener: hears every score.
        seed: of the search's trainings; scales are measured, and formulas screened, with it.
        interrupt: when it asks for an end, no further task is begun.
        packing: which candidates a worker trains side by side.
        steps: training steps of a candidate, which the time limit of workers is for.
    """

    def __init__(
        self,
        store: Store,
        executor: Callable[[], Executor],
        listener: Listener,
        seed: int,
        interrupt: Interrupt | None = None,
        packing: Packing = ALONE,
        steps: int | None = None,
    ) -> None:
        self._store = store
        self._make = executor
        self._executor: Executor | None = None
        self._listener = listener
        self._seed = seed
        self._interrupt = interrupt or Interrupt(0.0)
        self._packing = packing
        self._steps = steps
        self._forecast = Forecast()
        self._untrained: dict[Trial, None] = {}

    def close(self) -> None:
        """Stop the workers."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None

    def scores(self, phase: str, questions: Sequence[Question], allowance: Allowance = UNLIMITED) -> list[Score]:
        """Return the score of every question, in the order asked; see `scoring`."""
        return finished(self.scoring(phase, questions, allowance))

    def scoring(
        self, phase: str, questions: Sequence[Question], allowance: Allowance = UNLIMITED
    ) -> Turns[list[Score]]:
        """Find the score of every question, in the order asked; others may be asked for meanwhile.

        Closed after an orderly request to stop, it records first what is at work.

        A trial that the allowance keeps from being begun or finished gets a failure that is not recorded.

        Args:
            phase: for the listener.
            questions: scales that are missing are measured first. Those of a seed are trained before those of the next.
            allowance: says whether a training may still begin.
        """
        known = {one.trial: score for one in questions if (score := self._store.score(one.trial)) is not None}
        self._listener.phase(phase, len(questions), len(known), len(self._untrained))
        self._listener.asked([(one.niche, one.trial.distiller) for one in questions])
        missing = [one for one in questions if one.trial not in known]
        for one in questions:
            if one.trial in known:
                self._forecast.learn(one.trial, one.distiller, known[one.trial])
        evaluated = self._evaluated(missing, allowance)
        try:
            for found in evaluated:
                if found is None:
                    yield self._wait
                else:
                    known[found[0].trial] = self._recorded(*found, allowance)
        except GeneratorExit:
            with suppress(Stopped):
                for late in evaluated:
                    if late is not None:
                        self._recorded(*late, allowance)
                    elif self._interrupt.waits and self._executor is not None:
                        self._wait()
                    else:
                        break
            raise
        not_begun = Score.failed(NOT_BEGUN, "what has to follow needs the rest of the budget")
        return [known.get(one.trial, not_begun) for one in questions]

    def _recorded(self, one: Question, score: Score, resolved: str, allowance: Allowance) -> Score:
        self._store.record_score(one.trial, score, resolved)
        self._forecast.learn(one.trial, one.distiller, score)
        self._listener.answered(one.niche, score)
        allowance.heard(one.trial, score)
        return score

    def _wait(self) -> None:
        if self._executor is not None:
            self._executor.wait()

    def _waited(self, items: Iterator[ItemT | None]) -> Iterator[ItemT]:
        """Yield what comes, and wait where nothing has."""
        for item in items:
            if item is None:
                self._wait()
            else:
                yield item

    def scales(self, formulas: Sequence[str]) -> Mapping[str, Scale]:
        """Return the scale of every formula, each measured once and recorded."""
        distinct = dict.fromkeys(formulas)
        known = {formula: scale for formula in distinct if (scale := self._store.scale(formula)) is not None}
        missing = [formula for formula in distinct if formula not in known]
        asked = [ScaleRequest(formula, self._seed) for formula in missing]
        for index, scale in self._waited(self._run(asked, partial(Scale, None), urgent=True)):
            self._store.record_scale(missing[index], scale)
            known[missing[index]] = scale
        return known

    def screenings(self, formulas: Sequence[str]) -> Mapping[str, Screening]:
        """Return what workers say of formulas before they are trained; the caller records it."""
        asked = [ScreenRequest(formula, self._seed) for formula in formulas]
        return {formulas[index]: answer for index, answer in self._waited(self._run(asked, Screening, urgent=True))}

    def prepared(
        self, requests: Sequence[Request], over: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[Request, Any]]:
        """Yield (request, answer) of preparations as they come; no time limit holds for them.

        Where ``over`` says True, what is at work is abandoned, and not answered.

        Raises:
            LostTrainingError: if memory ran out or the worker was killed, twice.
        """
        for index, answer in self._waited(self._run(requests, _lost_twice, limited=False, gate=Gate(over=over))):
            yield requests[index], answer

    def _evaluated(
        self, missing: Sequence[Question], allowance: Allowance
    ) -> Iterator[tuple[Question, Score, str] | None]:
        """Measure scales, then train seed by seed, the longest first; a tree without a scale fails without training.

        None where nothing has answered since.
        """
        places = {seed: place for place, seed in enumerate(dict.fromkeys(one.trial.seed for one in missing))}
        missing = sorted(
            missing, key=lambda one: (places[one.trial.seed], -self._forecast.seconds(one.trial, one.distiller))
        )
        measured = self.scales([formula for one in missing for formula in one.distiller.uncalibrated])
        asked: list[Question] = []
        requests: list[Trial] = []
        for one in missing:
            scales = {formula: measured[formula] for formula in one.distiller.uncalibrated}
            failed = next((scale for scale in scales.values() if not scale.ok), None)
            if failed is not None:
                yield one, Score.failed(failed.failure or "", failed.detail, failed.wall_seconds), ""
                continue
            resolved = one.distiller.with_scales({formula: scale.value or 0.0 for formula, scale in scales.items()})
            asked.append(one)
            requests.append(replace(one.trial, distiller=resolved.text))
        packs = self._packing(requests)
        trials = [[asked[i].trial for i in pack] for pack in packs]
        self._untrained |= dict.fromkeys(one.trial for one in asked)
        self._tell_waiting()
        for found in self._run(
            [_request([requests[i] for i in pack]) for pack in packs],
            Score.failed,
            gate=Gate(lambda number: allowance.begin(trials[number]), allowance.over),
            lost=lambda number: allowance.lost(trials[number]),
        ):
            if found is None:
                yield None
                continue
            number, answer = found
            self._trained(trials[number])
            scores = answer if isinstance(answer, list) else [answer]
            for index, score in zip(packs[number], scores, strict=True):
                if score is not None:
                    yield asked[index], score, requests[index].distiller
        self._trained([one.trial for one in asked])

    def _trained(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            self._untrained.pop(trial, None)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        self._listener.waiting([trial.distiller for trial in islice(self._untrained, _SHOWN)])

    def _run(
        self,
        requests: Sequence[Request],
        fail: Callable[..., Any],
        *,
        limited: bool = True,
        gate: Gate = OPEN,
        lost: Callable[[int], None] = lambda index: None,
        urgent: bool = False,
    ) -> Iterator[tuple[int, Any] | None]:
        """Yield (index, answer) as they come; what hit a limit is tried once more, by itself, if time is left.

        None where nothing has answered since. ``fail`` makes an answer of the second fault: of its ``failure``,
        ``detail`` and ``wall_seconds``.
        """
        if not requests:
            return
        self._interrupt.check()
        executor = self._executor = self._executor or self._make()
        again, answered = [], 0
        # Preparations may take hours: a request to stop abandons them at once.
        with self._interrupt.graceful(executor.drain) if limited else nullcontext():
            for found in self._tried(executor, requests, limited, gate, urgent):
                if found is None:
                    yield None
                    continue
                index, answer = found
                answered += 1
                if isinstance(answer, Fault):
                    again.append(index)
                    lost(index)
                else:
                    yield index, answer
            if answered < len(requests):
                self._interrupt.check()
            for index in sorted(again):
                second = Gate(lambda _, index=index: gate.begin(index), gate.over)  # type: ignore[misc]
                answer = yield from self._alone(executor, requests[index], fail, limited, second)
                if answer is not None:
                    yield index, answer
            self._interrupt.check()

    def _alone(
        self,
        executor: Executor,
        request: Request,
        fail: Callable[..., Any],
        limited: bool,
        gate: Gate,
    ) -> Generator[None, None, Any]:
        """Try once more what hit a limit; the candidates of a pack one by one, None for what there was no time for."""
        if isinstance(request, PackRequest):
            answers = []
            for trial in request.trials:
                answers.append((yield from self._alone(executor, trial, fail, limited, gate)))
            return answers
        self._interrupt.check()
        for found in self._tried(executor, [request], limited, gate, urgent=True):
            if found is None:
                yield None
                continue
            _, answer = found
            if isinstance(answer, Fault):
                return fail(failure=answer.kind, detail=answer.detail, wall_seconds=answer.wall_seconds)
            return answer
        self._interrupt.check()
        return None

    def _tried(
        self, executor: Executor, requests: Sequence[Request], limited: bool, gate: Gate, urgent: bool = False
    ) -> Iterator[tuple[int, Any] | None]:
        """Yield (index, answer, or the fault of a limit) as they come; raise what stops the run."""
        patience = max(map(self._patience, requests))
        with executor.begin(requests, limited=limited, patience=patience, gate=gate, urgent=urgent) as work:
            while True:
                ended, answers = work.ended, work.take()
                for index, answer in answers:
                    if isinstance(answer, UserError):
                        raise answer
                    if isinstance(answer, Fault) and answer.kind == "error":
                        raise EvaluatorError(answer.detail)
                    yield index, answer
                if ended:
                    return
                yield None

    def _patience(self, request: Request) -> float:
        """Return how many times a candidate's time limit a request has: a final round trains longer, and tests."""
        if isinstance(request, PackRequest):
            return sum(map(self._patience, request.trials))
        if not isinstance(request, Trial) or not self._steps:
            return 1.0
        return max(1.0, request.iterations / self._steps) * (2.0 if request.test else 1.0)

    @property
    def usage(self) -> Usage:
        """Return how well the workers were used so far."""
        return self._executor.usage if self._executor is not None else Usage()


def _request(trials: Sequence[Trial]) -> Request:
    return trials[0] if len(trials) == 1 else PackRequest(tuple(trials))


def _lost_twice(failure: str, detail: str, wall_seconds: float) -> None:
    remedy = "free some memory or use fewer workers, then start again: what is finished is kept"
    raise LostTrainingError(f"a preparing training was lost twice: {failure} ({detail}); {remedy}")
