"""The zoo, listed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from detkds_gp.config import ExperimentConfig
from detkds_gp.language import Published, load_zoo


@dataclass(frozen=True)
class Entry:
    """A published distiller, as a pair has it.

    Attributes:
        name: what users write for it.
        formula: its text, with the paper's weights.
        paper: where it was published.
        weights: what the paper uses.
        note: how the formula differs.
        reason: why it does not apply to the pair; empty where it does, or no pair was asked.
        here: by knowledge, the paper's weight in units of the scale measured on the pair's first batch: what to
            write before ``calibrated``.
    """

    name: str
    formula: str
    paper: str
    weights: str
    note: str
    reason: str = ""
    here: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def list_zoo(reference: str | None = None) -> list[Entry]:
    """Return the entries of a zoo, the recommended distiller last; of the config's default without one.

    Raises:
        DeclarationError: if the zoo cannot be loaded.
    """
    zoo = load_zoo(reference or ExperimentConfig.model_fields["zoo"].default)
    return [entry_of(named) for named in zoo.named.values()]


def entry_of(published: Published) -> Entry:
    """Return the entry of a published distiller, which no pair was asked about."""
    return Entry(published.name, published.formula, published.paper, published.weights, published.note)
