"""Students in files: trained alone beforehand, or waiting on a rung for the rest of their training."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from detkds_gp.atomic import atomic_file, atomic_tensors
from detkds_gp.errors import StoreError, first_line
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.score import Trial
from detkds_gp.training import Training


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return a state dict, on the CPU; raise a StoreError if the file is missing or broken."""
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise StoreError(
            f"cannot read the student {path}: {first_line(error)}; delete the file and start again"
        ) from error


def write_weights(module: nn.Module, path: Path) -> None:
    """Write a state dict, whole or not at all; raise a StoreError if it cannot be written."""
    weights = module.state_dict()
    with atomic_tensors(path, "the student") as file:
        torch.save(weights, file)


def forget_waiting(task: ProxyTask, before: float) -> None:
    """Delete the trainings that wait on a rung of a task since before a Unix time."""
    for path in task.rungs.glob("*.pt"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


class WaitingTrainings:
    """Keeps trainings that reached a rung of a task: continued they give the score of one that starts over.

    A file that is lost costs time and changes no score.
    """

    def __init__(self, task: ProxyTask) -> None:
        self._folder = task.rungs
        self._rungs = task.settings.rungs
        self._whole = task.settings.iterations
        self._device = task.settings.device

    def schedule(self, trial: Trial) -> int:
        """Return the length of a trial's schedule: a rung's is that of the whole training."""
        return self._whole if trial.iterations in self._rungs and not trial.test else trial.iterations

    def take_up(self, training: Training, trial: Trial) -> None:
        """Bring a fresh training to the highest rung that it reached before."""
        if self.schedule(trial) != self._whole:
            return
        for rung in reversed([rung for rung in self._rungs if rung < trial.iterations]):
            try:
                state = torch.load(self._path(trial, rung), weights_only=True, map_location=self._device)
            except Exception:  # no file, or whatever a broken one makes of unpickling: it starts over
                continue
            training.load_state_dict(state)
            return

    def put_down(self, training: Training, trial: Trial) -> None:
        """Keep a training that has reached a rung, in place of what was kept of it before."""
        if self.schedule(trial) != self._whole:
            return
        if trial.iterations in self._rungs:
            with suppress(OSError, RuntimeError):  # on a full disk the training starts over instead
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic_file(self._path(trial, trial.iterations)) as unfinished:
                    torch.save(training.state_dict(), unfinished)
        for rung in self._rungs:
            if rung < trial.iterations:
                self._path(trial, rung).unlink(missing_ok=True)

    def _path(self, trial: Trial, rung: int) -> Path:
        key = hashlib.sha256(f"{trial.seed} {trial.distiller}".encode()).hexdigest()[:24]
        return self._folder / f"{key}-{rung}.pt"
