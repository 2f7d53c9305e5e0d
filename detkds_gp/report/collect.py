"""From a store to the values that a report draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.language import NONE
from detkds_gp.noise import noise_of_trainings
from detkds_gp.report.explanation import album, explanation
from detkds_gp.report.run import RIVAL, Candidate, JudgedCandidate, References, Run, Rung
from detkds_gp.results import Clock, Finalist, Judged, Verdict, champions, cuts, expected_aps, ranked, state_of
from detkds_gp.score import TEACHER, Trial
from detkds_gp.store import Birth, ScoreRecord, Store
from detkds_gp.store.events import details

PICTURES = "pictures"
"""The folder of a work directory that holds what the students of the final round find."""


def collect(work_dir: str | Path) -> Run:
    """Read a work directory, of a finished run or of one that goes on; nothing is written.

    Raises:
        StoreError: there is no readable store, or nothing was started there.
    """
    with Store.open(work_dir, readonly=True) as store:
        return _Reading(store, Path(work_dir)).run()


class _Reading:
    def __init__(self, store: Store, work_dir: Path) -> None:
        self.store, self.work_dir = store, work_dir
        self.fingerprint: Mapping[str, Any] = store.bound_to()
        config = self.fingerprint["config"]
        self.whole: int = config["proxy"]["iterations"]
        self.baseline_seeds: Sequence[int] = config["baseline_seeds"]
        self.records, self.births, self.events = store.scores(), store.births(), store.events()
        self.verdict, self.clock = Verdict(store), Clock(store)

    def run(self) -> Run:
        candidates = self.candidates()
        ranking = ranked(one for one in candidates if not one.on_a_rung)
        found = {candidate.text: candidate for candidate in ranking}
        finalists = [self.judged(self.verdict.judged(one), found) for one in self.verdict.finalists]
        won = self.verdict.winner()
        winner = next((one for one in finalists if won is not None and one.candidate.text == won.text), None)
        if winner is None and ranking:
            winner = self.judged(self.told(ranking[0].text), found)
        own = [record for record in self.records if not record.extra]
        scales = [record.scale.wall_seconds for record in self.store.scales() if not record.extra]
        return Run(
            name=self.work_dir.resolve().name,
            work_dir=self.work_dir,
            state=state_of(self.store, self.work_dir),
            fingerprint=self.fingerprint,
            references=self.references(),
            candidates=tuple(candidates),
            ranking=tuple(ranking),
            winner=winner,
            won=won is not None,
            injected=tuple(text for told in self.store.steerings() for text in told.get("injected", ())),
            details=details(self.events),
            pictures=album(self.work_dir / PICTURES, winner=winner.candidate.text) if winner else (),
            champions={
                niche: self.judged(self.told(best.text, f"best of {niche}"), found)
                for niche, best in champions(ranking).items()
            },
            seeds=tuple(self.verdict.seeds),
            length=self.verdict.iterations,
            finalists=tuple(finalists),
            cut=tuple(cuts(self.store)),
            dropped=tuple(self.judged(one, found) for one in self.verdict.dropped),
            generations=tuple(self.store.generations()),
            merges=len(self.store.merges()),
            events=tuple(self.events),
            hours=self.clock.total / 3600,
            training_hours=sum([*(record.score.wall_seconds for record in own), *scales]) / 3600,
            rejections=tuple(record for record in self.store.screenings() if not record.screening.ok),
            explanation=explanation(self.events, winner, self.told, self.work_dir) if winner else None,
        )

    def candidates(self) -> list[Candidate]:
        """Join births with their trainings on the search's seed."""
        born = {birth.text for birth in self.births}
        trained: dict[str, list[ScoreRecord]] = defaultdict(list)
        for record in self.records:
            trial = record.trial
            asked = trial.seed == self.baseline_seeds[0] and not trial.test and trial.iterations <= self.whole
            if asked and trial.distiller in born:
                trained[trial.distiller].append(record)
        made = [self.candidate(birth, trained[birth.text]) for birth in self.births]
        order = sorted((c for c in made if c.rungs), key=lambda c: c.hours)  # stable: the order of birth
        numbers = {c.text: number for number, c in enumerate(order, 1)}
        expected = expected_aps(self.store)
        return [replace(c, number=numbers.get(c.text, 0), expected=expected.get(c.text)) for c in made]

    def candidate(self, birth: Birth, records: Sequence[ScoreRecord]) -> Candidate:
        if not records:
            return Candidate(birth)
        records = sorted(records, key=lambda record: record.trial.iterations)
        rungs = tuple(Rung(record.trial.iterations, record.score.ap) for record in records)
        last, score = records[-1], records[-1].score
        hours = self.clock.seconds(last.finished_at) / 3600
        on_a_rung = rungs[-1].iterations < self.whole
        return Candidate(birth, rungs, score.failure, score.detail, last.resolved, hours=hours, on_a_rung=on_a_rung)

    def references(self) -> References:
        teacher = self.store.score(TEACHER)
        alone = [self.store.score(Trial(NONE, self.whole, seed)) for seed in self.baseline_seeds]
        return References(
            teacher.ap if teacher else None,
            teacher.test_ap if teacher else None,
            tuple(score.ap for score in alone if score is not None and score.ap is not None),
            self.told(NONE).test_aps,
            noise_of_trainings(((record.trial, record.score) for record in self.records), self.whole),
        )

    def told(self, text: str, role: str = "") -> Judged:
        """Return what the final round says of a formula, whether or not it takes part."""
        return self.verdict.judged(Finalist(text, role))

    def judged(self, told: Judged, found: Mapping[str, Candidate]) -> JudgedCandidate:
        return JudgedCandidate(**vars(told), candidate=found.get(told.finalist.text) or self.rival(told))

    def rival(self, told: Judged) -> Candidate:
        """Return a finalist that the search did not find."""
        known = [ap for ap in told.selection_aps if ap is not None]
        birth = Birth(told.finalist.text, RIVAL, told.finalist.title, 0, ())
        rungs = (Rung(self.verdict.iterations, fmean(known)),) if known else ()
        return Candidate(birth, rungs, resolved=told.formula)
