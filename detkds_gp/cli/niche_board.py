"""How every niche stands while a run goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from detkds_gp.report.outline import diversity
from detkds_gp.score import Score

_HEADS = ("niche", "best AP", "median", "spread", "diversity", "new", "known", "rejected", "failed")


@dataclass
class _Standing:
    """Counts and statistics of one niche."""

    best: float | None = None
    median: float | None = None
    spread: float | None = None
    diversity: float | None = None
    new: int = 0
    known: int = 0
    rejected: int = 0
    failed: int = 0


class NicheBoard:
    """Gathers what a listener hears, niche by niche."""

    def __init__(self) -> None:
        self._niches: dict[str, _Standing] = defaultdict(_Standing)

    def ask(self, candidates: Sequence[tuple[str, str]]) -> None:
        """Note the candidates of a generation: (niche, text)."""
        texts: dict[str, list[str]] = defaultdict(list)
        for niche, text in candidates:
            texts[niche].append(text)
        for niche, found in texts.items():
            self._niches[niche].diversity = diversity(found)

    def answer(self, niche: str, score: Score) -> None:
        """Count a score."""
        standing = self._niches[niche]
        standing.new += 1
        if score.failure is not None:
            rejected = score.failure.startswith("rejected")
            standing.rejected += rejected
            standing.failed += not rejected
        if score.ap is not None:
            standing.best = max(standing.best or 0.0, score.ap)

    def record(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the records of a finished generation."""
        for record in records:
            standing = self._niches[record["niche"]]
            standing.known += record["duplicates"]
            standing.best = record.get("best", standing.best)
            standing.median, standing.spread = record.get("median"), record.get("spread")

    def table(self) -> Table:
        """Return how every niche stands; what is unknown is empty."""
        table = Table(box=None, pad_edge=False)
        for head in _HEADS:
            table.add_column(head, justify="left" if head == "niche" else "right")
        for niche, one in list(self._niches.items()):  # another thread may draw while a niche comes in
            aps = ("" if value is None else f"{value:.3f}" for value in (one.best, one.median, one.spread))
            differing = "" if one.diversity is None else f"{one.diversity:.0%}"
            table.add_row(niche, *aps, differing, *map(str, (one.new, one.known, one.rejected, one.failed)))
        return table
