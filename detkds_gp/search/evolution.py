"""One stage of the search: (mu + lambda) evolution over niches that asks for scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median, pstdev
from typing import Any, Literal

from deap import tools

from detkds_gp.language import Distiller
from detkds_gp.score import Score
from detkds_gp.search.individual import Candidate, Individual, assign_fitness
from detkds_gp.search.settings import StageSettings
from detkds_gp.search.toolbox import SeededToolbox

ATTEMPTS = 60

Asking = Generator[list[Candidate], list[Score], None]


@dataclass
class Ledger:
    """What the whole search has asked and heard.

    Attributes:
        scores: by distiller text.
        generated: individuals made in the generations told so far.
        duplicates: how many of them were known and dropped.
        logbook: one DEAP record per niche and generation.
        hall_of_fame: the best distillers of all stages.
        invited: distillers from outside that join the next generation.
        ending: ``stage`` or ``search``: what ends before the next generation.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    generated: int = 0
    duplicates: int = 0
    logbook: tools.Logbook = field(default_factory=tools.Logbook)
    hall_of_fame: tools.HallOfFame = field(default_factory=partial(tools.HallOfFame, 50))
    invited: list[Distiller] = field(default_factory=list)
    ending: Literal["stage", "search"] | None = None


@dataclass
class Stage:
    """One stage.

    Attributes:
        name: divide or conquer.
        niches: the sub-populations.
        settings: sizes.
        toolbox: ``fresh(niche)``, ``vary(members)``, ``survive(individuals, k)``; ``fresh`` and
            ``vary`` give an individual with its distiller, or None where none could be made;
            ``welcome(distiller)`` gives the individuals that stand for one from outside.
        ledger: shared by all stages.
        seeds: individuals that join the first generation; those with a score are not asked again.
    """

    name: str
    niches: Sequence[str]
    settings: StageSettings
    toolbox: SeededToolbox
    ledger: Ledger
    seeds: Sequence[Individual] = ()
    population: list[Individual] = field(default_factory=list)
    _generated: Counter[str] = field(default_factory=Counter)
    _duplicates: Counter[str] = field(default_factory=Counter)
    _guests: list[Individual] = field(default_factory=list)

    def run(self) -> Generator[list[Candidate], list[Score], list[Individual]]:
        """Evolve; yields the candidates of each generation and is sent their scores in that order.

        Returns:
            the last population: individuals with a fitness, niche by niche.
        """
        self._assign([seed for seed in self.seeds if seed.distiller.text in self.ledger.scores])
        for generation in range(self.settings.generations + 1):
            if self.ledger.ending is not None:
                break
            self._guests = [guest for distiller in self.ledger.invited for guest in self.toolbox.welcome(distiller)]
            self.ledger.invited.clear()
            make = self._offspring if generation else self._first
            newcomers = [individual for niche in self.niches for individual in make(niche)]
            yield from self._evaluate(newcomers, generation)
            self._record(newcomers, generation)
        return self.population

    def _first(self, niche: str) -> list[Individual]:
        brood: dict[str, Individual] = {}
        for seed in self.seeds:
            if seed.niche == niche and not seed.fitness.valid:
                self._admit(brood, seed)
        size = self.settings.population - len(self._members(niche)) + self._admit_guests(brood, niche)
        self._fill(brood, size, partial(self.toolbox.fresh, niche))
        return list(brood.values())

    def _offspring(self, niche: str) -> list[Individual]:
        brood: dict[str, Individual] = {}
        size = self.settings.offspring + self._admit_guests(brood, niche)
        if members := self._members(niche):
            self._fill(brood, size, partial(self.toolbox.vary, members))
        self._fill(brood, size, partial(self.toolbox.fresh, niche))
        return list(brood.values())

    def _admit_guests(self, brood: dict[str, Individual], niche: str) -> int:
        """Add the guests of a niche to its brood, beyond its size; returns how many."""
        return sum(self._admit(brood, guest) for guest in self._guests if guest.niche == niche)

    def _fill(self, brood: dict[str, Individual], size: int, make: Callable[[], Individual | None]) -> None:
        """Fill a brood up with individuals never asked before; gives up after ATTEMPTS misses."""
        misses = 0
        while len(brood) < size and misses < ATTEMPTS:
            individual = make()
            admitted = individual is not None and self._admit(brood, individual)
            misses = 0 if admitted else misses + 1

    def _admit(self, brood: dict[str, Individual], individual: Individual) -> bool:
        """Add an individual to the brood unless it is known; returns whether it was added."""
        self._generated[individual.niche] += 1
        text = individual.distiller.text
        known = text in brood or text in self.ledger.scores
        if known:
            self._duplicates[individual.niche] += 1
        else:
            brood[text] = individual
        return not known

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
        rivals = self.population + scored
        size = self.settings.population * len({individual.niche for individual in rivals})
        self.population = self.toolbox.survive(rivals, size)
        return scored

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
            failed = sum(not individual.fitness.valid for individual in new)
            self.ledger.logbook.record(
                stage=self.name, generation=generation, niche=niche, new=len(new), failed=failed,
                generated=self._generated[niche], duplicates=self._duplicates[niche], **record,
            )  # fmt: skip
        self.ledger.generated += self._generated.total()
        self.ledger.duplicates += self._duplicates.total()
        self._generated.clear()
        self._duplicates.clear()
