"""What the final round says, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from detkds_gp.experiment.results.final_round import Finalist
from detkds_gp.experiment.results.race import LEFT
from detkds_gp.gain import Interval, complete_gain
from detkds_gp.language import NONE
from detkds_gp.score import Score, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_CUT, FINAL_HELD, FINAL_PLANNED, FINAL_RACED
from detkds_gp.store.standing import winner


@dataclass(frozen=True)
class Judged:
    """What the final round says of one formula.

    Attributes:
        finalist: who.
        formula: its text with the scales it was trained with; as the store calls it while nothing is known.
        selection_aps: on the selection split, one AP for each seed that succeeded.
        test_aps: on the test split by seed, None where a training failed; empty while none is known.
        gain: of AP on test over the student alone, None until everyone is judged, or where a training failed.
        selection_gain: the same on selection, by which the winner was chosen.
        failures: the names of what went wrong in those of its trainings that failed.
    """

    finalist: Finalist
    formula: str
    selection_aps: list[float]
    test_aps: list[float | None]
    gain: Interval | None = None
    selection_gain: Interval | None = None
    failures: tuple[str, ...] = ()

    @property
    def optimism(self) -> float | None:
        """How much more the formula gains where the winner is chosen than on the test split."""
        if self.gain is None or self.selection_gain is None:
            return None
        return self.selection_gain.mean - self.gain.mean

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "test_ap": self.test_aps,
            "gain": self.gain.to_json() if self.gain else None,
            "selection_gain": self.selection_gain.to_json() if self.selection_gain else None,
            "optimism": self.optimism,
        }


@dataclass(frozen=True)
class Dropped:
    """A formula that dropped out of the race.

    Attributes:
        finalist: who.
        formula: its text with the scales it was trained with.
        seeds: on which it was trained.
        selection_aps: by seed, by which it dropped out; None where a training failed.
        test_aps: the same on the test split.
        lead: of the race's winner over it, on test and on these seeds, which chose the winner and so flatter it; None
            where a training failed, or before two seeds.
    """

    finalist: Finalist
    formula: str
    seeds: list[int]
    selection_aps: list[float | None]
    test_aps: list[float | None]
    lead: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        named = {name: getattr(self.finalist, name) for name in ("role", "weighed", "weight")}
        lead = self.lead.to_json() if self.lead else None
        found = {"selection_ap": self.selection_aps, "test_ap": self.test_aps, "lead": lead}
        return {**named, "formula": self.formula, "seeds": self.seeds, **found}


class Verdict:
    """Reads the final round of a store, as far as it has come.

    Args:
        store: of a started experiment.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._planned = next((event.detail for event in store.events(FINAL_PLANNED)), None)
        self._racing = next((event.detail for event in store.events(FINAL_RACED)), None)
        self._held = next((event.detail for event in store.events(FINAL_HELD)), None)
        if self._held is not None and (cut := store.events(FINAL_CUT)):
            self._held = {**self._held, "seeds": cut[0].detail["seeds"]}

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds that everyone is trained on, those that a budget cut left out; empty before they are planned."""
        return (self._held or self._planned or {"seeds": ()})["seeds"]

    @property
    def iterations(self) -> int:
        """The training steps of everyone; 0 before the plan is recorded."""
        return (self._held or self._planned or {"iterations": 0})["iterations"]

    @property
    def places(self) -> int:
        """How many formulas are judged, or planned to be."""
        return len(self.finalists) if self._held else (self._planned or {"places": 0})["places"]

    @property
    def finalists(self) -> list[Finalist]:
        """Who is judged, the leader of the search first; empty before the final round begins."""
        return [Finalist(**values) for values in (self._held or {"finalists": ()})["finalists"]]

    @property
    def raced(self) -> Sequence[int] | None:
        """The seeds of the race that came before; None where none was held, or it is not over."""
        return (self._held or {}).get("race")

    @property
    def dropped(self) -> list[Dropped]:
        """Who dropped out of the race, who stayed longest first."""
        return [self._dropped(values) for values in (self._held or {}).get("dropped", ())]

    def _dropped(self, values: Mapping[str, Any]) -> Dropped:
        seeds: list[int] = values["seeds"]
        finalist = Finalist(**{name: value for name, value in values.items() if name != "seeds"})
        its, best = (
            [self._store.score(Trial(text, self.iterations, seed, test=True)) for seed in seeds]
            for text in (finalist.text, self.finalists[0].text)
        )
        resolved = [self._store.resolved(Trial(finalist.text, self.iterations, seed, test=True)) for seed in seeds]
        formula = next((text for text in resolved if text), finalist.text)
        aps = _aps(its, "test_ap")
        return Dropped(finalist, formula, seeds, _aps(its, "ap"), aps, complete_gain(_aps(best, "test_ap"), aps))

    @property
    def progress(self) -> tuple[int, int] | None:
        """Trainings of the final round that are answered and that it has; None before it begins, a race included."""
        if self._racing is None and self._held is None:
            return None
        judged = [trial for finalist in self.finalists for trial in self.trials(finalist.text)]
        racing = self._racing or {"finalists": (), "race": (), "sizes": (), "judging": ()}
        raced = [Trial(one["text"], self.iterations, seed, test=True)
                 for one in racing["finalists"] for seed in racing["race"]]  # fmt: skip
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
        plan = self._held or self._planned
        return [Trial(text, plan["iterations"], seed, test=True) for seed in plan["seeds"]] if plan else []

    @property
    def complete_seeds(self) -> list[int]:
        """The seeds on which everyone is judged, the student alone too."""
        texts = [NONE, *(finalist.text for finalist in self.finalists)]
        known = [[self._store.score(trial) is not None for trial in self.trials(text)] for text in texts]
        return [seed for seed, *there in zip(self.seeds, *known, strict=True) if all(there)]

    def judged(self, finalist: Finalist) -> Judged:
        """Return what is known of a formula."""
        scores, alone = self._scores(finalist.text), self._scores(NONE)
        known = [score for score in scores if score is not None]
        sides = ("test_ap", "ap")
        gain, on_selection = (
            complete_gain(_aps(scores, side), _aps(alone, side)) if self._over else None for side in sides
        )
        return Judged(
            finalist,
            self._resolved(finalist.text),
            [score.ap for score in known if score.ap is not None],
            _aps(scores, "test_ap") if known else [],
            gain,
            on_selection,
            tuple(score.failure for score in known if score.failure is not None),
        )

    def winner(self) -> Finalist | None:
        """Return who won the race, or has the highest mean AP on selection; None until everyone is judged."""
        known = {finalist.text: finalist for finalist in self.finalists}
        best = winner({text: self._scores(text) for text in known}, raced=bool(self.raced))
        return None if best is None else known[best]

    def to_json(self) -> dict[str, Any] | None:
        """Return plain JSON values; None before the final round begins."""
        if self._held is None:
            return None
        table = [self.judged(finalist) for finalist in self.finalists]
        return {
            "seeds": self._held["seeds"],
            "iterations": self._held["iterations"],
            "reduced": self._held["reduced"],
            "race": self.raced,
            "dropped": [dropped.to_json() for dropped in self.dropped],
            "alone": {"selection_ap": self.alone.selection_aps, "test_ap": self.alone.test_aps},
            "finalists": [
                {
                    "role": j.finalist.role,
                    "weighed": j.finalist.weighed,
                    "weight": j.finalist.weight,
                    "formula": j.formula,
                    "selection_ap": j.selection_aps,
                    "failures": list(j.failures),
                    **j.to_json(),
                }
                for j in table
            ],
        }

    def _scores(self, text: str) -> list[Score | None]:
        return [self._store.score(trial) for trial in self.trials(text)]

    def _resolved(self, text: str) -> str:
        return next((found for trial in self.trials(text) if (found := self._store.resolved(trial))), text)


def _aps(scores: Sequence[Score | None], side: str) -> list[float | None]:
    return [getattr(score, side) if score else None for score in scores]
