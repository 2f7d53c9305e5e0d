"""Replaying a search from its store alone, and comparing every generation with what was recorded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.evaluation import Question, candidates_to, starting
from detkds_gp.evaluation.halving import Halving
from detkds_gp.fitness import ProxySettings
from detkds_gp.results import Summary, opened
from detkds_gp.score import Scale, Score
from detkds_gp.screening import NotRecordedError, RecordedScreener, Screener, ScreeningSettings, pass_all
from detkds_gp.search import Candidate, Observer, SearchSettings, Strategy, make_strategy, run_search
from detkds_gp.setup.prepare import installed_versions
from detkds_gp.steering import recorded_decision
from detkds_gp.store import FIRST, ROUNDING, Birth, Store, differing
from detkds_gp.store.events import STARTED
from detkds_gp.turns import Turns

Place = tuple[str, int]


@dataclass(frozen=True)
class Verification:
    """What a replay has shown.

    Attributes:
        generations: that repeat themselves.
        distillers: asked in them.
        complete: whether the search came to its end; else it repeats as far as it got.
        differences: what does not repeat, each in one line; empty for a sound store.
    """

    generations: int
    distillers: int
    complete: bool
    differences: tuple[str, ...]


def verify(work_dir: str | Path, primitive_set: str | None = None) -> Verification:
    """Replay the search of a work directory; nothing is trained and nothing written.

    Raises:
        StoreError: there is no readable store, or nothing was started there.
        DeclarationError: the grammar cannot be loaded.
    """
    with Store.open(work_dir, readonly=True) as store:
        # the set itself, not the values that the run left of it: its code counts
        code = primitive_set or store.bound_to()["config"]["primitive_set"]
        with opened(Path(work_dir), code) as summary:
            return _Replay(store, summary).verification()


class _EndOfRecordError(Exception):
    """The record ends here."""


def _end() -> None:
    raise _EndOfRecordError


class _DifferenceError(Exception):
    """What the search does is not what is recorded."""


class _Replay(Observer):
    """A search that is told what is recorded, and compared with it generation by generation."""

    def __init__(self, store: Store, summary: Summary) -> None:
        self._store = store
        self._summary = summary
        starts = store.events(STARTED)
        dropped = starts[-1].detail.get("dropped", ()) if starts else ()  # the inputs that the search went without
        known = summary.primitive_set.declarations
        self._grammar = summary.primitive_set.without(*(name for name in dropped if name in known))
        self._births: dict[Place, list[Birth]] = defaultdict(list)
        for birth in store.births():
            self._births[birth.stage, birth.generation].append(birth)
        self._done: dict[Place, int] = {}
        self._untold: tuple[Sequence[Candidate], int] | None = None
        self._complete = False

    def verification(self) -> Verification:
        differences = [*self._surroundings(), *self._generations()]
        recorded = {(generation.stage, generation.number) for generation in self._store.generations()}
        if not differences and (missing := sorted(recorded - self._done.keys())):
            differences.append(f"{_named(missing[0])} is recorded but the search never comes to it")
        return Verification(len(self._done), sum(self._done.values()), self._complete, tuple(differences))

    def _surroundings(self) -> Iterator[str]:
        """Say what differs here from where the search ran, if that can change it."""
        recorded = self._store.fingerprint() or {}
        if recorded.get("primitive_set") not in (None, self._summary.primitive_set.fingerprint()):
            yield "the primitive set's code is not the recorded one"
        for name, version in installed_versions(("detkds_gp", "deap")).items():
            known = recorded.get("versions", {}).get(name, version)
            if known != version:
                yield f"{name} is {version} here, {known} in the record"

    def _generations(self) -> Iterator[str]:
        """Search; say what differs, as far as the record goes."""
        config = self._summary.config
        settings, proxy = SearchSettings.model_validate(config["search"]), ProxySettings.recorded(config["proxy"])
        screened = ScreeningSettings.model_validate(config["screening"]).active
        screen: Screener = RecordedScreener(self._store, self._grammar) if screened else pass_all
        strategy = make_strategy(self._grammar, settings, config["seed"], screen)
        try:
            try:
                strategy.start_with(starting(settings, self._grammar, self._scales, say=lambda line: None))
                evaluate = candidates_to(Halving(self, proxy), self._summary.trial)
                run_search(strategy, evaluate, self, settings.ahead)
                self._complete = True
            except NotRecordedError:  # the record ends while the next candidates are made; the last ones are complete
                if self._untold is not None:
                    candidates, logged = self._untold
                    self.told(strategy, candidates, [dict(record) for record in strategy.logbook[logged:]])
        except _DifferenceError as difference:
            yield str(difference)
        except _EndOfRecordError:
            return

    def _scales(self, formulas: Sequence[str]) -> Mapping[str, Scale]:
        known = {formula: scale for formula in formulas if (scale := self._store.scale(formula)) is not None}
        if len(known) < len(formulas):
            raise NotRecordedError("a scale is not recorded")
        return known

    def scoring(self, phase: str, questions: Sequence[Question]) -> Turns[list[Score]]:
        """Find what is recorded, as an evaluator of the search; whoever waits for what is not, is at the end."""
        scores = [score for one in questions if (score := self._store.score(one.trial)) is not None]
        while len(scores) < len(questions):
            yield _end
        return scores

    def begins(self, strategy: Strategy) -> None:
        if (first := recorded_decision(self._store, strategy.plan()[0].stage, FIRST)) is not None:
            first.apply(strategy)

    def asked(self, candidates: Sequence[Candidate]) -> None:
        place = _place(candidates)
        if self._births[place] == [_birth(candidate) for candidate in candidates]:
            return
        if self._births[place] or self._store.generation(*place):
            raise _DifferenceError(f"{_named(place)}: {_first_difference(candidates, self._births[place])}")
        raise _EndOfRecordError

    def answered(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        self._untold = candidates, len(strategy.logbook)

    def goes_on(self, strategy: Strategy, candidates: Sequence[Candidate]) -> None:
        decision = recorded_decision(self._store, *_place(candidates))
        if decision is None:
            raise _EndOfRecordError
        decision.apply(strategy)

    def told(self, strategy: Strategy, candidates: Sequence[Candidate], records: Sequence[Mapping[str, Any]]) -> None:
        self._untold, place = None, _place(candidates)
        if (generation := self._store.generation(*place)) is None:
            raise _EndOfRecordError
        told = json.loads(json.dumps({"counts": strategy.counts, "niches": list(records)}))
        recorded = {"counts": generation.counts, "niches": generation.statistics["niches"]}
        if any(differing(recorded, told, tolerance=ROUNDING)):
            raise _DifferenceError(f"{_named(place)}: its counts or statistics are not the recorded ones")
        self._done[place] = len(candidates)


def _birth(candidate: Candidate) -> Birth:
    return Birth(
        candidate.distiller.text, candidate.stage, candidate.niche, candidate.generation, tuple(candidate.parents)
    )


def _first_difference(candidates: Sequence[Candidate], births: Sequence[Birth]) -> str:
    for candidate, birth in zip(candidates, births, strict=False):
        if _birth(candidate) != birth:
            return f"asks {candidate.distiller.text!r}, recorded is {birth.text!r}"
    return f"asks {len(candidates)} distillers, recorded are {len(births)}"


def _place(candidates: Sequence[Candidate]) -> Place:
    return candidates[0].stage, candidates[0].generation


def _named(place: Place) -> str:
    return f"{place[0]} {place[1]}"
