"""What a work directory has found, read from its store alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from detkds_gp.errors import FormulaError, StoreError
from detkds_gp.gain import verdict
from detkds_gp.language import NONE, Distiller, PrimitiveSet, load_primitive_set, make_distiller, parse_distiller
from detkds_gp.results import leaderboard
from detkds_gp.results.cut import cuts
from detkds_gp.results.finalist import Finalist
from detkds_gp.results.grammar import read_grammar
from detkds_gp.results.leaderboard import Expected, expected_aps
from detkds_gp.results.state import Clock, screening_counts
from detkds_gp.results.verdict import Verdict
from detkds_gp.score import TEACHER, Score, Trial
from detkds_gp.store import Birth, Store

if TYPE_CHECKING:
    from detkds_gp.noise import Noise


@dataclass(frozen=True)
class Ranked:
    """A distiller of the search with its score.

    Attributes:
        distiller: with its scales.
        text: as the search calls it, scales left out.
        birth: where it came from.
        score: on the selection split.
        expected: what the search expects of it, if it does.
    """

    distiller: Distiller
    text: str
    birth: Birth
    score: Score
    expected: Expected | None = None

    @property
    def ap(self) -> float | None:
        """On the selection split."""
        return self.score.ap

    @property
    def operations(self) -> int:
        """What a training step computes for the loss."""
        return self.distiller.cost

    @property
    def terms(self) -> int:
        """How many trees it adds."""
        return len(self.distiller.terms)


class Summary:
    """Reads the store of a started experiment.

    Raises:
        StoreError: if nothing was started there.
    """

    def __init__(self, store: Store, primitive_set: PrimitiveSet) -> None:
        self._store = store
        self.primitive_set = primitive_set
        self.config: Mapping[str, Any] = store.bound_to()["config"]
        self.iterations: int = self.config["proxy"]["iterations"]
        self.baseline_seeds: Sequence[int] = self.config["baseline_seeds"]

    @property
    def verdict(self) -> Verdict:
        """What the final round says so far."""
        return Verdict(self._store)

    @property
    def noise(self) -> Noise | None:
        """How much of the search's scores is luck, from all that is known by now; None before two seeds are."""
        from detkds_gp.noise import noise_of_trainings  # its quantiles take as long to import as all of this

        answers = ((record.trial, record.score) for record in self._store.scores())
        return noise_of_trainings(answers, self.iterations)

    def trial(self, text: str) -> Trial:
        """Return the search's question about a distiller."""
        return Trial(text, self.iterations, self.baseline_seeds[0])

    def ranking(self) -> list[Ranked]:
        """Return every scored distiller of the search, best first; equal APs by cost, then by age.

        Raises:
            FormulaError: if the primitive set is not the one searched.
        """
        resolved = {r.trial: r for r in self._store.scores() if not r.trial.test}
        found, expected = [], expected_aps(self._store)
        for birth in self._store.births():
            record = resolved.get(self.trial(birth.text))
            if record is not None and record.score.ok:
                distiller = parse_distiller(record.resolved, self.primitive_set)
                found.append(Ranked(distiller, birth.text, birth, record.score, expected.get(birth.text)))
        return leaderboard.ranked(found)

    def champions(self, ranking: Sequence[Ranked]) -> dict[str, Ranked]:
        """Return the best formula of every knowledge, in the set's order."""
        best = leaderboard.champions(ranking)
        return {niche: best[niche] for niche in self.primitive_set.niches if niche in best}

    def mix(self, ranking: Sequence[Ranked]) -> Distiller | None:
        """Return the best formula of every knowledge added up, each at the weight of the search; None of one alone.

        Scales are left out, as in what the search asks.
        """
        texts = [ranked.text for ranked in self.champions(ranking).values()]
        terms = [term for text in texts for term in parse_distiller(text, self.primitive_set).terms]
        return make_distiller(terms, self.primitive_set) if len(terms) > 1 else None

    def winner(self, ranking: Sequence[Ranked]) -> Ranked | None:
        """Return the winner, whom the final round chose; while it has chosen none, the leader of the search."""
        name = self.verdict.winner()
        if name is None:
            return ranking[0] if ranking else None
        found = next((ranked for ranked in ranking if ranked.text == name.text), None)
        return found or self._rival(name)

    @property
    def standing(self) -> str:
        """What the best is: the ``winner`` once the final round has chosen it, else the ``leader`` of the search."""
        return "leader" if self.verdict.winner() is None else "winner"

    def caption(self, ranked: Ranked) -> str:
        """Say in a line what is known of a distiller: its AP on test, its gain and the verdict once it is judged."""
        judged, alone = self.verdict.judged(Finalist(ranked.text, ranked.birth.niche)), self.verdict.alone
        if judged.gain is None:
            told = [ap for ap in judged.test_aps if ap is not None]
            seeds = f"{len(told)} seed{'s' * (len(told) > 1)} of the final round" if told else ""
            on_test = f"AP {fmean(told):.3f} on test, over {seeds}" if told else "not judged on test"
            return f"AP {ranked.score.ap:.3f} on selection in the search; {on_test}"
        ours, theirs = (fmean(ap for ap in one.test_aps if ap is not None) for one in (judged, alone))
        aps = f"AP {ours:.3f} on test, student alone {theirs:.3f}"
        return f"{aps}, gain {judged.gain} over {len(judged.test_aps)} seeds; {verdict(judged.gain)}"

    def _rival(self, finalist: Finalist) -> Ranked:
        judged = self.verdict.judged(finalist)
        distiller = parse_distiller(judged.formula, self.primitive_set)
        known = self._store.score(self.trial(finalist.text))
        score = known if known is not None and known.ok else Score(judged.selection_mean)
        return Ranked(distiller, finalist.text, Birth(finalist.text, "rival", finalist.role, 0, ()), score)

    def to_json(self) -> dict[str, Any]:
        """Return the contract of ``gp_search show --json``; what is not known yet is null or empty.

        APs are in [0, 1]; a training of the verdict that failed has null in its seed's place.
        """
        ranking = self.ranking()
        teacher = self._store.score(TEACHER)
        baseline = [self._store.score(Trial(NONE, self.iterations, seed)) for seed in self.baseline_seeds]
        alone = [score.ap for score in baseline if score is not None and score.ap is not None]
        verdict, winner = self.verdict, self.winner(ranking)
        return {
            "teacher": {
                "test_ap": teacher.test_ap if teacher else None,
                "selection_ap": teacher.ap if teacher else None,
            },
            "baseline": {"test_ap": list(verdict.alone.test_aps), "selection_ap": alone},
            "noise": self.noise.to_json() if self.noise is not None else None,
            "best": {**winner.distiller.to_json(), "standing": self.standing, **self._told(winner)} if winner else None,
            "niches": {
                niche: {"formula": ranked.distiller.text, **self._told(ranked)}
                for niche, ranked in self.champions(ranking).items()
            },
            "final": verdict.to_json(),
            "cut": cuts(self._store),
            "counts": self._counts(),
            "screening": screening_counts(self._store),
            "wall_seconds": self._wall_seconds(),
        }

    def rejections(self) -> dict[str, str]:
        """Return by formula why screening did not let it be trained, the last one first."""
        records = reversed(self._store.screenings())
        return {r.tree: f"{r.screening.failure}: {r.screening.detail}" for r in records if not r.screening.ok}

    def _told(self, ranked: Ranked) -> dict[str, Any]:
        judged = self.verdict.judged(Finalist(ranked.text, ranked.birth.niche))
        searched = self._store.score(self.trial(ranked.text))
        return {"selection_ap": searched.ap if searched is not None else None, **judged.to_json()}

    def _counts(self) -> dict[str, int]:
        """Return the counts of the finished generations, and of the unfinished one what is made and answered."""
        counts = {"generated": 0, "duplicates": 0, "rejected": 0, "trained": 0, "failed": 0}
        generations = self._store.generations()
        for generation in generations:
            counts |= {name: generation.counts[name] for name in counts}
        finished = {(generation.stage, generation.number) for generation in generations}
        for birth in self._store.births():
            if (birth.stage, birth.generation) not in finished:
                score = self._store.score(self.trial(birth.text))
                counts["generated"] += 1
                counts["trained"] += score is not None and score.ok
                counts["failed"] += score is not None and not score.ok
        return counts

    def _wall_seconds(self) -> dict[str, float]:
        stages = {birth.text: birth.stage for birth in self._store.births()}
        seconds: dict[str, float] = defaultdict(float)
        for record in (record for record in self._store.scores() if not record.extra):
            other = "baseline" if record.trial.distiller == NONE else "tuning"
            kind = "verdict" if record.trial.test else stages.get(record.trial.distiller, other)
            seconds["teacher" if record.trial == TEACHER else kind] += record.score.wall_seconds
        seconds["at_work"] = Clock(self._store).total
        return {name: round(value, 1) for name, value in seconds.items()}


@contextmanager
def opened(work_dir: Path, primitive_set: str | None = None) -> Iterator[Summary]:
    """Open a work directory for reading; the grammar is the recorded one unless another is named.

    Raises:
        StoreError: if there is no readable store, nothing was started there, or with another grammar.
        DeclarationError: if the grammar cannot be loaded.
    """
    with Store.open(work_dir, readonly=True) as store:
        recorded = store.bound_to()
        reference = primitive_set or recorded["config"]["primitive_set"]
        left = read_grammar(Path(work_dir)) if primitive_set is None else None
        grammar = left or load_primitive_set(reference)
        try:
            yield Summary(store, grammar)
        except FormulaError as error:
            if left is not None or grammar.fingerprint() == recorded["primitive_set"]:
                raise
            got = f"{store.path} was searched with another set than {reference} ({error})"
            raise StoreError(f"{got}; name it with --set module:NAME") from error
