"""What a config calls by name is spelled out once, at the first start of a run, and read back at every later one.

Files and other runs change, and the zoo may go: what they meant when the work directory was bound stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.config import ExperimentConfig
from detkds_gp.fitness import ProxyTask
from detkds_gp.listener import Listener
from detkds_gp.naming.rivals import with_rivals
from detkds_gp.naming.warm_start import spelled_out, starting_from
from detkds_gp.store import FILE_NAME, Store
from detkds_gp.store.events import NAMED


def names(config: ExperimentConfig) -> dict[str, Any]:
    """Return what a config calls its warm start and its rivals, as JSON values."""
    return {"warm_start": list(config.search.warm_start), "rivals": dict(config.verdict.rivals)}


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
        config = starting_from(config, known["warm_start"])
    else:
        config = spelled_out(config, task.primitive_set, task.pair, listener)
    if "rivals" not in known:
        return with_rivals(config, task.primitive_set, listener.say)
    order = (*config.verdict.rivals, *sorted(known["rivals"]))
    rivals = {name: known["rivals"][name] for name in order if name in known["rivals"]}
    return config.model_copy(update={"verdict": config.verdict.model_copy(update={"rivals": rivals})})


def bind(store: Store, fingerprint: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Bind a store to a search, or compare, and record by which names its formulas were called.

    Raises:
        StoreError: it is bound to another search.
    """
    with store.together():
        store.begin(fingerprint)
        if all(event.detail != given for event in store.events(NAMED)):
            store.record_event(NAMED, **given)


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
