"""Checks of a formula before any training: kinds, shapes, values, gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkds_gp.language import (
    Boxes,
    Declaration,
    Distiller,
    Field,
    Map,
    PrimitiveSet,
    RowField,
    Rows,
    parse_distiller,
)
from detkds_gp.language.contract import sample
from detkds_gp.language.tree import Node
from detkds_gp.losses.distillation_loss import DistillationLoss
from detkds_gp.losses.parts import build_parts, shapes_of
from detkds_gp.losses.program import Pair, Value, apply_primitive, compile_tree

MAP_SIZE = (2, 8, 9, 11)
ROWS, WIDTH = 198, 8
ROWS_A_BOX = 4  # left, top, right, bottom


@dataclass(frozen=True)
class Step:
    """One operation of a formula: what it computes, of which kind and shape."""

    text: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LintReport:
    """What the checks say of a distiller.

    Attributes:
        distiller: the distiller read.
        steps: its operations in the order they are computed, with shapes on sample knowledge.
        problems: what is wrong, as ``check: reason``; empty for a sound formula.
    """

    distiller: Distiller
    steps: tuple[Step, ...]
    problems: tuple[str, ...]


def lint(text: str, primitive_set: PrimitiveSet) -> LintReport:
    """Parse a distiller, compute every step on sample knowledge, and check values and gradients.

    Raises:
        FormulaError: if the text cannot be read.
    """
    distiller = parse_distiller(text, primitive_set)
    measured = distiller.with_scales(dict.fromkeys(distiller.uncalibrated, 1.0))
    steps: list[Step] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        knowledge = sample_knowledge(primitive_set)
        try:
            for term in measured.terms:
                steps += computed_steps(term.tree, primitive_set, knowledge)
            loss = DistillationLoss(measured, primitive_set).build(shapes_of(knowledge), seed=0)
            problems = _problems(loss, knowledge)
        except (RuntimeError, ValueError, TypeError) as error:
            problems = [f"shape: {error}".splitlines()[0]]
    return LintReport(distiller, tuple(steps), tuple(problems))


def sample_knowledge(primitive_set: PrimitiveSet) -> dict[str, list[Pair]]:
    """Draw one level of every input of a set; the student's side wants a gradient."""
    knowledge: dict[str, list[Pair]] = {}
    for name, declaration in primitive_set.declarations.items():
        if declaration.role == "input":
            size = _sample_size(declaration, primitive_set)
            student, teacher = sample(declaration.result, size), sample(declaration.result, size)
            knowledge[name] = [(student.requires_grad_(), teacher)]
    return knowledge


def _sample_size(declaration: Declaration, primitive_set: PrimitiveSet) -> tuple[int, ...]:
    """Return a size that fits the others of its knowledge; rows beside fields of rows come four to a number."""
    kind = declaration.result
    if issubclass(kind, (Map, Field)):
        return MAP_SIZE
    if issubclass(kind, Boxes):
        return ROWS, 4
    inputs = [d for d in primitive_set.declarations.values() if issubclass(d.result, RowField)]
    shared = issubclass(kind, Rows) and any(field.belongs_to(declaration.niche) for field in inputs)
    return (ROWS * ROWS_A_BOX if shared else ROWS), WIDTH


def computed_steps(
    tree: Sequence[Node], primitive_set: PrimitiveSet, knowledge: Mapping[str, list[Pair]]
) -> Iterator[Step]:
    """Compute a tree on knowledge, one level, and yield every operation with its kind and shape, arguments first."""
    values: list[Value] = []
    program = compile_tree(tree, primitive_set)
    parts = build_parts(program, shapes_of(knowledge), seed=0)
    for step in program:
        if step.declaration is None:
            values.append(step.value)
            continue
        if step.declaration.role == "input":
            pair = knowledge[step.declaration.name][0]
            value = pair if step.declaration.result.sided else pair[1]
        else:
            part = parts[step.text][0] if step.text in parts else None
            value = apply_primitive(step.declaration, [values[slot] for slot in step.arguments], part)
        values.append(value)
        tensor = value[0] if isinstance(value, tuple) else value
        yield Step(step.text, step.declaration.result.__name__, tuple(tensor.shape))


def _problems(loss: DistillationLoss, knowledge: dict[str, list[Pair]]) -> list[str]:
    if not loss.distiller.terms:
        return []
    problems = []
    total = loss(knowledge).total
    if not total.isfinite():
        problems.append(f"finite: the loss is {total.item()} on sample features")
    gradients = _student_gradients(loss, knowledge, total)
    if not any(gradient.any() for gradient in gradients):
        problems.append("gradient: no gradient reaches the student")
    if not all(gradient.isfinite().all() for gradient in gradients):
        problems.append("gradient: the gradient is not finite")
    if _one_sided(loss):
        return problems  # what only the student passes through need not give the teacher's value back
    equal = {name: [(teacher, teacher)] for name, [(_, teacher)] in knowledge.items()}
    at_teacher = loss(equal).total.item()
    if not abs(at_teacher) <= 1e-6 * max(1.0, abs(total.item())):
        problems.append(f"zero: the loss is {at_teacher:.3g} where student equals teacher")
    return problems


def _one_sided(loss: DistillationLoss) -> bool:
    """Whether a learned step acts on the student alone."""
    steps = (step.declaration for program in loss.programs for step in program)
    return any(declaration.sides == "student" for declaration in steps if declaration is not None)


def _student_gradients(loss: DistillationLoss, knowledge: dict[str, list[Pair]], total: Tensor) -> list[Tensor]:
    if not total.requires_grad:
        return []
    students = [student for name in loss.inputs for student, _ in knowledge[name]]
    gradients = torch.autograd.grad(total, students, allow_unused=True)
    return [gradient for gradient in gradients if gradient is not None]
