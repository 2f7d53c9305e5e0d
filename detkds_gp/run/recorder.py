"""The recorder of a search: every birth and every generation goes into the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detkds_gp.listener import Listener
from detkds_gp.search import Candidate, Observer, Strategy
from detkds_gp.store import Store


class Recorder(Observer):
    """Records what a search asks and what it has learnt, and tells a listener of every generation."""

    def __init__(self, store: Store, listener: Listener) -> None:
        self.store = store
        self.listener = listener

    def asked(self, candidates: Sequence[Candidate]) -> None:
        """Record births with one commit: there may be a thousand."""
        with self.store.together():
            for c in candidates:
                self.store.record_birth(c.distiller.text, c.stage, c.niche, c.generation, c.parents)

    def told(self, strategy: Strategy, candidates: Sequence[Candidate], records: Sequence[Mapping[str, Any]]) -> None:
        """Record counts and statistics of a generation."""
        self.listener.generation(records)
        told = {text: list(values) for text, values in getattr(strategy, "expected", {}).items()}
        expected = {"expected": told} if told else {}
        first = candidates[0]
        self.store.record_generation(first.stage, first.generation, strategy.counts, {"niches": records, **expected})
