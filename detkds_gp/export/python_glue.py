"""What every exported Python file holds beside its primitives, copied as it stands: it needs torch alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

Pair = tuple[Tensor, Tensor]
Knowledge = Mapping[str, Sequence[Pair]]


def over_levels(
    term: Callable[..., Tensor],
    knowledge: Knowledge,
    sided: Sequence[str],
    shared: Sequence[str],
    parts: Sequence[nn.Module] = (),
) -> Tensor:
    """Return the mean of a term over the pyramid's levels, in float32; the teacher gets no gradient.

    Args:
        term: takes one level.
        knowledge: by name, (student, teacher) of every level.
        sided: names of which the term takes both sides.
        shared: names of which it takes one tensor, the second.
        parts: its learned modules, level by level; empty where it has none.

    Raises:
        ValueError: an input is missing, or both sides differ in levels or shapes.
    """
    check_knowledge(knowledge, [*sided, *shared])
    levels = []
    device = knowledge[sided[0]][0][0].device.type
    with torch.autocast(device, enabled=False):
        for level in range(len(knowledge[sided[0]])):
            pairs = [(s.float(), t.detach().float()) for s, t in (knowledge[name][level] for name in sided)]
            fields = [knowledge[name][level][1].detach().float() for name in shared]
            levels.append(term(*pairs, *fields, *parts[level : level + 1]))
        return torch.stack(levels).mean()


def check_knowledge(knowledge: Knowledge, names: Sequence[str]) -> None:
    """Check that every input is there, with as many levels and the same shape on both sides.

    Raises:
        ValueError: it is not; says what was got, what is wanted, and what to do.
    """
    for name in names:
        if not knowledge.get(name):
            raise ValueError(
                f"the loss needs {name!r}, got {', '.join(knowledge) or 'nothing'}; see the docstring above"
            )
        if len(knowledge[name]) != len(knowledge[names[0]]):
            counts = f"{len(knowledge[name])} levels of {name!r}, {len(knowledge[names[0]])} of {names[0]!r}"
            raise ValueError(
                f"got {counts}, wanted as many; give (student, teacher) of every level both detectors have"
            )
        for level, (student, teacher) in enumerate(knowledge[name]):
            if student.shape != teacher.shape:
                shapes = f"student {tuple(student.shape)}, teacher {tuple(teacher.shape)}"
                remedy = "Adapters leads maps to the teacher's channels; images, levels and anchors have to agree"
                raise ValueError(f"{name!r}, level {level}: {shapes}, wanted equal shapes; {remedy}")


class Adapters(nn.Module):
    """A 1x1 convolution a level that leads the student's maps to the teacher's channels; train it with the student.

    Args:
        student: channels of its maps, level by level.
        teacher: channels of the teacher's.
    """

    def __init__(self, student: Sequence[int], teacher: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for inward, outward in zip(student, teacher, strict=True):
            same = inward == outward
            self.levels.append(nn.Identity() if same else nn.Conv2d(inward, outward, kernel_size=1))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return every level's map (N, C of the teacher, H, W)."""
        return [level(x) for level, x in zip(self.levels, maps, strict=True)]


def sample(kind: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw numbers for a test: ``boxes`` of 1 pixel at least, a ``field`` that is not negative, or ``features``."""
    x = torch.randn(shape, generator=generator)
    if kind == "boxes":
        corner = 50 * x[:, :2].abs()
        return torch.cat([corner, corner + 1 + 30 * x[:, 2:].abs()], dim=1)
    return x.abs() if kind == "field" else x


def sample_knowledge(samples: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, list[Pair]]:
    """Draw one level of every input, always the same; the student's side wants a gradient."""
    generator = torch.Generator().manual_seed(0)
    knowledge = {}
    for name, (kind, shape) in samples.items():
        student, teacher = sample(kind, shape, generator), sample(kind, shape, generator)
        knowledge[name] = [(student.requires_grad_(), teacher)]
    return knowledge


def fill(module: nn.Module) -> None:
    """Give every weight a number for a test, always the same."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.linspace(-0.1, 0.1, weight.numel()).view_as(weight))
