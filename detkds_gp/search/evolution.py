"""One stage of the search: (mu + lambda) evolution over niches that asks for scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median, pstdev
from typing import Any, Literal

from deap import tools

from detkds_gp.language import Distiller
from detkds_gp.score import Score
from detkds_gp.search.individual import Candidate, Individual, assign_fitness, same_text
from detkds_gp.search.screening import ScreeningCache
from detkds_gp.search.settings import StageSettings
from detkds_gp.search.toolbox import SeededToolbox

Asking = Generator[list[Candidate], list[Score], None]
Offspring = dict[Hashable, Individual]
"""The individuals of a generation in the making, by what they are trained as."""
Make = Callable[[Sequence[Individual]], Individual | None]
"""Makes an individual to stand beside others; None where none could be made."""


@dataclass
class Ledger:
    """What the whole search has asked and heard.

    Attributes:
        scores: by distiller text; rejections of the screening among them.
        screening_cache: knows which formulas are not worth a training, and which are the same loss.
        attempts: individuals in a row that may be known or rejected before a generation stays smaller.
        texts: of all individuals ever made.
        asked: what individuals were trained as.
        generated: individuals made in the generations told so far.
        duplicates: how many of them were known, by text or as the same loss, and dropped.
        logbook: one DEAP record per niche and generation.
        hall_of_fame: the best distillers of all stages.
        invited: distillers from outside that join the next generation.
        ending: ``stage`` or ``search``: what ends before the next generation.
        most: new individuals of a niche in a generation; None for as many as the settings say.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    screening_cache: ScreeningCache = field(default_factory=ScreeningCache)
    attempts: int = 60
    texts: set[str] = field(default_factory=set)
    asked: set[Hashable] = field(default_factory=set)
    generated: int = 0
    duplicates: int = 0
    logbook: tools.Logbook = field(default_factory=tools.Logbook)
    hall_of_fame: tools.HallOfFame = field(default_factory=partial(tools.HallOfFame, 50, same_text))
    invited: list[Distiller] = field(default_factory=list)
    ending: Literal["stage", "search"] | None = None
    most: int | None = None


@dataclass
class Stage:
    """One stage.

    Attributes:
        name: divide or conquer.
        niches: the sub-populations.
        settings: sizes.
        toolbox: ``fresh(niche, present)``, ``vary(members)``, ``survive(individuals, k)``; ``fresh`` and
            ``vary`` give an individual with its distiller, or None where none could be made; ``present``
            are those that the fresh one joins;
            ``welcome(distiller)`` gives the individuals that stand for one from outside.
        ledger: shared by all stages.
        seeds: individuals that join the first generation; those with a score are not asked again.
        one_weight: whether every loss survives at its best weight only, so that none fills its niche.
    """

    name: str
    niches: Sequence[str]
    settings: StageSettings
    toolbox: SeededToolbox
    ledger: Ledger
    seeds: Sequence[Individual] = ()
    one_weight: bool = False
    population: list[Individual] = field(default_factory=list)
    _generated: Counter[str] = field(default_factory=Counter)
    _duplicates: Counter[str] = field(default_factory=Counter)
    _merged: Counter[str] = field(default_factory=Counter)
    _rejected: dict[str, dict[str, Score]] = field(default_factory=dict)
    _injected: list[Individual] = field(default_factory=list)

    def run(self) -> Generator[list[Candidate], list[Score], list[Individual]]:
        """Evolve; yields the candidates of each generation and is sent their scores in that order.

        Returns:
            the last population: individuals with a fitness, niche by niche.
        """
        self._assign([seed for seed in self.seeds if seed.distiller.text in self.ledger.scores])
        for generation in range(self.settings.generations + 1):
            if self.ledger.ending is not None:
                break
            self._injected = [
                individual for distiller in self.ledger.invited for individual in self.toolbox.welcome(distiller)
            ]
            self.ledger.invited.clear()
            make = self._offspring if generation else self._first
            newcomers = [individual for niche in self.niches for individual in make(niche)]
            yield from self._evaluate(newcomers, generation)
            self._record(newcomers, generation)
        return self.population

    def _first(self, niche: str) -> list[Individual]:
        offspring: Offspring = {}
        self._admit_seeds(offspring, [seed for seed in self.seeds if seed.niche == niche and not seed.fitness.valid])
        size = self._at_most(self.settings.population - len(self._members(niche)))
        self._fill(offspring, size + self._admit_injected(offspring, niche), partial(self.toolbox.fresh, niche))
        return list(offspring.values())

    def _offspring(self, niche: str) -> list[Individual]:
        offspring: Offspring = {}
        size = self._at_most(self.settings.offspring) + self._admit_injected(offspring, niche)
        if members := self._members(niche):
            self._fill(offspring, size, lambda present: self.toolbox.vary(members))
        self._fill(offspring, size, partial(self.toolbox.fresh, niche))
        return list(offspring.values())

    def _at_most(self, size: int) -> int:
        return size if self.ledger.most is None else min(size, self.ledger.most)

    def _admit_seeds(self, offspring: Offspring, seeds: Sequence[Individual]) -> None:
        """Add the seeds of a niche to its offspring, in their order: all, or as many as a generation may have."""
        if self.ledger.most is None:
            self._admit(offspring, seeds)
            return
        for seed in seeds:
            if len(offspring) < self.ledger.most:
                self._admit(offspring, [seed])

    def _admit_injected(self, offspring: Offspring, niche: str) -> int:
        """Add the injected formulas of a niche to its offspring, beyond its size; returns how many."""
        return self._admit(offspring, [individual for individual in self._injected if individual.niche == niche])

    def _fill(self, offspring: Offspring, size: int, make: Make) -> None:
        """Fill offspring up with individuals never asked before; gives up after too many misses in a row."""
        misses = 0
        while len(offspring) < size and misses < self.ledger.attempts:
            drawn = self._drawn(size - len(offspring), make, list(offspring.values()))
            if not drawn:
                break
            misses = 0 if self._screen(offspring, drawn) else misses + len(drawn)

    def _drawn(self, count: int, make: Make, present: Sequence[Individual]) -> list[Individual]:
        """Make individuals of texts never seen before, to stand beside others; fewer after too many misses in a row."""
        drawn: list[Individual] = []
        misses = 0
        while len(drawn) < count and misses < self.ledger.attempts:
            individual = make([*present, *drawn])
            new = individual is not None and self._is_new(individual)
            if individual is not None and new:
                drawn.append(individual)
            misses = 0 if new else misses + 1
        return drawn

    def _is_new(self, individual: Individual) -> bool:
        """Count an individual; tells whether its text was never seen before."""
        self._generated[individual.niche] += 1
        known = individual.distiller.text in self.ledger.texts
        self._duplicates[individual.niche] += known
        self.ledger.texts.add(individual.distiller.text)
        return not known

    def _admit(self, offspring: Offspring, individuals: Iterable[Individual]) -> int:
        """Add to the offspring what is new and worth a training; returns how many."""
        return self._screen(offspring, [individual for individual in individuals if self._is_new(individual)])

    def _screen(self, offspring: Offspring, individuals: Sequence[Individual]) -> int:
        """Screen individuals of new texts; adds what is neither rejected nor known to be the same as another."""
        self.ledger.screening_cache.look_at([individual.distiller for individual in individuals])
        before = len(offspring)
        for individual in individuals:
            identity = self.ledger.screening_cache.identity(individual.distiller)
            rejection = self.ledger.screening_cache.rejection(individual.distiller)
            if rejection is not None:
                self._rejected.setdefault(individual.niche, {})[individual.distiller.text] = rejection
            elif identity in offspring or identity in self.ledger.asked:
                self._duplicates[individual.niche] += 1
                self._merged[individual.niche] += 1
            else:
                offspring[identity] = individual
        self.ledger.asked.update(offspring)
        return len(offspring) - before

    def _evaluate(self, newcomers: Sequence[Individual], generation: int) -> Asking:
        if newcomers:
            scores = yield [
                Candidate(new.distiller, self.name, new.niche, generation, new.parents) for new in newcomers
            ]
            texts = [new.distiller.text for new in newcomers]
            self.ledger.scores.update(zip(texts, scores, strict=True))
        self.ledger.hall_of_fame.update(self._assign(newcomers))

    def _assign(self, newcomers: Sequence[Individual]) -> list[Individual]:
        """Give the newcomers their fitness, let those that have one compete, and return these."""
        for individual in newcomers:
            assign_fitness(individual, self.ledger.scores[individual.distiller.text])
        scored = [individual for individual in newcomers if individual.fitness.valid]
        rivals = self._at_best_weight(self.population + scored)
        size = self.settings.population * len({individual.niche for individual in rivals})
        self.population = self.toolbox.survive(rivals, size)
        return scored

    def _at_best_weight(self, individuals: list[Individual]) -> list[Individual]:
        if not self.one_weight:
            return individuals
        best: dict[tuple[str, ...], Individual] = {}
        for individual in individuals:
            known = best.setdefault(self.ledger.screening_cache.losses(individual.distiller), individual)
            if individual.fitness > known.fitness:
                best[self.ledger.screening_cache.losses(individual.distiller)] = individual
        return list(best.values())

    def _members(self, niche: str) -> list[Individual]:
        return [individual for individual in self.population if individual.niche == niche]

    def _record(self, newcomers: Sequence[Individual], generation: int) -> None:
        statistics = tools.Statistics(lambda individual: individual.fitness.values[0])
        for name, reduce in (("best", max), ("median", median), ("spread", pstdev)):
            statistics.register(name, reduce)
        for niche in self.niches:
            members = self._members(niche)
            record: dict[str, Any] = statistics.compile(members) if members else {}
            new = [individual for individual in newcomers if individual.niche == niche]
            rejected = self._rejected.pop(niche, {})
            self.ledger.scores.update(rejected)
            failed = sum(not individual.fitness.valid for individual in new)
            self.ledger.logbook.record(
                stage=self.name, generation=generation, niche=niche, new=len(new), failed=failed,
                generated=self._generated[niche], duplicates=self._duplicates[niche],
                merged=self._merged[niche], rejected=len(rejected), **record,
            )  # fmt: skip
        self.ledger.generated += self._generated.total()
        self.ledger.duplicates += self._duplicates.total()
        self._generated.clear()
        self._duplicates.clear()
        self._merged.clear()
