"""Declarations: what the language knows of a primitive."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from detkds_gp.errors import DeclarationError
from detkds_gp.language.kinds import Kind, Number

KindType = type[Kind]
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
NONE = "none"
"""The text of the distiller without terms: the student alone."""

CALIBRATED = "calibrated"
"""What stands in a text for a scale that is to be measured."""

RESERVED = (NONE, CALIBRATED)


@dataclass(frozen=True, eq=False)
class Algebra:
    """What the canonical form may assume of a primitive.

    Attributes:
        commutative: order and nesting do not matter: f(a, f(b, c)) = f(f(c, a), b).
        idempotent: f(f(x)) = f(x).
        multiplies: the second argument is a factor: f(f(x, a), b) = f(x, a b), f(x, 1) = x.
    """

    commutative: bool = False
    idempotent: bool = False
    multiplies: bool = False


class Absent:
    """The function of a primitive that is not imported: a name and an effect, enough to read and draw formulas.

    Called, or asked for its source, it imports the function.

    Args:
        module: where the primitive is declared.
        qualname: what it is called there.
        doc: its docstring.
    """

    def __init__(self, module: str, qualname: str, doc: str) -> None:
        self.__module__, self.__qualname__, self.__doc__ = module, qualname, doc

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function itself, as `inspect` asks for it."""
        return _declared(self.__module__, self.__qualname__).function

    def __call__(self, *args: Any) -> Any:
        """Import the function and call it."""
        return self.__wrapped__(*args)


@dataclass(frozen=True, eq=False)
class Declaration:
    """One primitive of the formula language.

    Attributes:
        name: what formulas call it.
        role: input, transform, pair_transform, learned, distance, combiner or constant.
        arguments: the kinds it takes.
        result: the kind it returns.
        function: for one tensor (transform), for student and teacher (pair_transform, distance),
            for losses and numbers (combiner); an input's says what it is in its docstring only; a
            constant's returns its grid of values; a learned one is the `torch.nn.Module` class, made
            with the channels of what it takes.
        latex: LaTeX with ``#1``..``#n`` for the arguments.
        shape: ``n c h w -> n c h/2 w/2``: first argument's and result's axes (h/2 rounds up).
        niches: for an input: the knowledge it belongs to; a sided input has exactly one, none means
            every knowledge.
        source: for an input: where detectors find it, a known knowledge or a module path.
        random: whether it draws random numbers.
        sides: for a learned one: ``student``, which the teacher's side passes by, or ``each``, with
            weights of its own on either side.
        algebra: what the canonical form may assume.
    """

    name: str
    role: str
    arguments: tuple[KindType, ...]
    result: KindType
    function: Callable[..., Any]
    latex: str
    shape: str = ""
    niches: tuple[str, ...] = ()
    source: str = ""
    random: bool = False
    sides: str = ""
    algebra: Algebra = field(default_factory=Algebra)
    values: tuple[float, ...] = ()

    def __call__(self, *args: Any) -> Any:
        """Call the plain function."""
        return self.function(*args)

    def __repr__(self) -> str:
        kinds = ", ".join(kind.__name__ for kind in self.arguments)
        arrow = f"({kinds}) ->" if kinds else ":"
        return f"{self.name}{arrow} {self.result.__name__}"

    def __reduce__(self) -> tuple[Any, ...]:
        where = (self.function.__module__, self.function.__qualname__)
        return _restore, (*where, self.arguments, self.result, self.values)

    @property
    def computes(self) -> bool:
        """Whether it has a contract that can be tried: its function takes tensors."""
        return self.role in ("transform", "pair_transform", "learned", "distance")

    @property
    def learned(self) -> bool:
        """Whether it has weights that are trained with the student."""
        return self.role == "learned"

    @property
    def niche(self) -> str:
        """The one knowledge a sided input belongs to; empty for anything else."""
        return self.niches[0] if self.role == "input" and self.result.sided else ""

    @property
    def determined(self) -> bool:
        """Whether its result follows from its arguments alone; losses that are not are told apart by text only."""
        return not (self.random or self.learned)

    def belongs_to(self, niche: str) -> bool:
        """Whether formulas of a knowledge may use it."""
        return not self.niches or niche in self.niches

    @property
    def doc(self) -> str:
        """First line of the docstring: the effect."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    def retyped(self, *kinds: KindType) -> Declaration:
        """Return the same primitive with narrower kinds, result last, to fix an order in a set.

        Raises:
            DeclarationError: if a kind is missing or no subclass of the declared one.
        """
        declared = (*self.arguments, self.result)
        if len(kinds) != len(declared) or not all(map(issubclass, kinds, declared)):
            got = ", ".join(kind.__name__ for kind in kinds)
            raise DeclarationError(f"retyped({got}) does not refine {self!r}; give one subclass for each kind")
        return replace(self, arguments=kinds[:-1], result=kinds[-1])

    def with_values(self, *values: float) -> Declaration:
        """Return the same constant with another grid of values.

        Raises:
            DeclarationError: if it is no constant, or a value lies outside the kind's range.
        """
        if self.role != "constant":
            raise DeclarationError(f"{self!r} is a {self.role}; only constants have values")
        return replace(self, values=checked_values(self.name, self.result, values))


def _restore(module: str, qualname: str, arguments: tuple, result: KindType, values: tuple) -> Declaration:
    return replace(_declared(module, qualname), arguments=arguments, result=result, values=values)


def _declared(module: str, qualname: str) -> Declaration:
    declared = getattr(import_module(module), qualname, None)
    if not isinstance(declared, Declaration):
        got = f"primitive {qualname!r} is not at the top of module {module!r}"
        raise DeclarationError(f"{got}; move it to an importable file")
    return declared


def checked_values(name: str, kind: type[Any], values: Sequence[float]) -> tuple[float, ...]:
    """Return a constant's grid of values.

    Raises:
        DeclarationError: if it is empty, or a value lies outside the kind's range.
    """
    if not values or not issubclass(kind, Number):
        wanted = "wanted a Number kind and at least one value"
        raise DeclarationError(f"constant {name!r}: got {kind.__name__}, {values}, {wanted}")
    outside = [value for value in values if not kind.low <= value <= kind.high]
    if outside:
        wanted = f"{kind.__name__} is {kind.low} to {kind.high}"
        raise DeclarationError(f"constant {name!r}: got {outside[0]}, {wanted}")
    return tuple(float(value) for value in values)


def describe(declarations: Mapping[str, Declaration]) -> list[dict[str, Any]]:
    """Return name, role, kinds, shape, LaTeX and effect of every primitive, as JSON values."""
    return [
        {
            "name": d.name,
            "role": d.role,
            "arguments": [kind.__name__ for kind in d.arguments],
            "result": d.result.__name__,
            "shape": d.shape,
            "latex": d.latex,
            "doc": d.doc,
            "values": list(d.values),
            "niches": list(d.niches),
            "random": d.random,
            "sides": d.sides,
        }
        for d in declarations.values()
    ]
