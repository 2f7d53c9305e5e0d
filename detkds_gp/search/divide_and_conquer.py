"""Divide and conquer: the best formulas of every knowledge, then mixes of them; and searches that vary it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

from deap import tools

from detkds_gp.errors import ConfigError
from detkds_gp.language import Distiller, PrimitiveSet
from detkds_gp.score import MIX, Score
from detkds_gp.screening import Screener, ScreeningCache, pass_all
from detkds_gp.search.conquer import MixBreeder
from detkds_gp.search.divide import FormulaBreeder, niches_of
from detkds_gp.search.evolution import Stage
from detkds_gp.search.guide import Guide
from detkds_gp.search.individual import Candidate, Formula, Individual
from detkds_gp.search.ledger import Ledger
from detkds_gp.search.settings import SearchSettings, StageSettings
from detkds_gp.search.strategy import Generation
from detkds_gp.search.toolbox import SeededToolbox, select_divide_and_conquer

Operators: TypeAlias = Callable[[str, SeededToolbox], None]


class DivideAndConquer:
    """Genetic programming in two stages: ``divide`` evolves formulas of every knowledge, ``conquer`` mixes of the best.

    Args:
        primitive_set: the grammar; its niches are evolved side by side.
        settings: sizes, probabilities, objectives.
        seed: fixes every random choice.
        operators: called with each stage's name and toolbox before the stage starts, to register
            DEAP operators of one's own: ``mate``, ``mutate``, ``select``, ``survive``. They get
            copies, follow DEAP's conventions and may draw from the global `random`.
        screen: says which formulas are not worth a training, and which are the same loss.

    Attributes:
        champions: after the divide stage, by niche, its best formulas, best first, each at its best weight; a
            niche in which everything failed is left out.

    Raises:
        ConfigError: if ``max_depth`` allows no formula.
    """

    breeds = True
    """Whether offspring descend from what survived."""

    def __init__(
        self,
        primitive_set: PrimitiveSet,
        settings: SearchSettings,
        seed: int = 0,
        operators: Operators | None = None,
        screen: Screener = pass_all,
    ) -> None:
        self.primitive_set = primitive_set
        self.settings = settings
        self.champions: dict[str, list[Formula]] = {}
        self.done = False
        """Whether the last generation has been told."""
        self._ledger = Ledger(screening_cache=ScreeningCache(screen), attempts=settings.attempts)
        self._toolbox = partial(SeededToolbox, random.Random(seed))
        self._operators = operators or (lambda stage, toolbox: None)
        self._guide = self._made_guide(random.Random(f"guide/{seed}"))
        self._niches = niches_of(primitive_set, settings)
        self._planned = [
            *_generations("divide", tuple(self._niches), settings.divide),
            *_generations("conquer", (MIX,), settings.conquer),
        ]
        self._first: list[Distiller] = []
        self._stages = self._run()
        self._stage: Stage | None = None
        self._last: Candidate | None = None

    def _made_guide(self, rng: random.Random) -> Guide:
        """Make what says how good an individual counts as and which of a brood are trained."""
        return Guide()

    def _run(self) -> Iterator[Stage]:
        """Yield each stage when the one before it has ended, and is told."""
        divide = self._divide()
        yield divide
        self.champions = self._best_by_niche(divide.population)
        if self.champions and self._ledger.ending != "search":
            self._ledger.ending = None
            yield self._conquer()

    def _divide(self) -> Stage:
        """Make the stage that evolves the formulas of every niche side by side."""
        breeder = FormulaBreeder(self.primitive_set, self.settings, self._toolbox(), self.breeds)
        self._register("divide", breeder.toolbox)
        seeds, sizes = breeder.unlimited(self._first), self.settings.divide
        return Stage(
            "divide", self._niches, sizes, breeder.toolbox, self._ledger, seeds, one_weight=True, guide=self._guide
        )

    def _conquer(self) -> Stage:
        """Make the stage that evolves mixes, seeded with each single champion and the mix of the best."""
        champions = [list(members) for members in self.champions.values()]
        breeder = MixBreeder(self.primitive_set, self.settings, self._toolbox(), champions, self.breeds)
        seeds = breeder.seeds()
        self._register("conquer", breeder.toolbox)
        return Stage("conquer", [MIX], self.settings.conquer, breeder.toolbox, self._ledger, seeds, guide=self._guide)

    def _register(self, stage: str, toolbox: SeededToolbox) -> None:
        """Register what replaces a breeder's operators in a stage."""
        self._operators(stage, toolbox)

    def _best_by_niche(self, population: Sequence[Individual]) -> dict[str, list[Formula]]:
        niches: dict[str, list[Formula]] = {niche: [] for niche in self.primitive_set.niches}
        for individual in tools.selBest(population, len(population)):
            niches[individual.niche].append(individual)
        return {niche: best[: self.settings.champions] for niche, best in niches.items() if best}

    def start_with(self, distillers: Sequence[Distiller]) -> None:
        """Let the trees of some distillers join the first generation at their weights.

        They may break the limits of depth and size; what is bred from them may not.
        """
        self._first += distillers

    def plan(self) -> list[Generation]:
        """Return the generations after the one last asked, at the sizes that the settings plan."""
        if self.done:
            return []
        places = [(planned.stage, planned.number) for planned in self._planned]
        begun = 0 if self._last is None else places.index((self._last.stage, self._last.generation)) + 1
        return self._planned[begun:]

    def ask(self) -> list[Candidate]:
        """Return the next generation, bred from what is told by now.

        Empty when the search is over, or when a stage has to be told to its end before the next one begins.
        """
        if self._stage is None and not self.done:
            self._stage = next(self._stages)
        while self._stage is not None:
            candidates = self._stage.ask()
            if candidates:
                self._last = candidates[0]
                return candidates
            if self._stage.untold:
                return []
            self._go_on()
        return []

    def tell(self, scores: Sequence[Score]) -> None:
        """Give the scores of the earliest generation that was not told, in the order of its candidates.

        Raises:
            ConfigError: if nothing was asked or the number of scores differs.
        """
        if self._stage is None or not self._stage.untold:
            raise ConfigError(f"got {len(scores)} scores, wanted none; call ask() before tell()")
        asked = len(self._stage.untold[0].newcomers)
        if len(scores) != asked:
            raise ConfigError(f"got {len(scores)} scores, wanted {asked}, one for each candidate of an ask()")
        self._stage.tell(scores)
        if self._stage.ended and not self._stage.untold:
            self._go_on()

    def _go_on(self) -> None:
        self._stage = next(self._stages, None)
        self.done = self._stage is None

    def inject(self, distiller: Distiller) -> None:
        """Let a distiller from outside join the next generation, beyond its size.

        While formulas evolve, each of its trees joins its knowledge at its weight; while mixes do, its trees
        become champions and it becomes a mix of them. What is known already, or breaks the limits, is left out.
        Call this before the `ask` that makes the generation.
        """
        self._ledger.invited.append(distiller)

    def resize(self, most: int) -> None:
        """Let a niche have at most so many new individuals in each further generation, those from outside not counted.

        Call it before the `ask` that makes the next generation.

        Raises:
            ConfigError: it is below 1.
        """
        if most < 1:
            raise ConfigError(f"got {most} new individuals of a niche, wanted 1 or more")
        self._ledger.most = most

    def end(self, what: Literal["stage", "search"] = "search") -> None:
        """End the running stage, or the search, with the generation last asked; call this before the next `ask`."""
        self._ledger.ending = what

    @property
    def best(self) -> Individual | None:
        """The individual with the highest AP so far; None while nothing succeeded."""
        return self._ledger.hall_of_fame[0] if self._ledger.hall_of_fame else None

    @property
    def hall_of_fame(self) -> tools.HallOfFame:
        """The best individuals so far, best first; each has ``distiller`` and ``fitness``."""
        return self._ledger.hall_of_fame

    @property
    def logbook(self) -> tools.Logbook:
        """One record per stage, generation and niche."""
        return self._ledger.logbook

    @property
    def counts(self) -> dict[str, int]:
        """Distillers generated, dropped as duplicates, rejected, trained and failed so far.

        Duplicates are of equal text, or the same loss. Generations that were told count: generated = duplicates +
        rejected + trained + failed.
        """
        failures = [score.failure for score in self._ledger.scores.values() if score.failure]
        rejected = sum(failure.startswith("rejected") for failure in failures)
        return {
            "generated": self._ledger.generated,
            "duplicates": self._ledger.duplicates,
            "rejected": rejected,
            "trained": len(self._ledger.scores) - len(failures),
            "failed": len(failures) - rejected,
        }


class RandomSearch(DivideAndConquer):
    """The same grammar, sizes and stages; every candidate is drawn anew."""

    breeds = False


class RegularizedEvolution(DivideAndConquer):
    """Aging evolution: the oldest die, so that one lucky score does not stay for ever (Real et al., AAAI 2019).

    The stages and operators are those of `DivideAndConquer`. Tournaments still choose parents by their scores;
    champions are the best of all that were trained.
    """

    def _register(self, stage: str, toolbox: SeededToolbox) -> None:
        toolbox.register("survive", select_divide_and_conquer, select=youngest)
        super()._register(stage, toolbox)

    def _best_by_niche(self, population: Sequence[Individual]) -> dict[str, list[Formula]]:
        scored, best = self._ledger.scored, dict[tuple[str, ...], Individual]()
        for individual in tools.selBest(scored, len(scored)):
            best.setdefault(self._ledger.screening_cache.losses(individual.distiller), individual)
        return super()._best_by_niche(list(best.values()))


def youngest(individuals: Sequence[Any], k: int) -> list[Any]:
    """Select the last of individuals in the order in which they were born, as a DEAP operator."""
    return list(individuals[max(len(individuals) - k, 0) :])


def _generations(stage: str, niches: tuple[str, ...], sizes: StageSettings) -> list[Generation]:
    later = [Generation(stage, number, niches, sizes.offspring) for number in range(1, sizes.generations + 1)]
    return [Generation(stage, 0, niches, sizes.population, needed=True), *later]
