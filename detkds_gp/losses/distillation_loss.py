"""Distiller text -> torch module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from detkds_gp.errors import FormulaError
from detkds_gp.language import Distiller, Input, PrimitiveSet, parse_distiller
from detkds_gp.losses.program import (
    Instruction,
    Pair,
    Part,
    Shapes,
    build_parts,
    compile_tree,
    inputs_of,
    learned_texts,
    run,
)

Knowledge = Mapping[str, Sequence[Pair]]
"""By input name, (student, teacher) of every level; a shared field stands on both sides."""

DOTLESS = str.maketrans(".", "/")
"""A module's name holds no dots."""

MACHINE_FAULTS = ("memory", "ALLOC_FAILED", "CUDA error")
"""Words of errors that are no fault of the formula that met them."""


@dataclass(frozen=True)
class LossTerms:
    """What a distiller says of a batch.

    Attributes:
        total: (), the weighted sum of all terms.
        levels: by knowledge, the weighted loss of every level, (L,); their mean is the term.
    """

    total: Tensor
    levels: dict[str, Tensor]


class KnowledgeError(ValueError):
    """Knowledge that is missing or whose two sides do not fit; the training names it ``shape``."""


class DistillationLoss(nn.Module):
    """A distiller as a loss: give it the knowledge of a batch, take the scalar and its terms.

    Everything is computed in float32, whatever autocast says; the teacher never gets a gradient.
    A formula with learned primitives has weights, which `build` makes once the shapes are known.

    Args:
        distiller: text or value; every scale must be a number.
        primitive_set: whose primitives the text names.

    Attributes:
        programs: the compiled tree of every term.
        parts: the modules of learned steps, by the step's text (``/`` for its dots) and level.

    Raises:
        FormulaError: if the text is broken or a scale is still to be measured.
    """

    def __init__(self, distiller: str | Distiller, primitive_set: PrimitiveSet) -> None:
        super().__init__()
        if isinstance(distiller, str):
            distiller = parse_distiller(distiller, primitive_set)
        if distiller.uncalibrated:
            got = f"the scale of {distiller.uncalibrated[0]} is not measured"
            raise FormulaError(f"{got}; write a number for 'calibrated'")
        self.distiller = distiller
        self.programs = [compile_tree(term.tree, primitive_set) for term in distiller.terms]
        self.parts = nn.ModuleDict()

    def build(self, shapes: Shapes, seed: int) -> DistillationLoss:
        """Make the weights of learned primitives; a loss without any stays as it is.

        Args:
            shapes: of the inputs, level by level.
            seed: of the training: the same weights, whatever else is trained, wherever.

        Returns:
            itself.

        Raises:
            KnowledgeError: if an input is missing.
        """
        for program in filter(learned_texts, self.programs):
            missing = [d.name for d in inputs_of(program) if not shapes.get(d.name)]
            if missing:
                raise KnowledgeError(_missing(missing[0], shapes))
            for text, levels in build_parts(program, shapes, seed).items():
                self.parts[text.translate(DOTLESS)] = nn.ModuleList(levels)
        return self

    def extra_repr(self) -> str:
        """Return the distiller's text."""
        return self.distiller.text

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the knowledge inputs that `forward` needs."""
        return tuple(self.sources)

    @property
    def sources(self) -> dict[str, str]:
        """By input name, the detectors' knowledge it stands for."""
        return {d.name: d.source for program in self.programs for d in inputs_of(program)}

    def forward(self, knowledge: Knowledge) -> LossTerms:
        """Compute the loss.

        Args:
            knowledge: at least the tensors of `inputs`, both sides of equal shape at every level.

        Returns:
            the total and its terms by knowledge and level.

        Raises:
            KnowledgeError: if an input is missing or the sides differ in shape.
        """
        levels: dict[str, Tensor] = {}
        with torch.autocast(_device(knowledge), enabled=False):
            for term, program in zip(self.distiller.terms, self.programs, strict=True):
                factor = term.weight * float(term.scale or 0.0)
                per_level = [
                    run(program, inputs, self.parts_of(program, level))
                    for level, inputs in enumerate(_by_level(program, knowledge))
                ]
                levels[term.knowledge] = torch.stack(per_level) * factor
        means = [losses.mean() for losses in levels.values()]
        return LossTerms(sum(means[1:], means[0]) if means else torch.zeros(()), levels)

    def parts_of(self, program: Sequence[Instruction], level: int) -> dict[str, Part]:
        """Return the modules of one level; none while they are not made."""
        texts = learned_texts(program) if len(self.parts) else []
        return {text: cast("Any", self.parts[text.translate(DOTLESS)])[level] for text in texts}


def _missing(name: str, given: Iterable[str]) -> str:
    return f"the formula needs {name!r}, the pair gives {', '.join(given) or 'nothing'}"


def _device(knowledge: Knowledge) -> str:
    return next((pair[0].device.type for levels in knowledge.values() for pair in levels), "cpu")


def _by_level(program: Sequence[Instruction], knowledge: Knowledge) -> list[dict[str, Pair | Tensor]]:
    """Validate the inputs of one program and return them by level."""
    inputs = inputs_of(program)
    missing = [d.name for d in inputs if not knowledge.get(d.name)]
    if missing:
        raise KnowledgeError(_missing(missing[0], knowledge))
    levels = len(knowledge[next(d.name for d in inputs if d.result.sided)])
    for d in inputs:
        if len(knowledge[d.name]) != levels:
            raise KnowledgeError(f"{d.name!r} has {len(knowledge[d.name])} levels, wanted {levels}")
    return [{d.name: _validated(d, knowledge[d.name][level]) for d in inputs} for level in range(levels)]


def _validated(declaration: Input, pair: Pair) -> Pair | Tensor:
    """Check the shapes, cast to float32 what is less, detach the teacher; a shared field has one side."""
    student, teacher = pair
    if student.shape != teacher.shape:
        shapes = f"student {tuple(student.shape)}, teacher {tuple(teacher.shape)}"
        raise KnowledgeError(f"{declaration.name!r}: {shapes}, wanted equal shapes")
    shared = _widened(teacher.detach())
    return (_widened(student), shared) if declaration.result.sided else shared


def _widened(side: Tensor) -> Tensor:
    return side if side.dtype == torch.float64 else side.float()
