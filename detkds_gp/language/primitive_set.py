"""A primitive set: an explicit list of declarations, as a DEAP set whose types are kinds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from inspect import getsource
from typing import Any

from deap import gp

from detkds_gp.errors import DeclarationError, nearest
from detkds_gp.language.declarations import Declaration, KindType, describe
from detkds_gp.language.kinds import Loss
from detkds_gp.language.loading import load_named
from detkds_gp.language.roles import Constant, Input
from detkds_gp.language.tree import Node
from detkds_gp.language.verdicts import ensure_contract

NEVER = 10**9


class PrimitiveSet(gp.PrimitiveSetTyped):
    """The primitives a search may use, built on `deap.gp.PrimitiveSetTyped`.

    Primitives that do not come with detkds_gp are tried when they are first put into a set, see `verdicts`.

    Args:
        name: how people call the set.
        declarations: what formulas are grown from, in the order that fixes all random choices.
        known: what formulas may name besides, such as learned primitives: it is never drawn, and
            comes into a search only with formulas from outside.

    Attributes:
        declarations: by name, those grown from first.
        known: the names that are never drawn.
        inputs: what formulas start from, in the order listed.
        niches: the knowledge the inputs belong to, in the order listed.

    Raises:
        DeclarationError: for duplicate names, entries that are no declarations, one that breaks its contract, or a
            niche from which no loss can be built.
    """

    def __init__(self, name: str, declarations: Sequence[Declaration], known: Sequence[Declaration] = ()) -> None:
        super().__init__(name, [], Loss)
        self.declarations: dict[str, Declaration] = {}
        for declaration in declarations:
            self._declare(declaration)
        self._heights = self._minimum_heights()
        for declaration in known:
            self._introduce(declaration)
        self.known = tuple(declaration.name for declaration in known)
        self.inputs = tuple(d for d in self.declarations.values() if isinstance(d, Input))
        self.niches: tuple[str, ...] = tuple(dict.fromkeys(d.niche for d in self.inputs if d.result.sided))
        if not self.niches:
            raise DeclarationError(f"set {name!r} has no input that student and teacher share; add one")
        self._by_niche = {niche: self._narrowed(niche) for niche in self.niches}
        for niche, narrowed in self._by_niche.items():
            if narrowed.min_height(Loss) >= NEVER:
                raise DeclarationError(f"set {name!r}: no formula from {niche!r} ends in a Loss; add a distance")

    def _enter(self, declaration: Declaration) -> None:
        if not isinstance(declaration, Declaration):
            raise DeclarationError(f"set {self.name!r}: {declaration!r} is not declared; decorate it")
        if declaration.name in self.declarations:
            raise DeclarationError(f"set {self.name!r}: two primitives are called {declaration.name!r}; rename one")
        ensure_contract(declaration)
        self.declarations[declaration.name] = declaration

    def _introduce(self, declaration: Declaration) -> None:
        """Let formulas name a primitive, and never draw it."""
        self._enter(declaration)
        name, result, given = declaration.name, declaration.result, isinstance(declaration, Input)
        if isinstance(declaration, Constant) or (given and result.sided):
            raise DeclarationError(f"set {self.name!r}: {declaration!r} cannot be known without being grown from")
        arguments = list(declaration.arguments)
        self.mapping[name] = gp.Terminal(name, True, result) if given else gp.Primitive(name, arguments, result)

    def _declare(self, declaration: Declaration) -> None:
        self._enter(declaration)
        if isinstance(declaration, Constant):
            for value in declaration.values:
                self.addTerminal(value, declaration.result)
        elif isinstance(declaration, Input):
            self.addTerminal(declaration, declaration.result, name=declaration.name)
        else:
            self.addPrimitive(declaration, list(declaration.arguments), declaration.result, name=declaration.name)

    def _minimum_heights(self) -> dict[KindType, int]:
        """Height of the lowest tree of every kind asked for, by fixed-point iteration."""
        kinds = {kind for d in self.declarations.values() for kind in (*d.arguments, d.result)} | {Loss}
        heights, before = dict.fromkeys(kinds, NEVER), dict[KindType, int]()
        while heights != before:
            before = dict(heights)
            for d in self.declarations.values():
                height = 1 + max((heights[kind] for kind in d.arguments), default=-1)
                for kind in kinds:
                    if issubclass(d.result, kind):
                        heights[kind] = min(heights[kind], height)
        return heights

    def __reduce__(self) -> tuple[Any, ...]:
        return PrimitiveSet, (self.name, *self._parted(self.declarations))

    def _parted(self, names: Iterable[str]) -> tuple[tuple[Declaration, ...], tuple[Declaration, ...]]:
        """Return the declarations of these names: those grown from, and those known only."""
        kept = [self.declarations[name] for name in names]
        known = tuple(d for d in kept if d.name in self.known)
        return tuple(d for d in kept if d.name not in self.known), known

    def inputs_of(self, *trees: Iterable[Node]) -> list[Input]:
        """Return the inputs that trees name, each once, in the order read."""
        named = dict.fromkeys(node.name for tree in trees for node in tree)
        return [d for d in map(self.declarations.get, named) if isinstance(d, Input)]

    def min_height(self, kind: KindType) -> int:
        """Return the height of the lowest tree that has this kind; NEVER if there is none."""
        return self._heights.get(kind, NEVER)

    def reach(self, primitive: gp.Primitive) -> int:
        """Return the height of the lowest tree with this primitive at its root."""
        return 1 + max(self.min_height(kind) for kind in primitive.args)

    def niche(self, name: str) -> PrimitiveSet:
        """Return the set whose only inputs are those that belong to one knowledge.

        Raises:
            DeclarationError: for an unknown niche, with the nearest known.
        """
        if name not in self._by_niche:
            raise DeclarationError(f"set {self.name!r} has no knowledge {name!r}{nearest(name, self.niches)}")
        return self._by_niche[name]

    def _narrowed(self, niche: str) -> PrimitiveSet:
        kept = [name for name, d in self.declarations.items() if d.belongs_to(niche)]
        whole = len(kept) == len(self.declarations)
        return self if whole else PrimitiveSet(f"{self.name}[{niche}]", *self._parted(kept))

    def without(self, *inputs: str) -> PrimitiveSet:
        """Return the set without some inputs: knowledge that two detectors do not share."""
        return PrimitiveSet(self.name, *self._parted(name for name in self.declarations if name not in inputs))

    def extended(self, name: str, *declarations: Declaration, known: Sequence[Declaration] = ()) -> PrimitiveSet:
        """Return a set with more to grow from, and more to know.

        Raises:
            DeclarationError: for a name that is taken.
        """
        grown, named = self._parted(self.declarations)
        return PrimitiveSet(name, (*grown, *declarations), (*named, *known))

    def fingerprint(self) -> str:
        """Return a hash of every declaration and of its source code.

        Raises:
            DeclarationError: if a primitive is declared where no file holds its source.
        """
        rows = describe(self.declarations)
        for row, declaration in zip(rows, self.declarations.values(), strict=True):
            row |= {"source": _source(declaration), "drawn": declaration.name not in self.known}
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


def _source(declaration: Declaration) -> str:
    try:
        return getsource(declaration.function)
    except (OSError, TypeError):
        raise DeclarationError(
            f"primitive {declaration.name!r} is declared on standard input or in a session, where worker processes "
            "cannot import it; write it and its set to a file, such as my_primitives.py, and import them from there"
        ) from None


def load_primitive_set(reference: str) -> PrimitiveSet:
    """Import a set named ``module:NAME``; modules of the current directory are found too.

    Raises:
        DeclarationError: if the module or the name does not exist, or is no primitive set.
    """
    found: PrimitiveSet = load_named(reference, PrimitiveSet, "primitive_set")
    return found
