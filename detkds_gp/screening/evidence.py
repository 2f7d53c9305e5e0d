"""What a formula does on the probes: every pass runs once, when a check first asks for it; work is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from detkds_gp.language import Declaration, Learned
from detkds_gp.losses import DistillationLoss
from detkds_gp.losses.program import Pair, Value, inputs_of
from detkds_gp.screening.probes import Probe, Probes

SEED = 0
SMALLEST_STEP = 5e5
"""Numbers an image that a step counts as writing at least: a tiny student's takes as long, for its many operations."""

LEAST_POSITIONS = 64
"""Positions of a map from which its level counts; a coarser map may rightly be pooled to a single number."""


class Work(TorchDispatchMode):
    """Counts the numbers that torch's operations write while it is entered; views write none.

    Counted and not timed, so that every machine says the same. Of losses over maps this follows the time that they add
    to a step: `benchmarks/loss_work.py`.

    Attributes:
        numbers: written so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it writes."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.numbers += sum(x.numel() for x in tree_leaves(out) if isinstance(x, Tensor))
        return out


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward and backward pass.

    Attributes:
        value: of the loss.
        finite: whether loss and gradient are.
        levels: the gradient's size on every level of the student's knowledge.
        images: the gradient's size on every image, 0 where it cannot be told.
        leaves: the gradient on what the student's knowledge was made of, zero or missing where none arrives.
        teacher: whether a gradient reaches the teacher.
    """

    value: float
    finite: bool
    levels: tuple[float, ...]
    images: tuple[float, ...]
    leaves: dict[str, list[Tensor | None]]
    teacher: bool


class Evidence:
    """Runs one tree on the probes.

    Args:
        loss: of a distiller of one term, its weights made.
        probes: with the inputs that the tree reads.

    Attributes:
        determined: whether the loss follows from student and teacher alone: nothing in the tree draws or learns.
        draws: whether something in it draws at random.
        sided: names of the inputs of two sides.
    """

    def __init__(self, loss: DistillationLoss, probes: Probes) -> None:
        self.loss = loss
        self.probes = probes
        (self._program,) = loss.programs
        declarations = [step.declaration for step in self._program if step.declaration]
        self.determined = not any(d.random or isinstance(d, Learned) for d in declarations)
        self.draws = any(d.random for d in declarations)
        inputs = inputs_of(self._program)
        self.sided = [d.name for d in inputs if d.result.sided]
        self._fields = [d.name for d in inputs if not d.result.sided]
        self._passes: dict[int, Pass] = {}

    def at(self, probe: Probe) -> Pass:
        """Return the pass on a probe."""
        if id(probe) not in self._passes:
            self._passes[id(probe)] = self._run(probe)
        return self._passes[id(probe)]

    def value(self, knowledge: Mapping[str, Sequence[Pair]]) -> float:
        """Return the loss alone; what is drawn is the same every time."""
        with torch.no_grad():
            return float(self.total(knowledge))

    def total(self, knowledge: Mapping[str, Sequence[Pair]]) -> Tensor:
        """Return the loss, with its graph; what is drawn is the same every time."""
        _seed()
        return self.loss(knowledge).total

    @cached_property
    def scale(self) -> float:
        """What an absolute tolerance is multiplied by: the loss on real features, 1 at least."""
        return max(1.0, abs(self.at(self.probes.far).value))

    @cached_property
    def added(self) -> float | None:
        """How much longer the loss makes a training step, in times the student's own; None without a student."""
        step = self.probes.step
        if step is None:
            return None
        with Work() as work:
            self.value(step.probe.knowledge)
        return work.numbers / step.probe.images / max(step.own, SMALLEST_STEP)

    def counted(self, probe: Probe) -> list[bool]:
        """Tell for every level whether the student has something to learn there that a gradient has to show.

        That is where the sides differ, no mask that the tree reads is zero all over, and the map is the finest or
        has `LEAST_POSITIONS` positions.
        """
        told = []
        for level in range(len(probe.knowledge[self.sided[0]])):
            pairs = [probe.knowledge[name][level] for name in self.sided]
            differing = any(s.numel() and not torch.equal(s, t) for s, t in pairs)
            masked = any(not probe.knowledge[name][level][1].any() for name in self._fields)
            large = level == 0 or any(s.ndim != 4 or s[0, 0].numel() >= LEAST_POSITIONS for s, _ in pairs if len(s))
            told.append(differing and not masked and large)
        return told

    def unshared(self) -> Declaration | None:
        """Return the first primitive that draws, and gives equal sides back unequal; None if all share their draw."""
        _seed()
        knowledge = self.probes.far.knowledge
        for level in range(len(knowledge[self.sided[0]])):
            parts = self.loss.parts_of(self._program, level)
            values: list[Value] = []
            teacher_side = {name: knowledge[name][level][1].detach() for name in (*self.sided, *self._fields)}
            inputs = {name: (x, x) if name in self.sided else x for name, x in teacher_side.items()}
            for step in self._program:
                value = step.compute(values, inputs, parts)
                draws = step.declaration and step.declaration.random and not isinstance(step.declaration, Learned)
                sided = isinstance(value, tuple)
                if draws and sided and not torch.equal(*value):
                    return step.declaration
                values.append((value[1], value[1]) if sided else value)
        return None

    def _run(self, probe: Probe) -> Pass:
        total = self.total(probe.knowledge)
        students, teachers = zip(*(pair for name in self.sided for pair in probe.knowledge[name]), strict=True)
        leaves = [x for levels in probe.leaves.values() for x in levels]
        found = _gradients(total, [*students, *teachers, *leaves])
        ours, theirs, below = found[: len(students)], found[len(students) : -len(leaves)], found[-len(leaves) :]
        rest = iter(below)
        return Pass(
            value=float(total.detach()),
            finite=bool(total.isfinite()) and all(g is None or bool(g.isfinite().all()) for g in ours),
            levels=_by_level(ours, len(self.sided)),
            images=_by_image(below, probe.images),
            leaves={name: [next(rest) for _ in levels] for name, levels in probe.leaves.items()},
            teacher=any(g is not None for g in theirs),
        )


def _seed() -> None:
    """Seed what primitives draw from; `torch.manual_seed` takes milliseconds where CUDA has not started."""
    torch.default_generator.manual_seed(SEED)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(SEED)


def _gradients(total: Tensor, tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradient on each tensor, None where none can arrive; the probes' own graph stays."""
    wanted = [x for x in tensors if x.requires_grad]
    if not total.requires_grad or not wanted:
        return [None] * len(tensors)
    found = iter(torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True))
    return [next(found) if x.requires_grad else None for x in tensors]


def _norm(gradients: Sequence[Tensor | None]) -> float:
    return sum(float(g.double().square().sum()) for g in gradients if g is not None) ** 0.5


def _by_level(gradients: Sequence[Tensor | None], inputs: int) -> tuple[float, ...]:
    levels = len(gradients) // inputs
    return tuple(_norm(gradients[level::levels]) for level in range(levels))


def _by_image(gradients: Sequence[Tensor | None], images: int) -> tuple[float, ...]:
    apart = [g for g in gradients if g is not None and g.ndim == 4 and len(g) == images]
    return tuple(_norm([g[image] for g in apart]) for image in range(images))
