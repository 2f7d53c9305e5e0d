"""Decisions between two generations, recorded before they are obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from detkds_gp.language import parse_distiller
from detkds_gp.search import Strategy
from detkds_gp.store import Store

End = Literal["stage", "search"]


@dataclass(frozen=True)
class Decision:
    """What happens between a generation that was asked and the next one.

    Attributes:
        injected: canonical texts of distillers that join the next generation.
        end: what ends with the generation that was asked.
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
        """Hand the decision to a strategy, before it makes the next generation.

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
    """Return what was decided after a generation was asked, or before the first; None if nothing was yet."""
    values = store.steering(stage, number)
    return None if values is None else Decision.from_json(values)
