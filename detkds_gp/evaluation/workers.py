"""From a config to the executor that trains its candidates."""

from __future__ import annotations

from detkds_gp.config import ExperimentConfig
from detkds_gp.execution import Executor, Factory, LocalExecutor, RayExecutor, Resources, SerialExecutor
from detkds_gp.language import PrimitiveSet


def make_executor(config: ExperimentConfig, worker: Factory, primitive_set: PrimitiveSet) -> Executor:
    """Make the executor that the config names; local processes start with their first task.

    Args:
        config: of the experiment.
        worker: answers requests in each worker.
        primitive_set: whose modules travel to a cluster.

    Raises:
        ConfigError: Ray is not installed, or its cluster cannot be reached.
    """
    execution = config.execution
    if execution.executor == "serial":
        import torch

        torch.set_num_threads(config.threads)
        return SerialExecutor(worker)
    workers, limit, gpus = execution.workers, execution.time_limit_seconds, execution.gpus_per_worker
    if execution.executor == "local":
        preload = preloaded(config, worker, primitive_set)
        return LocalExecutor(worker, workers, limit, config.threads, gpus, preload)
    resources = Resources(config.threads, gpus, execution.address)
    return RayExecutor(worker, workers, limit, resources, {*own_modules(primitive_set), type(worker).__module__})


def preloaded(config: ExperimentConfig, worker: Factory, primitive_set: PrimitiveSet) -> tuple[str, ...]:
    """Return the modules that local workers may share: detkds_gp's own, where workers have one thread and no GPU.

    A user's own modules are imported by each worker: they may do anything.
    """
    if config.proxy.device != "cpu" or config.threads != 1 or config.execution.gpus_per_worker:
        return ()
    grammar = {declaration.function.__module__ for declaration in primitive_set.declarations.values()}
    shared = {type(worker).__module__, *grammar} - set(own_modules(primitive_set))
    return tuple(sorted(name for name in shared if name.partition(".")[0] == "detkds_gp"))


def own_modules(primitive_set: PrimitiveSet) -> list[str]:
    """Return the modules of primitives that detkds_gp does not bring, in the set's order."""
    modules = {declaration.function.__module__ for declaration in primitive_set.declarations.values()}
    return sorted(module for module in modules if module.partition(".")[0] != "detkds_gp")
