"""A tree as a short program: every distinct subtree is one instruction, run once a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from detkds_gp.language import Declaration, PrimitiveSet
from detkds_gp.language.tree import Node, fold, is_constant, node_text

Pair = tuple[Tensor, Tensor]
Value = Any  # Pair (sided), Tensor (Field, Loss) or float (Number)
Part = nn.ModuleDict
"""The modules of a learned step on one level: ``student`` and, where it has one, ``teacher``."""
NO_PARTS: Mapping[str, Part] = MappingProxyType({})


@dataclass(frozen=True)
class Instruction:
    """One operation.

    Attributes:
        text: the subtree it computes.
        declaration: what to call; None for a constant.
        arguments: the instructions that give its arguments.
        value: a constant's number.
        frees: instructions whose values nobody needs afterwards.
    """

    text: str
    declaration: Declaration | None
    arguments: tuple[int, ...] = ()
    value: float | None = None
    frees: tuple[int, ...] = ()


def compile_tree(tree: Sequence[Node], primitive_set: PrimitiveSet) -> tuple[Instruction, ...]:
    """Translate a tree; equal subtrees become one instruction."""
    program: list[Instruction] = []
    slots: dict[str, int] = {}

    def visit(node: Node, arguments: list[int]) -> int:
        inner = ", ".join(program[slot].text for slot in arguments)
        text = f"{node_text(node)}({inner})" if arguments else node_text(node)
        key = f"{text}: {node.ret.__name__}"
        if key not in slots:
            slots[key] = len(program)
            value = node.value if is_constant(node) else None
            declaration = None if value is not None else primitive_set.declarations[node.name]
            program.append(Instruction(text, declaration, tuple(arguments), value))
        return slots[key]

    fold(tree, visit)
    return _with_frees(program)


def _with_frees(program: list[Instruction]) -> tuple[Instruction, ...]:
    last_use = {slot: index for index, step in enumerate(program) for slot in step.arguments}
    frees: dict[int, list[int]] = {}
    for slot, index in last_use.items():
        frees.setdefault(index, []).append(slot)
    return tuple(replace(step, frees=tuple(frees.get(index, ()))) for index, step in enumerate(program))


def run(program: Sequence[Instruction], inputs: Mapping[str, Value], parts: Mapping[str, Part] = NO_PARTS) -> Tensor:
    """Run a program on one level.

    Args:
        program: as `compile_tree` gives it.
        inputs: by input name: (student, teacher) of equal shapes, or one tensor for a shared field.
        parts: of the level, by a learned step's text, its modules.

    Returns:
        the loss, ().
    """
    values: list[Value] = []
    for step in program:
        values.append(_apply(step, values, inputs, parts))
        for slot in step.frees:
            values[slot] = None
    return values[-1]


def _apply(step: Instruction, values: list[Value], inputs: Mapping[str, Value], parts: Mapping[str, Part]) -> Value:
    if step.declaration is None:
        return step.value
    if step.declaration.role == "input":
        return inputs[step.declaration.name]
    return apply_primitive(step.declaration, [values[slot] for slot in step.arguments], parts.get(step.text))


def apply_primitive(declaration: Declaration, arguments: Sequence[Value], part: Part | None = None) -> Value:
    """Call a primitive as its role says: a transform on both sides, the others on the pair.

    Args:
        declaration: of the primitive.
        arguments: its values.
        part: the modules of a learned one by side; a side without one passes by unchanged.

    Raises:
        ValueError: if a learned primitive comes without its modules.
    """
    if declaration.learned:
        return _through(declaration, arguments, part)
    sided = [kind.sided for kind in declaration.arguments]
    if declaration.role == "transform" and any(sided):
        student = [a[0] if two else a for a, two in zip(arguments, sided, strict=True)]
        teacher = [a[1] if two else a for a, two in zip(arguments, sided, strict=True)]
        return declaration.function(*student), declaration.function(*teacher)
    if declaration.role in ("pair_transform", "distance"):
        return declaration.function(*arguments[0], *arguments[1:])
    return declaration.function(*arguments)


def _through(declaration: Declaration, arguments: Sequence[Value], part: Part | None) -> Pair:
    if part is None:
        raise ValueError(f"{declaration.name!r} has weights that are not made; build the loss first")
    (student, teacher), shared = arguments[0], arguments[1:]
    seen = part["teacher"](teacher, *shared) if "teacher" in part else teacher
    return part["student"](student, *shared), seen
