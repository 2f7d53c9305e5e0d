"""A tree as a short program: every distinct subtree is one instruction, run once a level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from detkds_gp.language import Declaration, Input, PrimitiveSet
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

    def compute(self, values: Sequence[Value], inputs: Mapping[str, Value], parts: Mapping[str, Part]) -> Value:
        """Return its value from those of the instructions before it; inputs and parts as `run` takes them."""
        if self.declaration is None:
            return self.value
        if isinstance(self.declaration, Input):
            return inputs[self.declaration.name]
        return self.declaration.apply([values[slot] for slot in self.arguments], parts.get(self.text))


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


def inputs_of(program: Iterable[Instruction]) -> list[Input]:
    """Return the inputs that a program reads, in the order read."""
    return [step.declaration for step in program if isinstance(step.declaration, Input)]


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
        values.append(step.compute(values, inputs, parts))
        for slot in step.frees:
            values[slot] = None
    return values[-1]
