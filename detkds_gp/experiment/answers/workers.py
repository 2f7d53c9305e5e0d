"""From a config to the executor that trains its candidates."""

from __future__ import annotations

import torch

from detkds_gp.execution import Executor, Factory, LocalExecutor, RayExecutor, Resources, SerialExecutor
from detkds_gp.experiment.config import ExperimentConfig
from detkds_gp.language import PrimitiveSet


def make_executor(config: ExperimentConfig, worker: Factory, primitive_set: PrimitiveSet) -> Executor:
    """Make the executor that the config names; local processes start with their first task.

    Args:
        config: of the experiment.
        worker: builds the evaluator in each worker.
        primitive_set: whose modules travel to a cluster.

    Raises:
        ConfigError: Ray is not installed, or its cluster cannot be reached.
    """
    execution = config.execution
    if execution.executor == "serial":
        torch.set_num_threads(config.threads)
        return SerialExecutor(worker)
    workers, limit, gpus = execution.workers, execution.time_limit_seconds, execution.gpus_per_worker
    if execution.executor == "local":
        return LocalExecutor(worker, workers, limit, config.threads, gpus)
    resources = Resources(config.threads, gpus, execution.address)
    return RayExecutor(worker, workers, limit, resources, {*own_modules(primitive_set), type(worker).__module__})


def own_modules(primitive_set: PrimitiveSet) -> list[str]:
    """Return the modules of primitives that detkds_gp does not bring, in the set's order."""
    modules = {declaration.function.__module__ for declaration in primitive_set.declarations.values()}
    return sorted(module for module in modules if module.partition(".")[0] != "detkds_gp")
