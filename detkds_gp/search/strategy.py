"""Strategies: what decides which distillers are trained next. One class, one registration or ``module:NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from deap import tools

from detkds_gp.errors import DeclarationError
from detkds_gp.language import Distiller, PrimitiveSet
from detkds_gp.language.loading import load_class
from detkds_gp.score import MIX, Score
from detkds_gp.screening import Screener
from detkds_gp.search.individual import Candidate, Individual
from detkds_gp.search.settings import STRATEGIES, SearchSettings


@dataclass(frozen=True)
class Generation:
    """Candidates that a strategy will ask for together.

    Attributes:
        stage: name of the part of the search.
        number: 0 for the first of its stage.
        niches: in which new candidates are made.
        size: new candidates of each niche, at most.
        needed: whether a search without it has no result; a budget leaves out the others.
    """

    stage: str
    number: int
    niches: tuple[str, ...]
    size: int
    needed: bool = False

    @property
    def mixes(self) -> bool:
        """Whether its candidates combine knowledges."""
        return self.niches == (MIX,)

    @property
    def what(self) -> str:
        """What its size counts, in words."""
        return "mixes" if self.mixes else "formulas of each knowledge"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**vars(self), "niches": list(self.niches), "what": self.what}

    def at_most(self, size: int) -> Generation:
        """Return the generation with fewer candidates."""
        return replace(self, size=min(size, self.size))


_ATTRIBUTES = ("primitive_set", "best", "hall_of_fame", "logbook", "counts")
_METHODS = ("start_with", "ask", "tell", "plan", "inject", "resize", "end")


class Strategy(Protocol):
    """Proposes candidates and learns from their scores.

    A deterministic function of what it is made with and told: the same scores in the order asked give the same
    candidates, whoever computed them and when. `run_search` calls it; so do replays of a store.

    It may have ``expected`` besides, by text (expected AP, its standard deviation) of its best: leader, finalists and
    report then go by these in place of the scores.
    """

    primitive_set: PrimitiveSet

    def __init__(
        self, primitive_set: PrimitiveSet, settings: SearchSettings, seed: int = 0, *, screen: Screener
    ) -> None:
        """Make a fresh search.

        Args:
            primitive_set: the grammar.
            settings: sizes, limits, ``options`` of a strategy of one's own.
            seed: fixes every random choice.
            screen: says which formulas are not worth a training, and which are the same loss.
        """

    def start_with(self, distillers: Sequence[Distiller]) -> None:
        """Let formulas of one tree each join the first candidates of their knowledge; call this before `ask`."""

    def ask(self) -> list[Candidate]:
        """Return the next candidates whose scores are wanted, in order.

        Empty when the search is over, and when nothing can follow before those that were asked are told. They share
        stage and generation, which no later ones have; no text is asked twice. What `screen` rejects, or finds to be
        the same loss as another, is not worth asking for.
        """

    def tell(self, scores: Sequence[Score]) -> None:
        """Take the scores of the earliest candidates that were asked together and not told, in their order."""

    def plan(self) -> list[Generation]:
        """Return what follows the candidates last asked, at the sizes of the settings; empty where nothing does.

        Before the first `ask` that is everything; at least one generation is ``needed``: a budget leaves out others.

        Budgets, the time left and the length of the final round are computed from it.
        """

    def inject(self, distiller: Distiller) -> None:
        """Let a distiller from outside join the candidates that the next `ask` makes."""

    def resize(self, most: int) -> None:
        """Make at most so many new candidates of a niche from the next generation on."""

    def end(self, what: Literal["stage", "search"] = "search") -> None:
        """End the running stage, or the search, with the candidates last asked."""

    @property
    def best(self) -> Individual | None:
        """The individual with the highest AP so far; None while nothing succeeded."""

    @property
    def hall_of_fame(self) -> tools.HallOfFame:
        """The best individuals so far, best first; each has ``distiller`` and ``fitness``."""

    @property
    def logbook(self) -> tools.Logbook:
        """One record per stage, generation and niche.

        With ``new``, ``generated``, ``duplicates``, ``merged``, ``rejected``, ``failed``, and, where something
        succeeded, ``best``, ``median`` and ``spread`` of the AP.
        """

    @property
    def counts(self) -> dict[str, int]:
        """Distillers ``generated``, ``duplicates``, ``rejected``, ``trained`` and ``failed`` so far."""


def make_strategy(primitive_set: PrimitiveSet, settings: SearchSettings, seed: int, screen: Screener) -> Strategy:
    """Make the strategy that the settings name.

    Raises:
        DeclarationError: the name is unknown, or what is named lacks a method of `Strategy`.
        ConfigError: the settings allow no formula.
    """
    strategy: Strategy = strategy_class(settings.strategy)(primitive_set, settings, seed, screen=screen)
    missing = [name for name in _ATTRIBUTES if not hasattr(strategy, name)]
    if missing:
        raise DeclarationError(f"search.strategy {settings.strategy!r} has no {', '.join(missing)}; see `Strategy`")
    if not any(generation.needed for generation in strategy.plan()):
        raise DeclarationError(f"search.strategy {settings.strategy!r} plans no generation that is needed; see `plan`")
    return strategy


def strategy_class(name: str) -> type[Strategy]:
    """Return the class of a strategy.

    Args:
        name: one of `STRATEGIES`, or ``module:NAME``.

    Raises:
        DeclarationError: the name is unknown, or what is named lacks a method of `Strategy`.
    """
    found: type[Strategy] = load_class(name, STRATEGIES, _METHODS, "search.strategy", "Strategy")
    return found
