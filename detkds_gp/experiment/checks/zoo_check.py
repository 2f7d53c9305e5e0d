"""The zoo, listed and held against a pair."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from detkds_gp.detectors import finds_masks
from detkds_gp.experiment.checks.scales import batch_scales, first_batch
from detkds_gp.experiment.config import ExperimentConfig
from detkds_gp.experiment.naming import reason_against
from detkds_gp.experiment.prepare import gather
from detkds_gp.experiment.wiring import wire, without_weights
from detkds_gp.fitness import SplitImages
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
    """Return the entries of a zoo, the config's default without one.

    Raises:
        DeclarationError: if the zoo cannot be loaded.
    """
    zoo = load_zoo(reference or ExperimentConfig.model_fields["zoo"].default)
    return [_entry(published) for published in zoo.values()]


def _entry(published: Published) -> Entry:
    return Entry(published.name, published.formula, published.paper, published.weights, published.note)


def check_zoo(config: ExperimentConfig, *, random_weights: bool = False) -> list[Entry]:
    """Return the config's zoo with what it comes to on its pair; nothing is trained.

    Args:
        config: names zoo, grammar and pair.
        random_weights: neither load checkpoints nor initialise, so that nothing has to be downloaded.

    Raises:
        UserError: a mistake in config, data or detectors, in one line.
    """
    if random_weights:
        config = without_weights(config)
    materials, zoo = gather(config), load_zoo(config.zoo)
    grammar = materials.primitive_set
    wired = wire(config, materials.splits["train"], grammar, random_weights=random_weights)
    for detector in (wired.student, wired.teacher):
        detector.to(config.proxy.device)
    images = SplitImages(materials.splits["train"], config.proxy.image_size, 0)
    batch = first_batch(images, config.proxy.batch_size, masks=finds_masks(wired.student))
    reasons = {name: reason_against(published, grammar, wired.pair) for name, published in zoo.items()}
    terms = {name: () if reasons[name] else published.distiller(grammar).terms for name, published in zoo.items()}
    trees = {term.formula: term.formula for own in terms.values() for term in own}
    scales, faults = batch_scales(wired, trees, grammar, batch)
    entries = []
    for name, published in zoo.items():
        reason = reasons[name] or next((faults[t.formula] for t in terms[name] if t.formula in faults), "")
        here = {
            t.knowledge: t.weight * (t.scale or 1.0) / scale for t in terms[name] if (scale := scales.get(t.formula))
        }
        entries.append(replace(_entry(published), reason=reason, here=here))
    return entries
