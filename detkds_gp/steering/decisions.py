"""Decisions between two generations, recorded before they are obeyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from detkds_gp.errors import FormulaError
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.search import Strategy
from detkds_gp.steering.inbox import Inbox
from detkds_gp.store import FIRST, Store

End = Literal["stage", "search"]


@dataclass(frozen=True)
class Decision:
    """What happens with a generation besides its scores.

    Attributes:
        injected: canonical texts of distillers that join the next generation.
        end: what ends with this generation.
        reason: of the end, in words.
        injections: names of the injections that are hereby granted or refused.
        most: new formulas that a niche has at most from now on; None: what was said before still holds.
    """

    injected: tuple[str, ...] = ()
    end: End | None = None
    reason: str = ""
    injections: tuple[str, ...] = ()
    most: int | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        """Read what ``vars`` of one gave."""
        injections, most = tuple(values.get("injections", ())), values.get("most")
        return cls(tuple(values["injected"]), values["end"], values["reason"], injections, most)

    def apply(self, strategy: Strategy) -> None:
        """Hand the decision to a strategy, before it is told the scores.

        Raises:
            FormulaError: an injected text does not fit the strategy's primitive set.
        """
        for text in self.injected:
            strategy.inject(parse_distiller(text, strategy.primitive_set))
        if self.most is not None:
            strategy.resize(self.most)
        if self.end is not None:
            strategy.end(self.end)


def recorded_decision(store: Store, stage: str, number: int) -> Decision | None:
    """Return what was decided with a generation, or before the first; None where nothing is known of it yet."""
    values = store.steering(stage, number)
    if values is not None:
        return Decision.from_json(values)
    passed = bool(store.births()) if number == FIRST else store.generation(stage, number) is not None
    return Decision() if passed else None


class Steering:
    """Decides once with each generation: a replay repeats what is recorded.

    Args:
        store: open for writing.
        inbox: commands of other processes.
        read: reads a formula as the search takes it.
        ending: says what the budget ends with the generation, why, and how large the next one may be.
        say: takes a line of news.
    """

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        read: Callable[[str], Distiller],
        ending: Callable[[], tuple[End | None, str, int | None]],
        say: Callable[[str], None],
    ) -> None:
        self.first: Sequence[str] = ()
        """Canonical texts of distillers that join the first generation."""
        self._store = store
        self._inbox = inbox
        self._read = read
        self._ending = ending
        self._say = say

    def decide(self, stage: str, number: int, last: bool) -> Decision:
        """Return the decision with a generation, recorded.

        Args:
            stage: of the generation.
            number: of the generation.
            last: whether no generation is planned after it; injections then come too late.
        """
        known = recorded_decision(self._store, stage, number)
        if known is not None:
            return known
        decision = self._fresh(stage, number, last)
        if decision != Decision():
            self._store.record_steering(stage, number, vars(decision))
            self._inbox.forget(*decision.injections)
        if decision.end is not None:
            self._say(f"the {decision.end} ends with {stage} {number}: {decision.reason}")
        return decision

    def _fresh(self, stage: str, number: int, last: bool) -> Decision:
        if number != FIRST and self._inbox.stop_command() == "final":
            self._inbox.forget_stop()
            return Decision(end="search", reason="gp_search stop --final")
        end, reason, most = self._ending()
        if last or end == "search" or number == FIRST:
            first = tuple(self.first) if number == FIRST else ()
            return Decision(first, end, reason, most=most)
        granted = {name for decision in self._store.steerings() for name in decision.get("injections", ())}
        injections = [injection for injection in self._inbox.injections() if injection.name not in granted]
        injected = [text for injection in injections if (text := self._canonical(injection.formula)) is not None]
        return Decision(tuple(injected), end, reason, tuple(injection.name for injection in injections), most)

    def _canonical(self, formula: str) -> str | None:
        try:
            text = self._read(formula).text
        except FormulaError as error:
            self._say(f"not injected: {error}")
            return None
        self._say(f"injected: {text}")
        return text
