"""What is decided from outside between two generations, recorded before it is obeyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from detkds_gp.errors import FormulaError
from detkds_gp.experiment.steering.inbox import Inbox
from detkds_gp.language import Distiller, parse_distiller
from detkds_gp.search import Search
from detkds_gp.store import Store

End = Literal["stage", "search"]


@dataclass(frozen=True)
class Decision:
    """What happens with a generation besides its scores.

    Attributes:
        injected: canonical texts of distillers that join the next generation.
        end: what ends with this generation.
        reason: of the end, in words.
        wishes: names of the wishes that are hereby granted or refused.
    """

    injected: tuple[str, ...] = ()
    end: End | None = None
    reason: str = ""
    wishes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Decision:
        """Read what ``vars`` of one gave."""
        return cls(tuple(values["injected"]), values["end"], values["reason"], tuple(values["wishes"]))

    def apply(self, search: Search) -> None:
        """Tell the search, before it is told the scores.

        Raises:
            FormulaError: an injected text does not fit the search's primitive set.
        """
        for text in self.injected:
            search.inject(parse_distiller(text, search.primitive_set))
        if self.end is not None:
            search.end(self.end)


def recorded_decision(store: Store, stage: str, number: int) -> Decision | None:
    """Return what was decided with a generation; None where nothing is known of it yet."""
    values = store.steering(stage, number)
    if values is not None:
        return Decision.from_json(values)
    return Decision() if store.generation(stage, number) is not None else None


class Steering:
    """Decides once with each generation: a replay repeats what is recorded.

    Args:
        store: open for writing.
        inbox: wishes of other processes.
        read: reads a formula as the search takes it.
        ends: says from (stage, number) whether the budget ends something, and why.
        say: takes a line of news.
    """

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        read: Callable[[str], Distiller],
        ends: Callable[[str, int], tuple[End | None, str]],
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._read = read
        self._ends = ends
        self._say = say

    def decide(self, stage: str, number: int, last: bool) -> Decision:
        """Return the decision with a generation, recorded.

        Args:
            stage: of the generation.
            number: of the generation.
            last: whether no generation is planned after it; wishes then come too late.
        """
        known = recorded_decision(self._store, stage, number)
        if known is not None:
            return known
        decision = self._fresh(stage, number, last)
        if decision != Decision():
            self._store.record_steering(stage, number, vars(decision))
            self._inbox.forget(*decision.wishes)
        if decision.end is not None:
            self._say(f"the {decision.end} ends with {stage} {number}: {decision.reason}")
        return decision

    def _fresh(self, stage: str, number: int, last: bool) -> Decision:
        if self._inbox.stop_wish() == "final":
            self._inbox.forget_stop()
            return Decision(end="search", reason="gp_search stop --final")
        end, reason = self._ends(stage, number)
        if last or end == "search":
            return Decision(end=end, reason=reason)
        granted = {name for decision in self._store.steerings() for name in decision["wishes"]}
        wishes = [wish for wish in self._inbox.wishes() if wish.name not in granted]
        injected = [text for wish in wishes if (text := self._canonical(wish.formula)) is not None]
        return Decision(tuple(injected), end, reason, tuple(wish.name for wish in wishes))

    def _canonical(self, formula: str) -> str | None:
        try:
            text = self._read(formula).text
        except FormulaError as error:
            self._say(f"not injected: {error}")
            return None
        self._say(f"injected: {text}")
        return text


def is_last(search: Search, stage: str, number: int) -> bool:
    """Tell whether the settings plan no generation after this one."""
    return stage == "conquer" and number >= search.settings.conquer.generations
