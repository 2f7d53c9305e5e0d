"""What the final round says, read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from detkds_gp.gain import Interval, complete_gain
from detkds_gp.language import NONE
from detkds_gp.results.finalist import LEFT, Finalist
from detkds_gp.results.leaderboard import complete_mean, winner
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_CUT, FINAL_HELD, FINAL_PLANNED, FINAL_RACED


@dataclass(frozen=True)
class Judged:
    """What the final round says of one formula.

    Attributes:
        finalist: who.
        formula: its text with the scales it was trained with; as the store calls it while nothing is known.
        seeds: that it is trained on; of who dropped out of the race, those of the race until then.
        selection_aps: on the selection split by seed, None where a training failed or is still to come; empty while
            none is known.
        test_aps: the same on the test split.
        failures: the names of what went wrong in those of its trainings that failed.
        gain: of AP on test over the student alone, None until everyone is judged, or where a training failed.
        selection_gain: the same on selection, by which the winner was chosen.
        lead: of who dropped out: of the race's winner over it, on test and on its seeds, which chose the winner and so
            flatter it; None where a training failed, or before two seeds.
        training_time: of its trainings that did not fail, in times the student alone's on the same seeds, as the
            clock measured both; None while none is known.
    """

    finalist: Finalist
    formula: str
    seeds: Sequence[int] = ()
    selection_aps: tuple[float | None, ...] = ()
    test_aps: tuple[float | None, ...] = ()
    failures: tuple[str, ...] = ()
    gain: Interval | None = None
    selection_gain: Interval | None = None
    lead: Interval | None = None
    training_time: float | None = None

    @property
    def selection_mean(self) -> float | None:
        """The mean AP on selection; None while it is incomplete."""
        return complete_mean(self.selection_aps)

    @property
    def optimism(self) -> float | None:
        """How much more the formula gains where the winner is chosen than on the test split."""
        if self.gain is None or self.selection_gain is None:
            return None
        return self.selection_gain.mean - self.gain.mean

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "test_ap": list(self.test_aps),
            "gain": _json(self.gain),
            "selection_gain": _json(self.selection_gain),
            "optimism": self.optimism,
        }

    def named_json(self) -> dict[str, Any]:
        """Return who it is, and its APs on selection, as plain JSON values."""
        named = {name: getattr(self.finalist, name) for name in ("role", "weighed", "weight")}
        told = {"selection_ap": list(self.selection_aps), "training_time": self.training_time}
        return {**named, "formula": self.formula, **told}


class Verdict:
    """Reads the final round of a store, as far as it has come.

    Attributes:
        seeds: that everyone is trained on, without those that a budget cut; empty before they are planned.
        iterations: the training steps of everyone; 0 before the plan is recorded.
        finalists: who is judged, the leader of the search first; empty before the final round begins.
        raced: the seeds of the race that came before; None where none was held, or it is not over.
    """

    def __init__(self, store: Store) -> None:
        planned, self._racing, self._held, cut = (
            next((event.detail for event in store.events(kind)), None)
            for kind in (FINAL_PLANNED, FINAL_RACED, FINAL_HELD, FINAL_CUT)
        )
        if self._held is not None:
            self._held = {**self._held, **(cut or {})}
        self._store = store
        known, held = self._held or planned or {}, self._held or {}
        self.seeds: Sequence[int] = known.get("seeds", ())
        self.iterations: int = known.get("iterations", 0)
        self.finalists = [Finalist(**values) for values in held.get("finalists", ())]
        self.raced: Sequence[int] | None = held.get("race")

    @property
    def dropped(self) -> list[Judged]:
        """Who dropped out of the race, who stayed longest first."""
        return [self._dropped(**values) for values in (self._held or {}).get("dropped", ())]

    def _dropped(self, seeds: Sequence[int], **who: Any) -> Judged:
        found = self._found(Finalist(**who), seeds)
        best = _aps(self._scores(self.finalists[0].text, seeds), "test_ap")
        return replace(found, lead=complete_gain(best, found.test_aps))

    @property
    def progress(self) -> tuple[int, int] | None:
        """Trainings of the final round that are answered and that it has; None before it begins, a race included."""
        if self._racing is None and self._held is None:
            return None
        judged = [trial for finalist in self.finalists for trial in self.trials(finalist.text)]
        racing = self._racing or {"finalists": (), "race": (), "sizes": (), "judging": ()}
        raced = [self._trial(one["text"], seed) for one in racing["finalists"] for seed in racing["race"]]
        before, after = (sum(self._store.score(trial) is not None for trial in trials) for trials in (raced, judged))
        if self._held is None:
            return before, sum(racing["sizes"]) + LEFT * len(racing["judging"])
        return before + after, before + len(judged)

    @property
    def alone(self) -> Judged:
        """The student alone."""
        return self.judged(Finalist(NONE, "student alone"))

    @cached_property
    def _over(self) -> bool:
        """Whether everyone is judged: no gain is told before."""
        return self.winner() is not None

    def trials(self, text: str) -> list[Trial]:
        """Return the questions about a distiller, one for each seed."""
        return [self._trial(text, seed) for seed in self.seeds]

    def complete_seeds(self, finalists: Sequence[Finalist]) -> list[int]:
        """Return the seeds on which some finalists are judged, the student alone too."""
        texts = [NONE, *(finalist.text for finalist in finalists)]
        known = [[self._store.score(trial) is not None for trial in self.trials(text)] for text in texts]
        return [seed for seed, *there in zip(self.seeds, *known, strict=True) if all(there)]

    def judged(self, finalist: Finalist) -> Judged:
        """Return what is known of a formula."""
        found = self._found(finalist, self.seeds)
        if not self._over or not found.test_aps:
            return found
        alone = self._scores(NONE, self.seeds)
        gain, on_selection = (
            complete_gain(ours, _aps(alone, side))
            for ours, side in ((found.test_aps, "test_ap"), (found.selection_aps, "ap"))
        )
        return replace(found, gain=gain, selection_gain=on_selection)

    def _found(self, finalist: Finalist, seeds: Sequence[int]) -> Judged:
        scores = self._scores(finalist.text, seeds)
        known = [score for score in scores if score is not None]
        resolved = [self._store.resolved(self._trial(finalist.text, seed)) for seed in seeds]
        return Judged(
            finalist,
            next((text for text in resolved if text), finalist.text),
            seeds,
            _aps(scores, "ap") if known else (),
            _aps(scores, "test_ap") if known else (),
            tuple(score.failure for score in known if score.failure is not None),
            training_time=_training_time(scores, self._scores(NONE, seeds)),
        )

    def winner(self) -> Finalist | None:
        """Return who won the race, or has the highest mean AP on selection; None until everyone is judged."""
        known = {finalist.text: finalist for finalist in self.finalists}
        best = winner({text: self._scores(text, self.seeds) for text in known}, raced=bool(self.raced))
        return None if best is None else known[best]

    def lead(self) -> tuple[Finalist, Interval] | None:
        """Return what the winner gains on test, on the same seeds, and over whom: the best published loss on selection.

        Where the winner is one itself, over the best that the search found; None where nobody of the other side was
        judged, or a training failed.
        """
        won = self.winner()
        others = [] if won is None else [one for one in self.finalists if bool(one.weighed) != bool(won.weighed)]
        other = max(map(self.judged, others), key=lambda one: one.selection_mean or 0.0, default=None)
        if won is None or other is None:
            return None
        gain = complete_gain(self.judged(won).test_aps, other.test_aps)
        return None if gain is None else (other.finalist, gain)

    def to_json(self) -> dict[str, Any] | None:
        """Return plain JSON values; None before the final round begins."""
        if self._held is None:
            return None
        told, alone, lead = [self.judged(finalist) for finalist in self.finalists], self.alone, self.lead()
        return {
            "seeds": self._held["seeds"],
            "iterations": self._held["iterations"],
            "reduced": self._held["reduced"],
            "race": self.raced,
            "dropped": [
                {**one.named_json(), "seeds": one.seeds, "test_ap": list(one.test_aps), "lead": _json(one.lead)}
                for one in self.dropped
            ],
            "lead": lead and {"role": lead[0].role, "weighed": lead[0].weighed, **lead[1].to_json()},
            "alone": {"selection_ap": list(alone.selection_aps), "test_ap": list(alone.test_aps)},
            "finalists": [{**one.named_json(), "failures": list(one.failures), **one.to_json()} for one in told],
        }

    def _trial(self, text: str, seed: int) -> Trial:
        return Trial(text, self.iterations, seed, test=True)

    def _scores(self, text: str, seeds: Sequence[int]) -> list[Score | None]:
        return [self._store.score(self._trial(text, seed)) for seed in seeds]


def _aps(scores: Sequence[Score | None], side: str) -> tuple[float | None, ...]:
    return tuple(getattr(score, side) if score else None for score in scores)


def _training_time(scores: Sequence[Score | None], alone: Sequence[Score | None]) -> float | None:
    both = [(one, other) for one, other in zip(scores, alone, strict=True) if one and other and one.ok and other.ok]
    seconds = [sum(score.wall_seconds for score in side) for side in zip(*both, strict=True)]
    return round(seconds[0] / seconds[1], 2) if both and seconds[1] > 0 else None


def _json(interval: Interval | None) -> Any:
    return interval.to_json() if interval is not None else None
