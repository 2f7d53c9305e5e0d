"""A distiller at any weight: that of its first term, the others in proportion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from detkds_gp.errors import ConfigError
from detkds_gp.evaluation import Question, Scales
from detkds_gp.language import Distiller
from detkds_gp.score import Scale, Trial
from detkds_gp.search import cell


@dataclass(frozen=True)
class Proportions:
    """The terms of a distiller in calibrated units, the first one at weight 1.

    Attributes:
        distiller: its scales are to be measured; they were asked before.
        given: the first term's weight as it was given, such as a paper's; None if it was given without.
    """

    distiller: Distiller
    given: float | None
    scales: Mapping[str, float]

    @classmethod
    def of(cls, distiller: Distiller, scales: Scales) -> Proportions:
        """Hold the coefficients of a distiller against the scales of its trees; a tree may have no number before it.

        Raises:
            ConfigError: if a scale cannot be measured.
        """
        found = scales([term.formula for term in distiller.terms])
        measured = {formula: _value(formula, scale) for formula, scale in found.items()}
        weights = [
            term.weight if term.scale is None else term.weight * term.scale / measured[term.formula]
            for term in distiller.terms
        ]
        plain = all(term.scale is None and term.weight == 1 for term in distiller.terms)
        terms = tuple(
            replace(term, weight=weight / weights[0], scale=None)
            for term, weight in zip(distiller.terms, weights, strict=True)
        )
        return cls(Distiller(terms), None if plain else float(f"{weights[0]:.3g}"), measured)

    @property
    def starts(self) -> tuple[float, ...]:
        """The weights to try first: the given one, and 1."""
        return (1.0,) if self.given is None or cell(self.given) == 0 else (self.given, 1.0)

    def at(self, weight: float) -> Distiller:
        """Return the distiller at a weight of its first term, scales to be measured."""
        terms = (replace(term, weight=float(f"{weight * term.weight:.3g}")) for term in self.distiller.terms)
        return Distiller(tuple(terms))

    def questions(self, weights: Sequence[float], trial: Callable[[str], Trial]) -> list[Question]:
        """Return the trainings at some weights, each asked for by the text of its distiller."""
        made = [self.at(weight) for weight in weights]
        return [Question(trial(one.text), one, one.terms[0].knowledge) for one in made]

    def scaled(self, weight: float) -> Distiller:
        """Return the distiller at a weight with its scales: plain numbers."""
        return self.at(weight).with_scales(self.scales)


def _value(formula: str, scale: Scale) -> float:
    if scale.value is None:
        raise ConfigError(f"the scale of {formula} cannot be measured: {scale.failure} ({scale.detail})")
    return scale.value
