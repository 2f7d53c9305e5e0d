"""What a search starts from besides chance: formulas, published distillers, those of another run.

They are turned into plain formulas before a work directory is bound to its config; `naming` lets replay and
resume do without the files and the zoo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from detkds_gp.config import ExperimentConfig
from detkds_gp.detectors import Pair
from detkds_gp.language import WHOLE, PrimitiveSet, Zoo, load_primitive_set, load_zoo
from detkds_gp.listener import Listener
from detkds_gp.naming.applies import reason_against
from detkds_gp.naming.named import is_formula, named_distillers


def with_warm_start(config: ExperimentConfig, more: Sequence[str]) -> ExperimentConfig:
    """Return the config with some more of what its search starts from."""
    return starting_from(config, (*config.search.warm_start, *more))


def starting_from(config: ExperimentConfig, texts: Iterable[str]) -> ExperimentConfig:
    """Return the config whose search starts from some texts and nothing else."""
    return config.model_copy(update={"search": config.search.model_copy(update={"warm_start": tuple(texts)})})


def spelled_out(
    config: ExperimentConfig, primitive_set: PrimitiveSet, pair: Pair, listener: Listener
) -> ExperimentConfig:
    """Return the config whose warm start holds formulas only.

    Args:
        config: its ``search.warm_start`` may name the zoo, its distillers, files and work directories.
        primitive_set: the grammar of the search.
        pair: student and teacher; what does not apply to them is left out of the whole zoo.
        listener: hears what is left out.

    Raises:
        ConfigError: if nothing has a name, or a file cannot be read.
        FormulaError: if a formula is broken, or names what the grammar does not have.
        DeclarationError: if the zoo cannot be loaded.
    """
    named = [text for text in config.search.warm_start if not is_formula(text)]
    if not named:
        return config
    zoo, texts = load_zoo(config.zoo), dict[str, None]()
    for text in config.search.warm_start:
        if text == WHOLE:
            texts |= dict.fromkeys(_whole(zoo, config, primitive_set, pair, listener))
        elif text in named:
            texts |= dict.fromkeys(found.text for found in named_distillers(text, primitive_set, zoo, [WHOLE]))
        else:
            texts[text] = None
    return starting_from(config, texts)


def _whole(
    zoo: Zoo, config: ExperimentConfig, primitive_set: PrimitiveSet, pair: Pair, listener: Listener
) -> Iterator[str]:
    """Yield the published distillers that apply to a pair, with their papers' weights."""
    everything = load_primitive_set(config.primitive_set)  # also what the pair does not share, which it can say
    for name, entry in zoo.items():
        reason = reason_against(entry, everything, pair) or reason_against(entry, primitive_set, pair)
        if reason:
            listener.say(f"{name} stays out of the warm start: {reason}")
        else:
            yield entry.distiller(primitive_set).text
