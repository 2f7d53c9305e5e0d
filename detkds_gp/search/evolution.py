"""One stage of the search: (mu + lambda) evolution over niches that asks for scores."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median, pstdev
from typing import Any

from deap import tools

from detkds_gp.score import Score
from detkds_gp.search.guide import Brood, Guide
from detkds_gp.search.individual import Candidate, Individual, assign_fitness
from detkds_gp.search.ledger import Ledger
from detkds_gp.search.settings import StageSettings
from detkds_gp.search.toolbox import SeededToolbox

Offspring = dict[Hashable, Individual]
"""The individuals of a generation in the making, by what they are trained as."""
Make = Callable[[Sequence[Individual]], Individual | None]
"""Makes an individual to stand beside others; None where none could be made."""


@dataclass
class Made:
    """A generation that is made, and not told yet.

    Attributes:
        number: 0 for the first of its stage.
        newcomers: who is trained.
        counts: by niche, of the individuals ``generated``, ``duplicates`` and ``merged`` meanwhile.
        rejected: by niche and text, what the screening rejected.
    """

    number: int
    newcomers: list[Individual] = field(default_factory=list)
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rejected: defaultdict[str, dict[str, Score]] = field(default_factory=lambda: defaultdict(dict))


@dataclass
class Stage:
    """One stage. A generation may be made while the ones before it are trained; it is bred from what is told by then.

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
        guide: says what a score is worth, and which of a brood are trained.
        population: individuals with a fitness, niche by niche.
        untold: generations that were made and not told, the earliest first.
    """

    name: str
    niches: Sequence[str]
    settings: StageSettings
    toolbox: SeededToolbox
    ledger: Ledger
    seeds: Sequence[Individual] = ()
    one_weight: bool = False
    guide: Guide = field(default_factory=Guide)
    population: list[Individual] = field(default_factory=list)
    untold: deque[Made] = field(default_factory=deque)
    _number: int = 0
    _scored: list[Individual] = field(default_factory=list)
    _injected: list[Individual] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._assign([seed for seed in self.seeds if seed.distiller.text in self.ledger.scores])

    @property
    def ended(self) -> bool:
        """Whether no generation is made any more."""
        return self.ledger.ending is not None or self._number > self.settings.generations

    def ask(self) -> list[Candidate]:
        """Make the next generation in which anybody is trained, and return its candidates; empty when it has ended."""
        while not self.ended:
            made = self._make()
            if made.newcomers:
                return [
                    Candidate(new.distiller, self.name, new.niche, made.number, new.parents) for new in made.newcomers
                ]
            self._learn_of_nobody()
        return []

    def tell(self, scores: Sequence[Score]) -> None:
        """Take the scores of the earliest generation that was not told, in the order of its candidates."""
        texts = [new.distiller.text for new in self.untold[0].newcomers]
        self.ledger.scores.update(zip(texts, scores, strict=True))
        self._learn(self.untold.popleft())
        self._learn_of_nobody()

    def _learn_of_nobody(self) -> None:
        """Go on over generations in which nobody is trained: there is nothing to tell of them."""
        while self.untold and not self.untold[0].newcomers:
            self._learn(self.untold.popleft())

    def _make(self) -> Made:
        made = Made(self._number)
        self.untold.append(made)
        self._number += 1
        self._injected = [
            individual for distiller in self.ledger.invited for individual in self.toolbox.welcome(distiller)
        ]
        self.ledger.invited.clear()
        made.newcomers = self._chosen([self._brood(niche, made.number) for niche in self.niches])
        return made

    def _brood(self, niche: str, generation: int) -> Brood:
        """Breed for a generation, beside what is trained in any case: by variation of the members, the first anew."""
        offspring: Offspring = {}
        if generation:
            members, size = self._members(niche), self.settings.offspring
        else:
            self._admit_seeds(offspring, [one for one in self.seeds if one.niche == niche and not one.fitness.valid])
            members, size = [], self.settings.population - len(self._members(niche))
        size = self._at_most(size)
        size += self._admit(offspring, [individual for individual in self._injected if individual.niche == niche])
        given, free = len(offspring), max(size - len(offspring), 0)
        whole = given + free * self.guide.brood
        if members:
            varied = whole - int(free * self.guide.brood * self.guide.fresh)
            self._fill(offspring, varied, lambda present: self.toolbox.vary(members))
        self._fill(offspring, whole, partial(self.toolbox.fresh, niche))
        return Brood(list(offspring.values())[:given], list(offspring.values())[given:], free)

    def _chosen(self, broods: Sequence[Brood]) -> list[Individual]:
        """Return who is trained, niche by niche; what is not chosen may be made again."""
        chosen = {one.distiller.text for one in self.guide.choose(broods)}
        trained: list[Individual] = []
        for brood in broods:
            trained += brood.given
            for one in brood.bred:
                if one.distiller.text in chosen:
                    trained.append(one)
                else:
                    self._forget(one)
        return trained

    def _forget(self, individual: Individual) -> None:
        self.untold[-1].counts[individual.niche]["generated"] -= 1
        self.ledger.texts.discard(individual.distiller.text)
        self.ledger.asked.discard(self.ledger.identity(individual.distiller))

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
        self.untold[-1].counts[individual.niche]["generated"] += 1
        known = individual.distiller.text in self.ledger.texts
        self.untold[-1].counts[individual.niche]["duplicates"] += known
        self.ledger.texts.add(individual.distiller.text)
        return not known

    def _admit(self, offspring: Offspring, individuals: Iterable[Individual]) -> int:
        """Add to the offspring what is new and worth a training; returns how many."""
        return self._screen(offspring, [individual for individual in individuals if self._is_new(individual)])

    def _screen(self, offspring: Offspring, individuals: Sequence[Individual]) -> int:
        """Screen individuals of new texts; adds what is neither rejected nor known to be the same as another."""
        cache, before = self.ledger.screening_cache, len(offspring)
        cache.look_at([individual.distiller for individual in individuals])
        for individual in individuals:
            identity = self.ledger.identity(individual.distiller)
            rejection = cache.rejection(individual.distiller)
            if rejection is not None:
                self.untold[-1].rejected[individual.niche][individual.distiller.text] = rejection
            elif identity in offspring or identity in self.ledger.asked:
                self.untold[-1].counts[individual.niche]["duplicates"] += 1
                self.untold[-1].counts[individual.niche]["merged"] += 1
            else:
                offspring[identity] = individual
        self.ledger.asked.update(offspring)
        return len(offspring) - before

    def _learn(self, made: Made) -> None:
        """Give those whose scores are known their fitness, and record the generation."""
        scored = self._assign(made.newcomers)
        if self.guide.revises:
            self.ledger.hall_of_fame.clear()
        self.ledger.hall_of_fame.update(self.ledger.scored if self.guide.revises else scored)
        self._record(made)

    def _assign(self, newcomers: Sequence[Individual]) -> list[Individual]:
        """Give the newcomers their fitness, let those that have one compete, and return these."""
        for individual in newcomers:
            assign_fitness(individual, self.ledger.scores[individual.distiller.text])
        scored = [individual for individual in newcomers if individual.ap is not None]
        self.ledger.scored += scored
        self.guide.learn(self.ledger.scored)
        self._scored += scored
        rivals = self._at_best_weight(self._scored if self.guide.revises else self.population + scored)
        size = self.settings.population * len({individual.niche for individual in rivals})
        self.population = self.toolbox.survive(rivals, size)
        return scored

    def _at_best_weight(self, individuals: list[Individual]) -> list[Individual]:
        if not self.one_weight:
            return individuals
        best: dict[tuple[str, ...], Individual] = {}
        for individual in individuals:
            loss = self.ledger.screening_cache.losses(individual.distiller)
            if loss not in best or individual.fitness > best[loss].fitness:
                best[loss] = individual
        return list(best.values())

    def _members(self, niche: str) -> list[Individual]:
        return [individual for individual in self.population if individual.niche == niche]

    def _record(self, made: Made) -> None:
        statistics = tools.Statistics(lambda individual: individual.ap)
        for name, reduce in (("best", max), ("median", median), ("spread", pstdev)):
            statistics.register(name, reduce)
        for niche in self.niches:
            members = self._members(niche)
            record: dict[str, Any] = statistics.compile(members) if members else {}
            new = [individual for individual in made.newcomers if individual.niche == niche]
            rejected, counts = made.rejected[niche], made.counts[niche]
            self.ledger.scores.update(rejected)
            failed = sum(individual.ap is None for individual in new)
            counted = {name: counts[name] for name in ("generated", "duplicates", "merged")}
            self.ledger.logbook.record(
                stage=self.name, generation=made.number, niche=niche, new=len(new), failed=failed,
                **counted, rejected=len(rejected), **record, **self.guide.foreseen(new),
            )  # fmt: skip
            self.ledger.generated += counts["generated"]
            self.ledger.duplicates += counts["duplicates"]
