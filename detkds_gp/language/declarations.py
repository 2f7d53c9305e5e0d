"""Declarations: what the language knows of every primitive; `roles` has a class for each thing that one can be."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import Any, TypeVar

from detkds_gp.errors import DeclarationError
from detkds_gp.language.kinds import Kind, Number

KindType = type[Kind]
NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
NONE = "none"
"""The text of the distiller without terms: the student alone."""

CALIBRATED = "calibrated"
"""What stands in a text for a scale that is to be measured."""

RESERVED = (NONE, CALIBRATED)
D = TypeVar("D", bound="Declaration")


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

    def check(self, declaration: Declaration) -> None:
        """Refuse kinds that it cannot hold for."""
        kinds = declaration.arguments
        if self.commutative and not (len(kinds) == 2 and kinds[0] is kinds[1] is declaration.result):
            raise DeclarationError(f"{declaration!r} cannot be commutative; wanted f(A, A) -> A")
        if self.idempotent and not (kinds and kinds[0] is declaration.result):
            raise DeclarationError(f"{declaration!r} cannot be idempotent; wanted f(A, ...) -> A")
        if self.multiplies:
            fits = len(kinds) == 2 and kinds[0] is declaration.result
            if not (fits and issubclass(kinds[1], Number) and 0 < kinds[1].low < 1 < kinds[1].high):
                raise DeclarationError(f"{declaration!r} cannot multiply; wanted f(A, Number) -> A")


NO_ALGEBRA = Algebra()


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
class Declaration(ABC):
    """One primitive of the formula language.

    Attributes:
        name: what formulas call it.
        arguments: the kinds it takes.
        result: the kind it returns.
        function: what was decorated; each role says what it takes.
        latex: LaTeX with ``#1``..``#n`` for the arguments.
        algebra: what the canonical form may assume.
        random: whether it draws random numbers.
        computes: whether it has a contract that can be tried: its function takes tensors.
    """

    name: str
    arguments: tuple[KindType, ...]
    result: KindType
    function: Callable[..., Any]
    latex: str

    algebra = NO_ALGEBRA
    random = False
    computes = False

    @property
    @abstractmethod
    def role(self) -> str:
        """What listings, pictures and recorded grammars call its class."""

    def __call__(self, *args: Any) -> Any:
        """Call the plain function."""
        return self.function(*args)

    def __repr__(self) -> str:
        kinds = ", ".join(kind.__name__ for kind in self.arguments)
        arrow = f"({kinds}) ->" if kinds else ":"
        return f"{self.name}{arrow} {self.result.__name__}"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "function"}
        return _restore, (self.function.__module__, self.function.__qualname__, values)

    @property
    def doc(self) -> str:
        """First line of the docstring: the effect."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    def check(self) -> None:
        """Refuse what is wrong without running the function; see `verdicts` for its contract.

        Raises:
            DeclarationError: says what, and what is wanted.
        """
        if not NAME.fullmatch(self.name) or self.name in RESERVED:
            wanted = f"wanted letters, digits and _, and none of {', '.join(RESERVED)}"
            raise DeclarationError(f"primitive is called {self.name!r}, {wanted}; rename it")
        if not (self.function.__doc__ or "").strip():
            raise DeclarationError(f"primitive {self.name!r} has no docstring; say the effect in one line")
        slots = {int(digit) for digit in re.findall(r"#(\d)", self.latex)}
        arity = len(self.arguments)
        if slots != set(range(1, arity + 1)):
            got = f"LaTeX of {self.name!r} is {self.latex!r}"
            raise DeclarationError(f"{got}, wanted #1 to #{arity} in it, its {arity} argument(s)")
        self.algebra.check(self)

    def apply(self, arguments: Sequence[Any], part: Any = None) -> Any:
        """Compute its value.

        Args:
            arguments: a sided one is (student, teacher).
            part: of a learned one, the modules by side.
        """
        return self.function(*arguments)

    def shape_of(self, first: tuple[int, ...]) -> tuple[int, ...]:
        """Return its result's shape for a first argument of a shape: a loss has none."""
        return ()

    def belongs_to(self, niche: str) -> bool:
        """Whether formulas of a knowledge may use it."""
        return True

    def retyped(self: D, *kinds: KindType) -> D:
        """Return the same primitive with narrower kinds, result last, to fix an order in a set.

        Raises:
            DeclarationError: if a kind is missing or no subclass of the declared one.
        """
        declared = (*self.arguments, self.result)
        if len(kinds) != len(declared) or not all(map(issubclass, kinds, declared)):
            got = ", ".join(kind.__name__ for kind in kinds)
            raise DeclarationError(f"retyped({got}) does not refine {self!r}; give one subclass for each kind")
        return replace(self, arguments=kinds[:-1], result=kinds[-1])

    def with_values(self: D, *values: float) -> D:
        """Return the same constant with another grid of values.

        Raises:
            DeclarationError: if it is no constant, or a value lies outside the kind's range.
        """
        raise DeclarationError(f"{self!r} is a {self.role}; only constants have values")


def _restore(module: str, qualname: str, values: dict[str, Any]) -> Declaration:
    return replace(_declared(module, qualname), **values)


def _declared(module: str, qualname: str) -> Declaration:
    declared = getattr(import_module(module), qualname, None)
    if not isinstance(declared, Declaration):
        got = f"primitive {qualname!r} is not at the top of module {module!r}"
        raise DeclarationError(f"{got}; move it to an importable file")
    return declared


def describe(declarations: Mapping[str, Declaration]) -> list[dict[str, Any]]:
    """Return name, role, kinds, shape, LaTeX and effect of every primitive, as JSON values."""
    return [
        {
            "name": d.name,
            "role": d.role,
            "arguments": [kind.__name__ for kind in d.arguments],
            "result": d.result.__name__,
            "shape": getattr(d, "shape", ""),
            "latex": d.latex,
            "doc": d.doc,
            "values": list(getattr(d, "values", ())),
            "niches": list(getattr(d, "niches", ())),
            "random": d.random,
            "sides": getattr(d, "sides", ""),
        }
        for d in declarations.values()
    ]
