"""The rivals of the final round: published distillers and formulas, weighed as the search weighs its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from detkds_gp.errors import FormulaError
from detkds_gp.experiment.config import ExperimentConfig
from detkds_gp.language import WHOLE, PrimitiveSet, Zoo, load_zoo, make_distiller, parse_distiller


def with_rivals(config: ExperimentConfig, primitive_set: PrimitiveSet, say: Callable[[str], None]) -> ExperimentConfig:
    """Return the config whose rivals are formulas that the pair can be trained with.

    Published distillers, and formulas without a weight, are weighed as the search weighs single formulas: a measured
    scale times ``search.divide_weight``, not the paper's weight.

    Args:
        config: its ``verdict.rivals`` may name distillers of the zoo, or ``zoo``: all of them, each under its own name.
        primitive_set: without what the pair does not share.
        say: hears which are left out, and why.

    Raises:
        DeclarationError: if the zoo cannot be loaded.
    """
    zoo, found = load_zoo(config.zoo), dict[str, str]()
    for name, text in _named(config.verdict.rivals, zoo):
        try:
            distiller = zoo[text].calibrated(primitive_set) if text in zoo else parse_distiller(text, primitive_set)
        except FormulaError as error:
            say(f"no rival: {name} ({error})")
            continue
        if text in zoo or not text[:1].isdigit():
            weighted = [replace(term, weight=config.search.divide_weight, scale=None) for term in distiller.terms]
            distiller = make_distiller(weighted, primitive_set)
        found[name] = distiller.text
    return config.model_copy(update={"verdict": config.verdict.model_copy(update={"rivals": found})})


def _named(rivals: Mapping[str, str], zoo: Zoo) -> Iterator[tuple[str, str]]:
    """Yield rivals with their names; those that the whole zoo stands for come last, in the order of their names."""
    yield from ((name, text) for name, text in rivals.items() if text != WHOLE)
    if WHOLE in rivals.values():
        yield from ((name, name) for name in sorted(zoo) if name not in rivals)
