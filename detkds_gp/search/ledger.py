"""What a whole search has asked and heard."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from deap import tools

from detkds_gp.language import Distiller
from detkds_gp.score import Score
from detkds_gp.screening import ScreeningCache
from detkds_gp.search.individual import Individual, same_text
from detkds_gp.search.weights import cell


@dataclass
class Ledger:
    """What the whole search has asked and heard.

    Attributes:
        scores: by distiller text; rejections of the screening among them.
        screening_cache: knows which formulas are not worth a training, and which are the same loss.
        attempts: individuals in a row that may be known or rejected before a generation stays smaller.
        texts: of all individuals ever made.
        asked: what individuals were trained as.
        scored: the individuals with an AP, in the order told.
        generated: individuals made in the generations told so far.
        duplicates: how many of them were known, by text or as the same loss, and dropped.
        logbook: one DEAP record per niche and generation.
        hall_of_fame: the best distillers of all stages.
        invited: distillers from outside that join the next generation.
        ending: ``stage`` or ``search``: what ends before the next generation.
        most: new individuals of a niche in a generation; None for as many as the settings say.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    screening_cache: ScreeningCache = field(default_factory=ScreeningCache)
    attempts: int = 60
    texts: set[str] = field(default_factory=set)
    asked: set[Hashable] = field(default_factory=set)
    scored: list[Individual] = field(default_factory=list)
    generated: int = 0
    duplicates: int = 0
    logbook: tools.Logbook = field(default_factory=tools.Logbook)
    hall_of_fame: tools.HallOfFame = field(default_factory=partial(tools.HallOfFame, 50, same_text))
    invited: list[Distiller] = field(default_factory=list)
    ending: Literal["stage", "search"] | None = None
    most: int | None = None

    def identity(self, distiller: Distiller) -> Hashable:
        """Return the loss of every term and the cell of its weight: equal for distillers that train alike.

        A weight multiplies the calibrated scale, so that the factor between two twins does not count.
        """
        cells = (cell(term.weight) for term in distiller.terms)
        return tuple(zip(cells, self.screening_cache.losses(distiller), strict=True))
