"""From a store to the values that a report draws."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.errors import StoreError
from detkds_gp.gain import Interval, paired_gain
from detkds_gp.language import NONE
from detkds_gp.report.explanation import explanation
from detkds_gp.report.run import RIVAL, Candidate, Judged, References, Run, Rung
from detkds_gp.score import Score, Trial
from detkds_gp.store import Birth, Event, ScoreRecord, Store, writer_of
from detkds_gp.store.events import FINAL_HELD, FINAL_PLANNED, FINISHED, STARTED, explaining

TEACHER = "teacher"


def collect(work_dir: str | Path) -> Run:
    """Read a work directory, of a finished run or of one that goes on; nothing is written.

    Raises:
        StoreError: there is no readable store, or nothing was started there.
    """
    with Store.open(work_dir, readonly=True) as store:
        fingerprint = store.fingerprint()
        if fingerprint is None:
            raise StoreError(f"{store.path} holds no experiment yet; start one with gp_search run")
        return _Reading(store, fingerprint, Path(work_dir)).run()


class _Reading:
    def __init__(self, store: Store, fingerprint: Mapping[str, Any], work_dir: Path) -> None:
        self.fingerprint, self.work_dir = fingerprint, work_dir
        config = fingerprint["config"]
        self.seed = config["baseline_seeds"][0]
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
        for event in self.events:
            if event.kind in (FINAL_PLANNED, FINAL_HELD):
                self.verdict_seeds, self.verdict_iterations = event.detail["seeds"], event.detail["iterations"]
                self.finalists = {one["text"]: one["role"] for one in event.detail.get("finalists", ())}
        self.generations, self.merges, self.screenings = store.generations(), store.merges(), store.screenings()

    def run(self) -> Run:
        candidates = self.candidates()
        ranking = ranked(candidates)
        champions = self.champions(ranking)
        winner = self.winner(ranking)
        return Run(
            name=self.work_dir.resolve().name,
            work_dir=self.work_dir,
            state=self.state(),
            fingerprint=self.fingerprint,
            references=self.references(),
            candidates=tuple(candidates),
            ranking=tuple(ranking),
            winner=winner,
            champions={niche: self.judged(best) for niche, best in champions.items()},
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
            if record.trial.distiller in born and record.trial.seed == self.seed and not record.trial.test:
                trained[record.trial.distiller].append(record)
        made = [_candidate(birth, trained[birth.text], self.clock) for birth in self.births]
        order = sorted((c for c in made if c.rungs), key=lambda c: c.hours)  # stable: the order of birth
        numbers = {c.text: number for number, c in enumerate(order, 1)}
        return [replace(c, number=numbers.get(c.text, 0)) for c in made]

    def champions(self, ranking: Iterable[Candidate]) -> dict[str, Candidate]:
        best: dict[str, Candidate] = {}
        for candidate in ranking:
            if candidate.birth.stage == "divide":
                best.setdefault(candidate.birth.niche, candidate)
        return best

    def references(self) -> References:
        teacher = next((s for trial, s in self.answers.items() if trial.distiller == TEACHER), None)
        alone = [t for t in self.answers if t.distiller == NONE and not t.test and t.seed in self.baseline_seeds]
        longest = max((trial.iterations for trial in alone), default=0)
        known = [self.answers[trial].ap for trial in alone if trial.iterations == longest]
        return References(
            teacher.ap if teacher else None,
            teacher.test_ap if teacher else None,
            tuple(ap for ap in known if ap is not None),
            self.test_aps(NONE),
        )

    def winner(self, ranking: Sequence[Candidate]) -> Judged | None:
        """Return who has the highest mean AP on selection in the final round; before it is over, the leader."""
        scores = {text: self.judging(text) for text in self.finalists}
        complete = {text: [s.ap for s in found if s is not None and s.ap is not None] for text, found in scores.items()}
        means = {text: fmean(aps) for text, aps in complete.items() if len(aps) == len(self.verdict_seeds)}
        if not means or any(None in found for found in scores.values()):
            return self.judged(ranking[0]) if ranking else None
        best = max(means, key=lambda text: means[text])
        known = next((candidate for candidate in ranking if candidate.text == best), None)
        return self.judged(known or self.rival(best, means[best]))

    def rival(self, text: str, ap: float) -> Candidate:
        """Return a finalist that the search did not find."""
        resolved = next((r.resolved for r in self.records if r.trial.distiller == text and r.trial.test), "")
        birth = Birth(text, RIVAL, self.finalists[text], 0, ())
        return Candidate(birth, (Rung(self.verdict_iterations, ap),), resolved=resolved)

    def judging(self, text: str) -> list[Score | None]:
        """Return a distiller's scores on the verdict's seeds."""
        trials = [Trial(text, self.verdict_iterations, seed, test=True) for seed in self.verdict_seeds]
        return [self.answers.get(trial) for trial in trials]

    def test_aps(self, text: str) -> tuple[float | None, ...]:
        scores = self.judging(text)
        return tuple(s.test_ap if s is not None else None for s in scores) if any(scores) else ()

    def judged(self, candidate: Candidate) -> Judged:
        aps = self.test_aps(candidate.text)
        return Judged(candidate, aps, complete_gain(aps, self.test_aps(NONE)))


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort those with an AP: the longest trained first, then by AP; fewer operations decide between equals."""
    scored = [candidate for candidate in candidates if candidate.ap is not None]
    return sorted(scored, key=lambda c: (-c.iterations, -(c.ap or 0.0), c.operations))


def complete_gain(treated: Sequence[float | None], baseline: Sequence[float | None]) -> Interval | None:
    """Return the paired gain; None unless both sides are known on every seed."""
    ours, theirs = ([ap for ap in side if ap is not None] for side in (treated, baseline))
    if len(ours) < 2 or len(ours) != len(treated) or len(theirs) != len(baseline) or len(ours) != len(theirs):
        return None
    return paired_gain(ours, theirs)


def _candidate(birth: Birth, records: Sequence[ScoreRecord], clock: _Clock) -> Candidate:
    if not records:
        return Candidate(birth)
    records = sorted(records, key=lambda record: record.trial.iterations)
    rungs = tuple(Rung(record.trial.iterations, record.score.ap) for record in records)
    last = records[-1]
    hours = clock.hours(last.finished_at)
    return Candidate(birth, rungs, last.score.failure, last.score.detail, last.resolved, hours=hours)


class _Clock:
    """Turns Unix times into hours at work: the time between two sessions does not count."""

    def __init__(self, events: Sequence[Event], records: Sequence[ScoreRecord]) -> None:
        self._starts = [event.time for event in events if event.kind == STARTED]
        times = sorted([event.time for event in events] + [record.finished_at for record in records])
        self._before: list[float] = []
        self._ends: list[float] = []
        spent = 0.0
        for start, following in zip(self._starts, [*self._starts[1:], float("inf")], strict=True):
            last = times[bisect_left(times, following) - 1]
            self._before.append(spent)
            self._ends.append(max(start, last))
            spent += max(0.0, last - start)

    def hours(self, time: float) -> float:
        session = bisect_right(self._starts, time) - 1
        if session < 0:
            return 0.0
        within = min(time, self._ends[session]) - self._starts[session]
        return (self._before[session] + within) / 3600
