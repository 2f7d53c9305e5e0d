"""Roles: what a primitive can be in a formula, each a class that holds and does what its role needs."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from detkds_gp.errors import DeclarationError
from detkds_gp.language.declarations import NO_ALGEBRA, Algebra, Declaration
from detkds_gp.language.kinds import Number

if TYPE_CHECKING:
    from torch import nn

Sides = Literal["student", "each"]


@dataclass(frozen=True, eq=False, repr=False)
class Input(Declaration):
    """What a formula starts from; its function says in its docstring what it is, and computes nothing.

    Attributes:
        niches: the knowledge it belongs to; a sided input has exactly one, none means every knowledge.
        source: where detectors find it, a known knowledge or a module path.
    """

    niches: tuple[str, ...]
    source: str
    role = "input"

    @property
    def niche(self) -> str:
        """The one knowledge a sided input belongs to; empty for a shared one."""
        return self.niches[0] if self.result.sided else ""

    def belongs_to(self, niche: str) -> bool:
        """Whether formulas of a knowledge may use it."""
        return not self.niches or niche in self.niches

    def check(self) -> None:
        """Refuse a sided input that does not belong to one knowledge."""
        super().check()
        sided = self.result.sided
        if not all(self.niches) or (sided and len(self.niches) != 1):
            wanted = "the one knowledge it belongs to" if sided else "names of knowledge, or nothing for every one"
            raise DeclarationError(f"input {self.name!r}: niche is {self.niches!r}, wanted {wanted}")


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Declaration):
    """A grid of numbers that growth draws from; its function returns the grid.

    Attributes:
        values: the grid.
    """

    values: tuple[float, ...]
    role = "constant"

    def check(self) -> None:
        """Refuse an empty grid, and a value outside the kind's range."""
        super().check()
        kind = self.result
        if not self.values or not issubclass(kind, Number):
            wanted = "wanted a Number kind and at least one value"
            raise DeclarationError(f"constant {self.name!r}: got {kind.__name__}, {self.values}, {wanted}")
        outside = [value for value in self.values if not kind.low <= value <= kind.high]
        if outside:
            wanted = f"{kind.__name__} is {kind.low} to {kind.high}"
            raise DeclarationError(f"constant {self.name!r}: got {outside[0]}, {wanted}")

    def with_values(self, *values: float) -> Constant:
        """Return the same constant with another grid of values.

        Raises:
            DeclarationError: if a value lies outside the kind's range.
        """
        changed = replace(self, values=tuple(map(float, values)))
        changed.check()
        return changed


@dataclass(frozen=True, eq=False, repr=False)
class Combiner(Declaration):
    """A function of losses and numbers that returns a loss."""

    algebra: Algebra = NO_ALGEBRA
    role = "combiner"


class OfPair(Declaration):
    """A function of both sides of its first argument, and of shared values."""

    computes = True

    def check(self) -> None:
        """Refuse a first argument without sides."""
        super().check()
        if not (self.arguments and self.arguments[0].sided):
            raise DeclarationError(f"{self!r}: the first argument of a {self.role} has two sides")

    def apply(self, arguments: Sequence[Any], part: Any = None) -> Any:
        """Hand both sides on at once."""
        return self.function(*arguments[0], *arguments[1:])


@dataclass(frozen=True, eq=False, repr=False)
class Distance(OfPair):
    """A function of student, teacher and shared values that returns a loss."""

    role = "distance"


@dataclass(frozen=True, eq=False, repr=False)
class Shaped(Declaration):
    """What turns one value into another.

    Attributes:
        shape: ``n c h w -> n c h/2 w/2``: first argument's and result's axes (h/2 rounds up).
    """

    shape: str
    computes = True

    def shape_of(self, first: tuple[int, ...]) -> tuple[int, ...]:
        """Return its result's shape for a first argument of a shape.

        Raises:
            DeclarationError: if it declares another first argument, or its result has an axis of its own.
        """
        left, arrow, right = self.shape.partition("->")
        names = left.split()
        if not arrow or len(names) != len(first):
            raise DeclarationError(f"shape {self.shape!r} does not describe a first argument of shape {first}")
        axes = dict(zip(names, first, strict=True))
        return tuple(_extent(token, axes) for token in re.findall(r"\([^)]*\)|\S+", right))


@dataclass(frozen=True, eq=False, repr=False)
class Transform(Shaped):
    """A function of one tensor and shared values, applied to both sides alike."""

    algebra: Algebra = NO_ALGEBRA
    role = "transform"

    @property
    def each_side(self) -> bool:
        """Whether it is called for each side: not where all that it takes is shared."""
        return any(kind.sided for kind in self.arguments)

    def check(self) -> None:
        """Refuse a function of nothing."""
        super().check()
        if not self.arguments:
            raise DeclarationError(f"{self!r}: a transform takes at least one argument")

    def apply(self, arguments: Sequence[Any], part: Any = None) -> Any:
        """Transform either side with the same shared values."""
        if not self.each_side:
            return self.function(*arguments)
        pairs = [a if kind.sided else (a, a) for a, kind in zip(arguments, self.arguments, strict=True)]
        student, teacher = zip(*pairs, strict=True)
        return self.function(*student), self.function(*teacher)


@dataclass(frozen=True, eq=False, repr=False)
class PairTransform(OfPair, Shaped):
    """A function of student, teacher and shared values that returns both, or one field."""

    random: bool = False
    role = "pair_transform"


@dataclass(frozen=True, eq=False, repr=False)
class Learned(OfPair, Shaped):
    """A transform with weights; its function is the `torch.nn.Module` class, made with the channels of what it takes.

    Attributes:
        sides: ``student``, which the teacher's side passes by, or ``each``, with weights of its own on either side.
    """

    sides: Sides
    random: bool = False
    role = "learned"

    def check(self) -> None:
        """Refuse sides that are unknown, or that it cannot have."""
        super().check()
        if self.sides not in get_args(Sides):
            raise DeclarationError(f"{self!r}: sides is {self.sides!r}, wanted {' or '.join(get_args(Sides))}")
        if not self.result.sided or any(kind.sided for kind in self.arguments[1:]):
            raise DeclarationError(f"{self!r}: wanted one value of two sides, the first, and a result that has two")
        taken, _, given = self.shape.partition("->")
        same = taken.split() == given.split() and issubclass(self.arguments[0], self.result)
        if self.sides == "student" and not same:
            wanted = "the teacher's side passes by unchanged; keep kind and shape, or give sides='each'"
            raise DeclarationError(f"{self!r} of the student alone changes kind or shape, but {wanted}")

    def made(self, channels: int, seed: int, name: str) -> nn.Module:
        """Make one of its modules; the weights depend on the arguments alone, and torch's generators stay as they are.

        Args:
            channels: of what it takes.
            seed: of the training.
            name: tells it from the others of the same training.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(random.Random(f"{seed}/{name}").getrandbits(63))
            part: nn.Module = self.function(channels)
        return part

    def apply(self, arguments: Sequence[Any], part: Any = None) -> Any:
        """Send each side through its module; a side without one passes by unchanged.

        Raises:
            ValueError: if its modules are not given.
        """
        if part is None:
            raise ValueError(f"{self.name!r} has weights that are not made; build the loss first")
        (student, teacher), shared = arguments[0], arguments[1:]
        seen = part["teacher"](teacher, *shared) if "teacher" in part else teacher
        return part["student"](student, *shared), seen


ROLES = (Input, Transform, PairTransform, Learned, Distance, Combiner, Constant)


def _extent(token: str, axes: dict[str, int]) -> int:
    if token.startswith("("):
        return math.prod(_extent(part, axes) for part in token[1:-1].split())
    name, _, divisor = token.partition("/")
    value = int(name) if name.isdigit() else axes.get(name)
    if value is None:
        raise DeclarationError(f"unknown axis {name!r} in a shape; known: {', '.join(axes)}")
    return math.ceil(value / int(divisor or 1))
