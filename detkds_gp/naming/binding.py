"""What a config calls by name is spelled out once, at the first start of a run, and read back at every later one.

Files and other runs change, and the zoo may go: what they meant when the work directory was bound stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.config import ExperimentConfig
from detkds_gp.detectors import Pair
from detkds_gp.errors import FormulaError
from detkds_gp.fitness import ProxyTask
from detkds_gp.language import WHOLE, PrimitiveSet, Zoo, load_primitive_set, load_zoo, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.naming.applies import reason_against
from detkds_gp.naming.named import is_formula, named_distillers
from detkds_gp.store import FILE_NAME, Store
from detkds_gp.store.events import NAMED


def names(config: ExperimentConfig) -> dict[str, Any]:
    """Return what a config calls its warm start and its rivals, as JSON values."""
    return {"warm_start": list(config.search.warm_start), "rivals": dict(config.verdict.rivals)}


def with_warm_start(config: ExperimentConfig, more: Sequence[str]) -> ExperimentConfig:
    """Return the config with some more of what its search starts from."""
    return _with(config, "search", warm_start=(*config.search.warm_start, *more))


def in_formulas(config: ExperimentConfig, task: ProxyTask, work_dir: Path, listener: Listener) -> ExperimentConfig:
    """Return the config whose warm start and rivals are formulas: as recorded for the same names, or as they are now.

    Args:
        config: may name the zoo, its distillers, files and work directories.
        task: with the grammar of the search and the pair.
        work_dir: whose record counts; nothing is written.
        listener: hears what is left out.

    Raises:
        ConfigError: if something new has no name, or a file cannot be read.
        FormulaError: if a formula is broken, or names what the grammar does not have.
        DeclarationError: if the zoo cannot be loaded.
        StoreError: if the store cannot be read.
    """
    known = _recorded(config, work_dir)
    if "warm_start" in known:
        config = _with(config, "search", warm_start=tuple(known["warm_start"]))
    else:
        config = spelled_out(config, task.primitive_set, task.pair, listener)
    if "rivals" not in known:
        return with_rivals(config, task.primitive_set, listener.say)
    order = (*config.verdict.rivals, *sorted(known["rivals"]))
    rivals = {name: known["rivals"][name] for name in order if name in known["rivals"]}
    return _with(config, "verdict", rivals=rivals)


def bind(store: Store, fingerprint: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Bind a store to a search, or compare, and record by which names its formulas were called.

    Raises:
        StoreError: it is bound to another search.
    """
    with store.together():
        store.begin(fingerprint)
        if all(event.detail != given for event in store.events(NAMED)):
            store.record_event(NAMED, **given)


def spelled_out(
    config: ExperimentConfig, primitive_set: PrimitiveSet, pair: Pair, listener: Listener
) -> ExperimentConfig:
    """Return the config whose warm start holds formulas only; what of the whole zoo does not apply is left out."""
    texts = dict.fromkeys(config.search.warm_start)
    if all(is_formula(text) for text in texts):
        return config
    zoo, found = load_zoo(config.zoo), dict[str, None]()
    for text in texts:
        if text == WHOLE:
            found |= dict.fromkeys(_whole(zoo, config, primitive_set, pair, listener))
        elif is_formula(text):
            found[text] = None
        else:
            found |= dict.fromkeys(one.text for one in named_distillers(text, primitive_set, zoo, [WHOLE]))
    return _with(config, "search", warm_start=tuple(found))


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


def with_rivals(config: ExperimentConfig, primitive_set: PrimitiveSet, say: Callable[[str], None]) -> ExperimentConfig:
    """Return the config whose rivals are formulas that the pair can be trained with; others are left out.

    Published distillers have their paper's weight, as a plain coefficient; formulas without a weight a measured scale.
    The whole zoo stands for all that is in it, each under its own name, after the others.
    """
    zoo, found = load_zoo(config.zoo), dict[str, str]()
    named = {name: text for name, text in config.verdict.rivals.items() if text != WHOLE}
    if WHOLE in config.verdict.rivals.values():
        named |= {name: name for name in sorted(zoo) if name not in config.verdict.rivals}
    for name, text in named.items():
        try:
            rival = zoo.named[text].formula if text in zoo.named else text
            found[name] = parse_distiller(rival, primitive_set, bare=None).text
        except FormulaError as error:
            say(f"no rival: {name} ({error})")
    return _with(config, "verdict", rivals=found)


def _with(config: ExperimentConfig, part: str, **values: Any) -> ExperimentConfig:
    return config.model_copy(update={part: getattr(config, part).model_copy(update=values)})


def _recorded(config: ExperimentConfig, work_dir: Path) -> dict[str, Any]:
    """Return the formulas of the parts of a config that were called the same at an earlier start."""
    if not (work_dir / FILE_NAME).is_file():
        return {}
    with Store.open(work_dir, readonly=True) as store:
        fingerprint, events = store.fingerprint(), store.events(NAMED)
    if fingerprint is None:
        return {}
    recorded = fingerprint["config"]
    formulas = {"warm_start": recorded["search"]["warm_start"], "rivals": recorded["verdict"]["rivals"]}
    called: Sequence[Any] = (formulas, *(event.detail for event in events))
    return {part: formulas[part] for part, given in names(config).items() if any(given == c[part] for c in called)}
