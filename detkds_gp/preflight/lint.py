"""One formula under the checks, on real features of the pair of a config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from detkds_gp.config import ExperimentConfig
from detkds_gp.fitness import ProxyTraining, probes_of
from detkds_gp.listener import Listener
from detkds_gp.screening import LintReport, lint
from detkds_gp.setup.prepare import gather, prepare


class _Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        """Keep a line of news."""
        self.lines.append(message)


def lint_experiment(config: ExperimentConfig, text: str, work_dir: Path) -> tuple[LintReport, list[str]]:
    """Run the checks that a config leaves on, on images and detectors of that config; nothing is trained.

    Args:
        config: of the pair; all knowledge that it shares may be used.
        text: a distiller.
        work_dir: of a run of it, whose student for calibration is used if it is there.

    Returns:
        what the checks say, and what is worth knowing beside it.

    Raises:
        UserError: a mistake in formula, config, data or detectors, in one line.
    """
    notes = _Notes()
    config = config.model_copy(update={"knowledge": None})
    task = prepare(config, gather(config), work_dir, notes)
    if not task.probe.exists():
        notes.say(f"the student is not trained: no run has prepared one in {work_dir}")
    if task.teacher.checkpoint is None or not Path(task.teacher.checkpoint).exists():
        notes.say("the teacher is not trained: no run has prepared it")
        task = replace(task, teacher=replace(task.teacher, checkpoint=None))
    probes = probes_of(ProxyTraining(task), config.baseline_seeds[0])
    return lint(text, task.primitive_set, probes, config.screening.off), notes.lines
