"""A hook of the Runner for trainings without epochs: what another hook switches at an epoch comes at an iteration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

SWITCHES: dict[str, Callable[[Mapping[str, Any], int], int]] = {
    "PipelineSwitchHook": lambda hook, epochs: hook["switch_epoch"],
    "YOLOXModeSwitchHook": lambda hook, epochs: epochs - hook.get("num_last_epochs", 15),
}
"""By mmdet's hooks that change data and loss in the last epochs: from (config, epochs of the schedule) to the epoch."""


@HOOKS.register_module()
class SwitchAtIteration(Hook):
    """Lets a hook of `SWITCHES` switch at an iteration; the loader then begins anew with what it changed.

    Args:
        hook: its config; its epoch counts no more.
        iteration: after how many steps.
    """

    def __init__(self, hook: dict[str, Any], iteration: int) -> None:
        at_once = {"switch_epoch": 0} if "switch_epoch" in hook else {}
        self._hook = HOOKS.build({**hook, **at_once})
        self._iteration = iteration
        self._switched = False
        self._drawn: Any = None

    def before_train(self, runner: Runner) -> None:
        """Switch at once where a training goes on behind its iteration."""
        self._switch(runner, runner.iter)

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Switch where the next step is the first one behind the iteration."""
        self._switch(runner, runner.iter + 1)

    def _switch(self, runner: Runner, steps: int) -> None:
        if self._switched or steps < self._iteration:
            return
        self._switched = True
        loop = runner.train_loop
        self._drawn = loop.dataloader_iterator._iterator._sampler_iter  # thrown away, it would close an endless sampler
        self._hook.before_train_epoch(runner)
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)
        self._hook.before_train_epoch(runner)  # mmdet's hooks close here what they opened to restart the workers


def switch_at_iterations(config: Config, epochs: int, iterations: int) -> None:
    """Let the hooks of `SWITCHES` switch at the same share of the iterations as of the epochs that their config has."""
    config.custom_hooks = [_at_iteration(dict(hook), epochs, iterations) for hook in config.get("custom_hooks") or []]


def _at_iteration(hook: dict[str, Any], epochs: int, iterations: int) -> dict[str, Any]:
    epoch = SWITCHES.get(str(hook.get("type")).rpartition(".")[2])
    if epoch is None:
        return hook
    priority = {"priority": hook.pop("priority")} if "priority" in hook else {}
    at = round(iterations * max(0, epoch(hook, epochs)) / epochs)
    return {"type": "SwitchAtIteration", "hook": hook, "iteration": at, **priority}
