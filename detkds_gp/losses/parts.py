"""The modules of a formula's learned steps: made once the shapes of its inputs are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from detkds_gp.language import build_part
from detkds_gp.language.shapes import result_shape
from detkds_gp.losses.program import Instruction, Pair, Part

Shapes = Mapping[str, Sequence[tuple[int, ...]]]
"""By input name, for each level the shape of one side's tensor: (N, C, H, W) or (M, D)."""

DOTLESS = str.maketrans(".", "/")
"""A module's name holds no dots."""


def shapes_of(knowledge: Mapping[str, Sequence[Pair]]) -> Shapes:
    """Return the shapes of the knowledge of a batch."""
    return {name: [tuple(teacher.shape) for _, teacher in levels] for name, levels in knowledge.items()}


def learned_texts(program: Iterable[Instruction]) -> list[str]:
    """Return the texts of a program's learned steps, in the order they run."""
    return [step.text for step in program if step.declaration is not None and step.declaration.learned]


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
    inputs = [step.text for step in program if step.declaration is not None and step.declaration.role == "input"]
    levels = min(len(shapes[name]) for name in inputs)
    parts: dict[str, list[Part]] = {text: [] for text in learned_texts(program)}
    for level in range(levels if parts else 0):
        channels = _channels(program, {name: shapes[name][level] for name in inputs})
        for step in program:
            if step.declaration is not None and step.declaration.learned:
                parts[step.text].append(_part(step, channels[step.text], seed, level))
    return parts


def _part(step: Instruction, channels: int, seed: int, level: int) -> Part:
    assert step.declaration is not None
    sides = ("student", "teacher") if step.declaration.sides == "each" else ("student",)
    name = f"{step.text} {level}"
    return nn.ModuleDict({side: build_part(step.declaration, channels, seed, name) for side in sides})


def _channels(program: Sequence[Instruction], inputs: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return for every learned step the channels of what it takes: they follow from the declared shapes."""
    shapes: list[tuple[int, ...]] = []
    channels: dict[str, int] = {}
    for step in program:
        first = shapes[step.arguments[0]] if step.arguments else ()
        if step.declaration is None:
            shapes.append(())
        elif step.declaration.role == "input":
            shapes.append(inputs[step.text])
        else:
            shapes.append(result_shape(step.declaration.shape, first) if step.declaration.shape else ())
        if step.declaration is not None and step.declaration.learned:
            channels[step.text] = first[1]
    return channels
