"""From a store to the values that a report draws."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.gain import complete_gain
from detkds_gp.language import NONE
from detkds_gp.noise import noise_of_trainings
from detkds_gp.report.album import album
from detkds_gp.report.explanation import explanation
from detkds_gp.report.run import RIVAL, Candidate, FinalRound, Judged, References, Run, Rung
from detkds_gp.score import Score, Trial
from detkds_gp.store import Birth, Event, ScoreRecord, Store, cuts, standing, writer_of
from detkds_gp.store.events import FINAL_CUT, FINAL_HELD, FINAL_PLANNED, FINISHED, REFUSED, STARTED, details, explaining

TEACHER = "teacher"
PICTURES = "pictures"
"""The folder of a work directory that holds what the students of the final round find."""


def collect(work_dir: str | Path) -> Run:
    """Read a work directory, of a finished run or of one that goes on; nothing is written.

    Raises:
        StoreError: there is no readable store, or nothing was started there.
    """
    with Store.open(work_dir, readonly=True) as store:
        return _Reading(store, store.bound_to(), Path(work_dir)).run()


class _Reading:
    def __init__(self, store: Store, fingerprint: Mapping[str, Any], work_dir: Path) -> None:
        self.fingerprint, self.work_dir = fingerprint, work_dir
        config = fingerprint["config"]
        self.seed = config["baseline_seeds"][0]
        self.whole: int = config["proxy"]["iterations"]
        self.baseline_seeds: Sequence[int] = config["baseline_seeds"]
        self.records = store.scores()
        self.answers: dict[Trial, Score] = {record.trial: record.score for record in self.records}
        self.births, self.events = store.births(), store.events()
        own = [record for record in self.records if not record.extra]
        scales = [record.scale.wall_seconds for record in store.scales() if not record.extra]
        self.training_seconds = sum([*(record.score.wall_seconds for record in own), *scales])
        self.clock = _Clock([event for event in self.events if not event.extra], own)
        self.verdict_seeds: Sequence[int] = ()
        self.verdict_iterations = 0
        self.finalists: dict[str, str] = {}
        self.dropped: dict[str, tuple[str, list[int]]] = {}
        self.race: Sequence[int] = ()
        for event in self.events:
            if event.kind in (FINAL_PLANNED, FINAL_HELD):
                self.verdict_seeds, self.verdict_iterations = event.detail["seeds"], event.detail["iterations"]
                self.finalists = {one["text"]: _title(one) for one in event.detail.get("finalists", ())}
                self.dropped = {one["text"]: (_title(one), one["seeds"]) for one in event.detail.get("dropped", ())}
                self.race = event.detail.get("race") or ()
            if event.kind == FINAL_CUT:
                self.verdict_seeds = event.detail["seeds"]
        self.cut = tuple(cuts(store))
        self.injected = tuple(text for told in store.steerings() for text in told.get("injected", ()))
        self.generations, self.merges, self.screenings = store.generations(), store.merges(), store.screenings()

    @cached_property
    def won_by(self) -> str | None:
        """The winner's text; None until everyone in the final round is judged: no gain is told before."""
        return standing.winner({text: self.judging(text) for text in self.finalists}, raced=bool(self.race))

    def run(self) -> Run:
        candidates = self.candidates()
        ranking = standing.ranked(one for one in candidates if not one.on_a_rung)
        champions = standing.champions(ranking)
        found = {candidate.text: candidate for candidate in ranking}
        finalists = {
            text: self.judged(found.get(text) or self.rival(text, role), role) for text, role in self.finalists.items()
        }
        winner = self.winner(ranking, finalists)
        return Run(
            name=self.work_dir.resolve().name,
            work_dir=self.work_dir,
            state=self.state(),
            fingerprint=self.fingerprint,
            references=self.references(),
            candidates=tuple(candidates),
            ranking=tuple(ranking),
            winner=winner,
            won=self.won_by is not None,
            injected=self.injected,
            details=details(self.events),
            pictures=album(self.work_dir / PICTURES, winner=winner.candidate.text) if winner else (),
            champions={niche: self.judged(best) for niche, best in champions.items()},
            final=FinalRound(tuple(self.verdict_seeds), self.verdict_iterations),
            finalists=tuple(finalists.values()),
            cut=self.cut,
            dropped=tuple(
                self.fallen(found.get(text) or self.rival(text, role)) for text, (role, _) in self.dropped.items()
            ),
            generations=tuple(self.generations),
            merges=len(self.merges),
            events=tuple(self.events),
            hours=self.clock.hours(float("inf")),
            training_hours=self.training_seconds / 3600,
            rejections=tuple(record for record in self.screenings if not record.screening.ok),
            explanation=explanation(self.events, winner, self.test_aps, self.work_dir) if winner else None,
        )

    def state(self) -> str:
        told = [event.kind for event in self.events if event.kind in (STARTED, FINISHED)]
        if told[-1:] == [FINISHED]:
            return "finished"
        running = writer_of(self.work_dir) is not None and not explaining(self.events)
        return "running" if running else "stopped"

    def candidates(self) -> list[Candidate]:
        """Join births with their trainings on the search's seed."""
        born = {birth.text for birth in self.births}
        trained: dict[str, list[ScoreRecord]] = defaultdict(list)
        for record in self.records:
            trial = record.trial
            asked = trial.seed == self.seed and not trial.test and trial.iterations <= self.whole
            if asked and trial.distiller in born:
                trained[trial.distiller].append(record)
        made = [_candidate(birth, trained[birth.text], self.clock, self.whole) for birth in self.births]
        order = sorted((c for c in made if c.rungs), key=lambda c: c.hours)  # stable: the order of birth
        numbers = {c.text: number for number, c in enumerate(order, 1)}
        return [replace(c, number=numbers.get(c.text, 0)) for c in made]

    def references(self) -> References:
        teacher = next((s for trial, s in self.answers.items() if trial.distiller == TEACHER), None)
        alone = [self.answers.get(Trial(NONE, self.whole, seed)) for seed in self.baseline_seeds]
        return References(
            teacher.ap if teacher else None,
            teacher.test_ap if teacher else None,
            tuple(score.ap for score in alone if score is not None and score.ap is not None),
            self.test_aps(NONE),
            noise_of_trainings(self.answers.items(), self.whole),
        )

    def winner(self, ranking: Sequence[Candidate], finalists: Mapping[str, Judged]) -> Judged | None:
        """Return who wins the final round; before it is over, the leader."""
        if self.won_by is not None:
            return finalists[self.won_by]
        return self.judged(ranking[0]) if ranking else None

    def rival(self, text: str, role: str) -> Candidate:
        """Return a finalist that the search did not find."""
        known = [score.ap for score in self.judging(text) if score is not None and score.ap is not None]
        resolved = next((r.resolved for r in self.records if r.trial.distiller == text and r.trial.test), "")
        birth = Birth(text, RIVAL, role, 0, ())
        rungs = (Rung(self.verdict_iterations, fmean(known)),) if known else ()
        return Candidate(birth, rungs, resolved=resolved)

    def judging(self, text: str) -> list[Score | None]:
        """Return a distiller's scores on the verdict's seeds; of one that dropped out, on those of the race."""
        return self._scores(text, self.dropped[text][1] if text in self.dropped else self.verdict_seeds)

    def _scores(self, text: str, seeds: Sequence[int]) -> list[Score | None]:
        return [self.answers.get(Trial(text, self.verdict_iterations, seed, test=True)) for seed in seeds]

    def fallen(self, candidate: Candidate) -> Judged:
        """Return what is known of who dropped out of the race."""
        role, seeds = self.dropped[candidate.text]
        best = [s.test_ap if s is not None else None for s in self._scores(next(iter(self.finalists)), seeds)]
        return replace(self.judged(candidate, role), gain=None, lead=complete_gain(best, self.test_aps(candidate.text)))

    def test_aps(self, text: str) -> tuple[float | None, ...]:
        scores = self.judging(text)
        return tuple(s.test_ap if s is not None else None for s in scores) if any(scores) else ()

    def judged(self, candidate: Candidate, role: str = "") -> Judged:
        aps, scores = self.test_aps(candidate.text), self.judging(candidate.text)
        selection = tuple(s.ap if s is not None else None for s in scores) if any(scores) else ()
        on_its_seeds = self.won_by is not None and candidate.text not in self.dropped
        gain = complete_gain(aps, self.test_aps(NONE)) if on_its_seeds else None
        failures = tuple(score.failure for score in scores if score is not None and score.failure is not None)
        return Judged(candidate, aps, gain, selection, role, failures)


def _candidate(birth: Birth, records: Sequence[ScoreRecord], clock: _Clock, whole: int) -> Candidate:
    if not records:
        return Candidate(birth)
    records = sorted(records, key=lambda record: record.trial.iterations)
    rungs = tuple(Rung(record.trial.iterations, record.score.ap) for record in records)
    last = records[-1]
    return Candidate(
        birth, rungs, last.score.failure, last.score.detail, last.resolved, hours=clock.hours(last.finished_at),
        on_a_rung=last.trial.iterations < whole,
    )  # fmt: skip


class _Clock:
    """Turns Unix times into hours at work, as `session_seconds` counts them."""

    def __init__(self, events: Sequence[Event], records: Sequence[ScoreRecord]) -> None:
        started = [event for event in events if event.kind == STARTED]
        self._starts = [event.time - event.detail.get("lead", 0.0) for event in started]
        times = sorted([event.time for event in events] + [record.finished_at for record in records])
        self._before: list[float] = []
        self._ends: list[float] = []
        spent = 0.0
        for start, following in zip(self._starts, [*self._starts[1:], float("inf")], strict=True):
            last = times[bisect_left(times, following) - 1]
            self._before.append(spent)
            self._ends.append(max(start, last))
            refused = any(event.kind == REFUSED and start <= event.time < following for event in events)
            spent += 0.0 if refused else max(0.0, last - start)

    def hours(self, time: float) -> float:
        session = bisect_right(self._starts, time) - 1
        if session < 0:
            return 0.0
        within = min(time, self._ends[session]) - self._starts[session]
        return (self._before[session] + within) / 3600


def _title(finalist: Mapping[str, Any]) -> str:
    """Return the role of a finalist, with what a rival's weight is and why."""
    return f"{finalist['role']} ({finalist['weighed']})" if finalist.get("weighed") else str(finalist["role"])
