"""The rivals of the final round: published distillers at their papers' weights, and formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from detkds_gp.config import ExperimentConfig
from detkds_gp.errors import FormulaError
from detkds_gp.language import WHOLE, PrimitiveSet, Zoo, load_zoo, parse_distiller


def with_rivals(config: ExperimentConfig, primitive_set: PrimitiveSet, say: Callable[[str], None]) -> ExperimentConfig:
    """Return the config whose rivals are formulas that the pair can be trained with.

    Published distillers have their paper's weight, as a plain coefficient; formulas without a weight a measured scale.

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
            rival = zoo[text].formula if text in zoo else text
            found[name] = parse_distiller(rival, primitive_set, bare=None).text
        except FormulaError as error:
            say(f"no rival: {name} ({error})")
    return config.model_copy(update={"verdict": config.verdict.model_copy(update={"rivals": found})})


def _named(rivals: Mapping[str, str], zoo: Zoo) -> Iterator[tuple[str, str]]:
    """Yield rivals with their names; those that the whole zoo stands for come last, in the order of their names."""
    yield from ((name, text) for name, text in rivals.items() if text != WHOLE)
    if WHOLE in rivals.values():
        yield from ((name, name) for name in sorted(zoo) if name not in rivals)
