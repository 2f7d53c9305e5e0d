"""Replaying a search from its store alone, and comparing every generation with what was recorded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.experiment.evaluation import Asked, Screener, UnheardError, entering, unheard
from detkds_gp.experiment.halving import climbing
from detkds_gp.experiment.prepare import installed_versions
from detkds_gp.experiment.steering import FIRST, recorded_decision
from detkds_gp.fitness import ProxySettings, ScreeningSettings
from detkds_gp.language import PrimitiveSet
from detkds_gp.results import Summary, opened
from detkds_gp.score import Scale, Score
from detkds_gp.search import Candidate, Search, SearchSettings
from detkds_gp.search.screening import pass_all
from detkds_gp.store import Birth, Store
from detkds_gp.store.events import STARTED

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


class _Replay:
    def __init__(self, store: Store, summary: Summary) -> None:
        self._store = store
        self._summary = summary
        self._grammar = summary.primitive_set.without(*_dropped(store, summary.primitive_set))
        self._births: dict[Place, list[Birth]] = defaultdict(list)
        for birth in store.births():
            self._births[birth.stage, birth.generation].append(birth)
        self._done: dict[Place, int] = {}
        self._complete = False

    def verification(self) -> Verification:
        differences = [*self._surroundings(), *self._generations()]
        recorded = {(generation.stage, generation.number) for generation in self._store.generations()}
        if not differences and (unheard := sorted(recorded - self._done.keys())):
            differences.append(f"{_named(unheard[0])} is recorded but the search never comes to it")
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
        try:
            yield from self._replayed()
        except UnheardError:  # not even the first generation was screened
            return

    def _search(self) -> Search:
        config = self._summary.config
        settings = SearchSettings.model_validate(config["search"])
        settings = entering(settings, self._grammar, self._scales, say=lambda line: None)
        screened = ScreeningSettings.model_validate(config["screening"]).active
        screen = Screener(self._store, self._grammar, unheard) if screened else pass_all
        return Search(self._grammar, settings, config["seed"], screen=screen)

    def _scales(self, formulas: Sequence[str]) -> Mapping[str, Scale]:
        known = {formula: scale for formula in formulas if (scale := self._store.scale(formula)) is not None}
        if len(known) < len(formulas):
            raise UnheardError("a scale is not recorded")
        return known

    def _replayed(self) -> Iterator[str]:
        search = self._search()
        if (first := recorded_decision(self._store, "divide", FIRST)) is not None:
            first.apply(search)
        while candidates := search.ask():
            place = candidates[0].stage, candidates[0].generation
            if self._births[place] != [_birth(candidate) for candidate in candidates]:
                if self._births[place] or self._store.generation(*place):
                    yield f"{_named(place)}: {_first_difference(candidates, self._births[place])}"
                return
            try:
                scores = self._scores(candidates)
            except _UnansweredError:
                return
            decision = recorded_decision(self._store, *place)
            if decision is None:
                return
            decision.apply(search)
            logged = len(search.logbook)
            heard = self._told(search, scores)
            told = {"counts": search.counts, "niches": [dict(record) for record in search.logbook[logged:]]}
            if (generation := self._store.generation(*place)) is None:
                return
            if _plain(told) != {"counts": generation.counts, "niches": generation.statistics["niches"]}:
                yield f"{_named(place)}: its counts or statistics are not the recorded ones"
                return
            self._done[place] = len(candidates)
            if not heard:
                return
        self._complete = True

    def _told(self, search: Search, scores: Sequence[Score]) -> bool:
        """Tell the search; whether it could make its next generation of what is recorded."""
        try:
            search.tell(scores)
        except UnheardError:
            return False
        return True

    def _scores(self, candidates: Sequence[Candidate]) -> list[Score]:
        return climbing(ProxySettings.recorded(self._summary.config["proxy"]), self._recorded)(
            "", [(self._summary.trial(c.distiller.text), c.distiller, c.niche) for c in candidates]
        )

    def _recorded(self, phase: str, asked: Asked) -> list[Score]:
        scores = [score for trial, *_ in asked if (score := self._store.score(trial)) is not None]
        if len(scores) < len(asked):
            raise _UnansweredError
        return scores


class _UnansweredError(Exception):
    """The record ends within a generation."""


def _dropped(store: Store, primitive_set: PrimitiveSet) -> list[str]:
    """Return the inputs that the search went without; recorded with every start."""
    starts = store.events(STARTED)
    names = starts[-1].detail.get("dropped", ()) if starts else ()
    return [name for name in names if name in primitive_set.declarations]


def _birth(candidate: Candidate) -> Birth:
    return Birth(
        candidate.distiller.text, candidate.stage, candidate.niche, candidate.generation, tuple(candidate.parents)
    )


def _first_difference(candidates: Sequence[Candidate], births: Sequence[Birth]) -> str:
    for candidate, birth in zip(candidates, births, strict=False):
        if _birth(candidate) != birth:
            return f"asks {candidate.distiller.text!r}, recorded is {birth.text!r}"
    return f"asks {len(candidates)} distillers, recorded are {len(births)}"


def _plain(values: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(values))


def _named(place: Place) -> str:
    return f"{place[0]} {place[1]}"
