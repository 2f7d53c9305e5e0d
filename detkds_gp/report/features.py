"""Candidates as rows of a table: which names they hold, which knowledge, how deep, with which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from detkds_gp.language import Combiner, Declaration, Distance, Input
from detkds_gp.report.outline import outline
from detkds_gp.report.run import Candidate

LEAST = 5
"""A feature that fewer candidates have, or lack, says nothing."""

GROUPS = ("knowledge", "input", "distance", "transform", "combiner", "shape", "weight")
"""What features are of, in the order of a table; of two columns that say the same the earlier stays."""

APART = (Distance, Input, Combiner)
"""Roles that are a group of their own; all others count as transforms."""


@dataclass(frozen=True)
class Feature:
    """One column.

    Attributes:
        name: for people.
        group: one of GROUPS.
        unit: what one step of it is: ``with it``, ``a level deeper``, ...
    """

    name: str
    group: str
    unit: str = "with it"


@dataclass(frozen=True, eq=False)
class Table:
    """Candidates by features.

    Attributes:
        features: the columns.
        values: (candidates, features).
        ap: (candidates,), on the selection split.
        rare: those of the features that too few candidates have, or lack.
    """

    features: tuple[Feature, ...]
    values: NDArray[np.float64]
    ap: NDArray[np.float64]
    rare: tuple[Feature, ...]

    def alternatives(self) -> list[list[int]]:
        """Return the columns of groups of which every formula has one: such parts are in place of each other."""
        return [[i for i, f in enumerate(self.features) if f.group == group] for group in ("knowledge", "distance")]


def table(candidates: Sequence[Candidate], declarations: Mapping[str, Declaration]) -> Table:
    """Describe scored candidates; columns without a difference, or equal to an earlier one, are left out."""
    rows = [_row(candidate.text, declarations) for candidate in candidates]
    features = sorted({feature for row in rows for feature in row}, key=lambda f: (GROUPS.index(f.group), f.name))
    column = {feature: index for index, feature in enumerate(features)}
    values = np.zeros((len(rows), len(features)))
    for index, row in enumerate(rows):
        for feature, value in row.items():
            values[index, column[feature]] = value
    kept, rare, seen = [], [], set()
    for feature, index in column.items():
        most = int(np.unique(values[:, index], return_counts=True)[1].max()) if len(rows) else 0
        if most == len(rows) or (key := values[:, index].tobytes()) in seen:
            continue
        seen.add(key)
        kept.append(index)
        if len(rows) - most < LEAST:
            rare.append(feature)
    ap = np.array([candidate.ap for candidate in candidates], dtype=float)
    return Table(tuple(features[index] for index in kept), values[:, kept], ap, tuple(rare))


def _row(text: str, declarations: Mapping[str, Declaration]) -> dict[Feature, float]:
    terms = outline(text)
    row: dict[Feature, float] = {}
    for term in terms:
        known = [declarations[name] for name in term.names if name in declarations]
        niche = next((d.niche for d in known if isinstance(d, Input) and d.niche), "")
        row[Feature(niche.replace("_", " "), "knowledge")] = 1.0
        row |= {Feature(d.name, d.role if isinstance(d, APART) else "transform"): 1.0 for d in known}
        if term.weight > 0:
            row[Feature(f"weight of {niche.replace('_', ' ')}", "weight", "twice the weight")] = log2(term.weight)
    row[Feature("depth", "shape", "a level deeper")] = float(max((term.depth for term in terms), default=0))
    return row
