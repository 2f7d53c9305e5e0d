"""Decisions between two generations, recorded before they are obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from detkds_gp.language import parse_distiller
from detkds_gp.search import Strategy
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
