"""The zoo, held against a pair."""

from __future__ import annotations

from dataclasses import replace

from detkds_gp.config import ExperimentConfig
from detkds_gp.language import load_zoo
from detkds_gp.naming import reason_against
from detkds_gp.preflight.batch import batch_scales, first_batch
from detkds_gp.preflight.zoo_list import Entry, entry_of
from detkds_gp.setup.prepare import gather
from detkds_gp.setup.wiring import wire, without_weights


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
    materials, zoo = gather(config), load_zoo(config.zoo).named
    grammar = materials.primitive_set
    wired = wire(config, materials.splits["train"], grammar, random_weights=random_weights)
    batch = first_batch(config, wired, materials.splits["train"])
    reasons = {name: reason_against(published, grammar, wired.pair) for name, published in zoo.items()}
    terms = {name: () if reasons[name] else published.distiller(grammar).terms for name, published in zoo.items()}
    trees = {term.formula: term.formula for own in terms.values() for term in own}
    scales, faults = batch_scales(wired, trees, grammar, batch)
    entries = []
    for name, published in zoo.items():
        reason = reasons[name] or next((faults[t.formula] for t in terms[name] if t.formula in faults), "")
        here = {
            t.knowledge: t.weight if t.scale is None else t.weight * t.scale / scale
            for t in terms[name]
            if (scale := scales.get(t.formula))
        }
        entries.append(replace(entry_of(published), reason=reason, here=here))
    return entries
