"""What worker processes are asked, and the factory that makes them ready to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from detkds_gp.fitness.calibration import measure_scale, write_probe
from detkds_gp.fitness.proxy import ProxyTask, ProxyTraining
from detkds_gp.score import Scale, Score, Trial


@dataclass(frozen=True)
class ScaleRequest:
    """Measure the scale of a tree at the plan of a seed."""

    formula: str
    seed: int


@dataclass(frozen=True)
class ProbeRequest:
    """Train the student that scales are measured on, and write it to the task's probe file."""

    seed: int


@dataclass(frozen=True)
class TeacherRequest:
    """Train the teacher if it has no checkpoint, score it, and write its kept outputs."""


Request = Trial | ScaleRequest | ProbeRequest | TeacherRequest


@dataclass(frozen=True)
class ProxyWorker:
    """Makes, in a worker process, the callable that answers requests."""

    task: ProxyTask

    def __call__(self) -> Callable[[Request], Score | Scale | None]:
        """Load images and teacher outputs, once."""
        proxy = ProxyTraining(self.task)

        def answer(request: Request) -> Score | Scale | None:
            if isinstance(request, Trial):
                return proxy(request)
            if isinstance(request, ScaleRequest):
                return measure_scale(proxy, request.formula, request.seed)
            if isinstance(request, TeacherRequest):
                return proxy.prepare_teacher()
            return write_probe(proxy, request.seed)

        return answer
