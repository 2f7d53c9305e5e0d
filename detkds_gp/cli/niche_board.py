"""How every niche stands while a run goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detkds_gp.report.outline import diversity
from detkds_gp.score import Score


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
        self._niches: dict[str, _Standing] = {}

    def ask(self, candidates: Sequence[tuple[str, str]]) -> None:
        """Note the candidates of a generation: (niche, text)."""
        texts: dict[str, list[str]] = defaultdict(list)
        for niche, text in candidates:
            texts[niche].append(text)
        for niche, found in texts.items():
            self._of(niche).diversity = diversity(found)

    def answer(self, niche: str, score: Score) -> None:
        """Count a score."""
        standing = self._of(niche)
        standing.new += 1
        standing.rejected += (score.failure or "").startswith("rejected")
        standing.failed += score.failure is not None and not score.failure.startswith("rejected")
        if score.ap is not None:
            standing.best = max(standing.best or 0.0, score.ap)

    def record(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the records of a finished generation."""
        for record in records:
            standing = self._of(record["niche"])
            standing.known += record["duplicates"]
            standing.best = record.get("best", standing.best)
            standing.median, standing.spread = record.get("median"), record.get("spread")

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield niche, best AP, median, spread, diversity, new, known, rejected, failed; unknown ones are empty."""
        for niche, one in self._niches.items():
            aps = ("" if value is None else f"{value:.3f}" for value in (one.best, one.median, one.spread))
            differing = "" if one.diversity is None else f"{one.diversity:.0%}"
            yield niche, *aps, differing, *map(str, (one.new, one.known, one.rejected, one.failed))

    def _of(self, niche: str) -> _Standing:
        return self._niches.setdefault(niche, _Standing())
