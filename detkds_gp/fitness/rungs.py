"""Trainings that wait on a rung, in files: continued they give the score of one that starts over."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from detkds_gp.atomic import atomic_file
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.score import Trial
from detkds_gp.training import Training


class WaitingTrainings:
    """Keeps trainings that reached a rung; a file that is lost costs time and changes no score.

    Args:
        task: names the folder and the rungs.
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
            state = self._read(self._path(trial, rung))
            if state is not None:
                training.load_state_dict(state)
                return

    def put_down(self, training: Training, trial: Trial) -> None:
        """Keep a training that has reached a rung, in place of what was kept of it before."""
        if self.schedule(trial) != self._whole:
            return
        if trial.iterations in self._rungs:
            self._write(self._path(trial, trial.iterations), training)
        for rung in self._rungs:
            if rung < trial.iterations:
                self._path(trial, rung).unlink(missing_ok=True)

    def _write(self, path: Path, training: Training) -> None:
        """Write a file whole or not at all; on a full disk the training starts over instead."""
        with suppress(OSError, RuntimeError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as unfinished:
                torch.save(training.state_dict(), unfinished)

    def _path(self, trial: Trial, rung: int) -> Path:
        key = hashlib.sha256(f"{trial.seed} {trial.distiller}".encode()).hexdigest()[:24]
        return self._folder / f"{key}-{rung}.pt"

    def _read(self, path: Path) -> dict[str, Any] | None:
        """Return a kept training; None where there is none that can be read: it starts over."""
        try:
            return torch.load(path, weights_only=True, map_location=self._device)
        except Exception:  # whatever a broken file makes of unpickling
            return None
