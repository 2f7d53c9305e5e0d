"""From a config to the executor that trains its candidates."""

from __future__ import annotations

from itertools import filterfalse

from detkds_gp.config import ExperimentConfig
from detkds_gp.execution import EXECUTORS, Executor, Factory, WorkersAsked
from detkds_gp.language import PrimitiveSet
from detkds_gp.language.loading import load_class

_METHODS = ("made", "begin", "wait", "drain", "close", "one_at_a_time")


def make_executor(config: ExperimentConfig, worker: Factory, primitive_set: PrimitiveSet) -> Executor:
    """Make the executor that the config names; local processes start with their first task.

    The modules of the primitive set travel to a cluster.

    Raises:
        ConfigError: Ray is not installed, or its cluster cannot be reached.
        DeclarationError: the name is unknown, or what is named lacks a method of `Executor`.
    """
    execution = config.execution
    asked = WorkersAsked(
        execution.workers,
        execution.time_limit_seconds,
        config.threads,
        execution.gpus_per_worker,
        execution.address,
        preloaded(config, worker, primitive_set),
        tuple(sorted(filterfalse(_is_ours, _modules(primitive_set)))),
    )
    return executor_class(execution.executor).made(worker, asked)


def executor_class(name: str) -> type[Executor]:
    """Return the class of an executor, one of `EXECUTORS` or ``module:NAME``.

    Raises:
        DeclarationError: the name is unknown, or what is named lacks a method of `Executor`.
    """
    found: type[Executor] = load_class(name, EXECUTORS, _METHODS, "execution.executor", "Executor")
    return found


def worker_count(config: ExperimentConfig) -> int:
    """Return how many workers a config has."""
    return 1 if executor_class(config.execution.executor).one_at_a_time else config.execution.workers


def preloaded(config: ExperimentConfig, worker: Factory, primitive_set: PrimitiveSet) -> tuple[str, ...]:
    """Return the modules that local workers may share: detkds_gp's own, where workers have one thread and no GPU.

    A user's own modules are imported by each worker: they may do anything.
    """
    if config.proxy.device != "cpu" or config.threads != 1 or config.execution.gpus_per_worker:
        return ()
    return tuple(sorted(filter(_is_ours, {type(worker).__module__, *_modules(primitive_set)})))


def _modules(primitive_set: PrimitiveSet) -> set[str]:
    return {declaration.function.__module__ for declaration in primitive_set.declarations.values()}


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "detkds_gp"
