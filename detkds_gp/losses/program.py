"""A tree as a short program: each distinct subtree is one instruction, run once a level; learned steps have modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from detkds_gp.language import Declaration, Input, Learned, PrimitiveSet
from detkds_gp.language.tree import Node, call_text, fold, is_constant

Pair = tuple[Tensor, Tensor]
Value = Any  # Pair (sided), Tensor (Field, Loss) or float (Number)
Part = nn.ModuleDict
"""The modules of a learned step on one level: ``student`` and, where it has one, ``teacher``."""
Shapes = Mapping[str, Sequence[tuple[int, ...]]]
"""By input name, for each level the shape of one side's tensor: (N, C, H, W) or (M, D)."""
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
        text = call_text(node, [program[slot].text for slot in arguments])
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


def shapes_of(knowledge: Mapping[str, Sequence[Pair]]) -> Shapes:
    """Return the shapes of the knowledge of a batch."""
    return {name: [tuple(teacher.shape) for _, teacher in levels] for name, levels in knowledge.items()}


def learned_texts(program: Iterable[Instruction]) -> list[str]:
    """Return the texts of a program's learned steps, in the order they run."""
    return [step.text for step in program if isinstance(step.declaration, Learned)]


def build_parts(program: Sequence[Instruction], shapes: Shapes, seed: int) -> dict[str, list[Part]]:
    """Make the modules of every learned step of a program, a `Part` for each level.

    The weights of a module depend on the seed, its step's text and its level alone, so that they are
    the same in whatever formula it stands and wherever it is trained. Both sides start alike.

    Args:
        program: as `compile_tree` gives it.
        shapes: at least those of the program's inputs.
        seed: of the training.

    Returns:
        by a step's text, its modules level by level.
    """
    inputs = [declaration.name for declaration in inputs_of(program)]
    levels = min(len(shapes[name]) for name in inputs)
    parts: dict[str, list[Part]] = {text: [] for text in learned_texts(program)}
    for level in range(levels if parts else 0):
        channels = _channels(program, {name: shapes[name][level] for name in inputs})
        for step in program:
            if isinstance(step.declaration, Learned):
                parts[step.text].append(_part(step.declaration, channels[step.text], seed, f"{step.text} {level}"))
    return parts


def _part(declaration: Learned, channels: int, seed: int, name: str) -> Part:
    sides = ("student", "teacher") if declaration.sides == "each" else ("student",)
    return nn.ModuleDict({side: declaration.made(channels, seed, name) for side in sides})


def _channels(program: Sequence[Instruction], inputs: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return for every learned step the channels of what it takes: they follow from the declared shapes."""
    shapes: list[tuple[int, ...]] = []
    channels: dict[str, int] = {}
    for step in program:
        first = shapes[step.arguments[0]] if step.arguments else ()
        if step.declaration is None:
            shapes.append(())
        elif isinstance(step.declaration, Input):
            shapes.append(inputs[step.text])
        else:
            shapes.append(step.declaration.shape_of(first))
        if isinstance(step.declaration, Learned):
            channels[step.text] = first[1]
    return channels
