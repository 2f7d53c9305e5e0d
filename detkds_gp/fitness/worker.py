"""What worker processes are asked, and the factory that makes them ready to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from detkds_gp.errors import UserError
from detkds_gp.fitness.calibration import measure_scale, write_probe, write_start
from detkds_gp.fitness.pace import measure_pace
from detkds_gp.fitness.probing import probes_of
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.score import Pace, Scale, Score, Screening, Trial
from detkds_gp.screening import Screen, ScreeningSettings


@dataclass(frozen=True)
class ScaleRequest:
    """Measure the scale of a tree at the plan of a seed."""

    formula: str
    seed: int


@dataclass(frozen=True)
class ScreenRequest:
    """Screen a tree on probes of the images and the initial student of a seed."""

    formula: str
    seed: int


@dataclass(frozen=True)
class ProbeRequest:
    """Train the student that scales are measured on, and write it to the task's probe file."""

    seed: int


@dataclass(frozen=True)
class StartRequest:
    """Train the half-trained student that a seed's candidates start from, and write it to the task's file."""

    seed: int


@dataclass(frozen=True)
class PackRequest:
    """Train candidates side by side; they are of one seed, length and test flag."""

    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class CurveRequest:
    """Train a trial, and look at its student at some lengths on the way; see `ProxyTraining.curve`."""

    trial: Trial
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class TeacherRequest:
    """Train the teacher if it has no checkpoint, score it, and write its kept outputs."""


@dataclass(frozen=True)
class PaceRequest:
    """Time a few steps and predictions."""


TrainingRequest = Trial | PackRequest | CurveRequest
Request = TrainingRequest | ScaleRequest | ScreenRequest | ProbeRequest | StartRequest | TeacherRequest | PaceRequest
"""What a worker can be asked."""

Answer = Score | tuple[Score, list[tuple[int, float]]] | list[Score] | Scale | Screening | Pace | UserError | None


@dataclass(frozen=True)
class ProxyWorker:
    """Makes, in a worker process, the callable that answers requests.

    Attributes:
        task: what is trained, and on what.
        screening: what is asked of formulas before.
    """

    task: ProxyTask
    screening: ScreeningSettings = field(default_factory=ScreeningSettings)

    def __call__(self) -> Callable[[Request], Answer]:
        """Make the callable; it loads images and teacher outputs once, when they are first needed.

        Returns:
            what gives a Score for a Trial or TeacherRequest, a list of them for a PackRequest, a Score and the points
            of a curve for a CurveRequest, a Scale for a ScaleRequest, a Screening for a ScreenRequest, a Pace for a
            PaceRequest, None for a ProbeRequest or StartRequest, and the error itself where the user can mend it (a
            broken image or file).
        """
        proxy = ProxyTraining(self.task)

        @cache
        def screen(seed: int) -> Screen:
            probes, asked = probes_of(proxy, seed), self.screening
            return Screen(probes, self.task.primitive_set, asked.off, asked.identity)

        def answer(request: Request) -> Answer:
            try:
                match request:
                    case Trial():
                        return proxy(request)
                    case PackRequest(trials):
                        return proxy.together(trials)
                    case CurveRequest(trial, lengths):
                        return proxy.curve(trial, lengths)
                    case ScaleRequest(formula, seed):
                        return measure_scale(proxy, formula, seed)
                    case ScreenRequest(formula, seed):
                        return screen(seed)(formula)
                    case TeacherRequest():
                        return proxy.prepare_teacher()
                    case PaceRequest():
                        return measure_pace(proxy)
                    case StartRequest(seed):
                        write_start(proxy, seed)
                    case ProbeRequest(seed):
                        write_probe(proxy, seed)
            except UserError as error:
                return error
            return None

        return answer
