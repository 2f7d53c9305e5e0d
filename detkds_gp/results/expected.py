"""What a search expected of its best distillers when its last generation was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from detkds_gp.store import Store


@dataclass(frozen=True)
class Expected:
    """What is believed of a distiller.

    Attributes:
        ap: expected on the selection split, over seeds.
        deviation: the standard deviation of that.
    """

    ap: float
    deviation: float


def expected_aps(store: Store) -> Mapping[str, Expected]:
    """Return by text what is expected of the best; nothing where the strategy takes APs for what they are."""
    generations = store.generations()
    told = generations[-1].statistics.get("expected", {}) if generations else {}
    return {text: Expected(*values) for text, values in told.items()}
