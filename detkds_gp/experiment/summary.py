"""What a work directory has found, read from its store alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.errors import FormulaError, StoreError
from detkds_gp.gain import Interval, paired_gain
from detkds_gp.language import NONE, Distiller, PrimitiveSet, load_primitive_set, parse_distiller
from detkds_gp.score import Score, Trial
from detkds_gp.store import Birth, Store

TEACHER = Trial("teacher", 0, 0, test=True)
"""The question whose answer is the teacher's own AP."""


@dataclass(frozen=True)
class Ranked:
    """A distiller of the search with its score.

    Attributes:
        distiller: with its scales.
        text: as the search calls it, scales left out.
        birth: where it came from.
        score: on the selection split.
    """

    distiller: Distiller
    text: str
    birth: Birth
    score: Score


class Summary:
    """Reads a store.

    Args:
        store: of a started experiment.
        primitive_set: its grammar.

    Raises:
        StoreError: if nothing was started there.
    """

    def __init__(self, store: Store, primitive_set: PrimitiveSet) -> None:
        fingerprint = store.fingerprint()
        if fingerprint is None:
            raise _nothing(store)
        self._store = store
        self.primitive_set = primitive_set
        self.config: Mapping[str, Any] = fingerprint["config"]
        proxy, verdict = self.config["proxy"], self.config["verdict"]
        self.iterations: int = proxy["iterations"]
        self.verdict_iterations: int = verdict["iterations"] or self.iterations
        self.verdict_seeds: Sequence[int] = verdict["seeds"]
        self.baseline_seeds: Sequence[int] = self.config["baseline_seeds"]

    def trial(self, text: str) -> Trial:
        """Return the search's question about a distiller."""
        return Trial(text, self.iterations, self.baseline_seeds[0])

    def verdict_trials(self, text: str) -> list[Trial]:
        """Return the verdict's questions about a distiller: one for each seed."""
        return [Trial(text, self.verdict_iterations, seed, test=True) for seed in self.verdict_seeds]

    def ranking(self) -> list[Ranked]:
        """Return every scored distiller of the search, best first; equal APs by cost, then by age.

        Raises:
            FormulaError: if the primitive set is not the one searched.
        """
        resolved = {r.trial: r for r in self._store.scores() if not r.trial.test}
        found = []
        for birth in self._store.births():
            record = resolved.get(self.trial(birth.text))
            if record is not None and record.score.ok:
                distiller = parse_distiller(record.resolved, self.primitive_set)
                found.append(Ranked(distiller, birth.text, birth, record.score))
        return sorted(found, key=lambda ranked: (-(ranked.score.ap or 0.0), ranked.distiller.cost))

    def champions(self, ranking: Sequence[Ranked]) -> dict[str, Ranked]:
        """Return the best formula of every knowledge, in the set's order."""
        best: dict[str, Ranked] = {}
        for ranked in ranking:
            if len(ranked.distiller.terms) == 1 and ranked.birth.stage == "divide":
                best.setdefault(ranked.birth.niche, ranked)
        return {niche: best[niche] for niche in self.primitive_set.niches if niche in best}

    def verdict(self, text: str) -> tuple[list[float | None], Interval | None]:
        """Return a distiller's test APs by verdict seed, and its gain once both sides are complete."""
        treated, baseline = self._verdict_aps(text), self._verdict_aps(NONE)
        if not treated or not baseline or None in treated or None in baseline:
            return treated, None
        return treated, paired_gain([ap or 0.0 for ap in treated], [ap or 0.0 for ap in baseline])

    def _verdict_aps(self, text: str) -> list[float | None]:
        """Return the test AP of every verdict seed, None where there is none; empty while none is known."""
        scores = [self._store.score(trial) for trial in self.verdict_trials(text)]
        return [s.test_ap if s is not None else None for s in scores] if any(scores) else []

    def to_json(self) -> dict[str, Any]:
        """Return the contract of ``gp_search show --json``; what is not known yet is null or empty.

        APs are in [0, 1]; a training of the verdict that failed has null in its seed's place.
        """
        ranking = self.ranking()
        teacher = self._store.score(TEACHER)
        baseline = [self._store.score(Trial(NONE, self.iterations, seed)) for seed in self.baseline_seeds]
        return {
            "teacher": {
                "test_ap": teacher.test_ap if teacher else None,
                "selection_ap": teacher.ap if teacher else None,
            },
            "baseline": {
                "test_ap": self._verdict_aps(NONE),
                "selection_ap": [score.ap for score in baseline if score is not None and score.ok],
            },
            "best": self._best(ranking[0]) if ranking else None,
            "niches": {niche: self._champion(ranked) for niche, ranked in self.champions(ranking).items()},
            "counts": self._counts(),
            "wall_seconds": self._wall_seconds(),
        }

    def _champion(self, ranked: Ranked) -> dict[str, Any]:
        test_ap, gain = self.verdict(ranked.text)
        return {
            "formula": ranked.distiller.text,
            "selection_ap": ranked.score.ap,
            "test_ap": test_ap,
            "gain": gain.to_json() if gain else None,
        }

    def _best(self, ranked: Ranked) -> dict[str, Any]:
        test_ap, gain = self.verdict(ranked.text)
        return {
            **ranked.distiller.to_json(),
            "selection_ap": ranked.score.ap,
            "test_ap": test_ap,
            "gain": gain.to_json() if gain else None,
        }

    def _counts(self) -> dict[str, int]:
        counts = {"generated": 0, "duplicates": 0, "rejected": 0, "trained": 0, "failed": 0}
        for generation in self._store.generations():
            counts |= {name: generation.counts[name] for name in counts}
        return counts

    def _wall_seconds(self) -> dict[str, float]:
        stages = {birth.text: birth.stage for birth in self._store.births()}
        seconds: dict[str, float] = defaultdict(float)
        for record in self._store.scores():
            kind = "verdict" if record.trial.test else stages.get(record.trial.distiller, "baseline")
            seconds["teacher" if record.trial == TEACHER else kind] += record.score.wall_seconds
        times = [event.time for event in self._store.events()]
        times += [record.finished_at for record in self._store.scores()[-1:]]
        seconds["since_start"] = max(times) - times[0] if times else 0.0
        return {name: round(value, 1) for name, value in seconds.items()}


@contextmanager
def opened(work_dir: Path, primitive_set: str | None = None) -> Iterator[Summary]:
    """Open a work directory for reading; the grammar is the recorded one unless another is named.

    Raises:
        StoreError: if there is no readable store, nothing was started there, or with another grammar.
        DeclarationError: if the grammar cannot be loaded.
    """
    with Store.open(work_dir, readonly=True) as store:
        recorded = store.fingerprint()
        if recorded is None:
            raise _nothing(store)
        reference = primitive_set or recorded["config"]["primitive_set"]
        grammar = load_primitive_set(reference)
        try:
            yield Summary(store, grammar)
        except FormulaError as error:
            if grammar.fingerprint() == recorded["primitive_set"]:
                raise
            got = f"{store.path} was searched with another set than {reference} ({error})"
            raise StoreError(f"{got}; name it with --set module:NAME") from error


def _nothing(store: Store) -> StoreError:
    return StoreError(f"{store.path} holds no experiment yet; start one with gp_search run")
