"""The modules of a formula's learned steps: made once the shapes of its inputs are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from detkds_gp.language import Input, Learned, build_part
from detkds_gp.losses.program import Instruction, Pair, Part, inputs_of

Shapes = Mapping[str, Sequence[tuple[int, ...]]]
"""By input name, for each level the shape of one side's tensor: (N, C, H, W) or (M, D)."""

DOTLESS = str.maketrans(".", "/")
"""A module's name holds no dots."""


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
    return nn.ModuleDict({side: build_part(declaration, channels, seed, name) for side in sides})


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
