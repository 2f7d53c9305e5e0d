"""Formula text -> tree: a parser that knows only the set's names and never evaluates anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from deap import gp

from detkds_gp.errors import FormulaError, nearest
from detkds_gp.language.declarations import Declaration, KindType
from detkds_gp.language.kinds import Loss, Number, typical
from detkds_gp.language.primitive_set import PrimitiveSet
from detkds_gp.language.roles import Constant
from detkds_gp.language.tree import Node, number_text

TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>[(),+*])|(?P<bad>\S))",
    re.ASCII,
)
MAX_NODES = 5_000


@dataclass(frozen=True)
class Token:
    """One word of a formula; ``end`` marks its end."""

    sort: str
    text: str
    position: int


@dataclass
class _Call:
    """A function whose arguments are being read."""

    declaration: Declaration
    read: int = 0


class Tokens:
    """The words of a formula, read one after the other.

    Raises:
        FormulaError: at a character that no formula holds.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = list(self._split(text))
        self._next = 0

    def _split(self, text: str) -> Iterator[Token]:
        for match in TOKEN.finditer(text):
            sort = match.lastgroup or "bad"
            token = Token(sort, match.group(sort), match.start(sort))
            if sort == "bad":
                wanted = "a formula has names, numbers and ( ) , + *"
                raise self.error(f"unexpected character {token.text!r}; {wanted}", token)
            yield token
        yield Token("end", "the end", len(text))

    @property
    def peek(self) -> Token:
        """The next word, not yet taken."""
        return self._tokens[self._next]

    def take(self) -> Token:
        """Take the next word; the end can be taken again and again."""
        token = self.peek
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def accept(self, mark: str) -> bool:
        """Take the next word if it is this mark."""
        found = self.peek.sort == "mark" and self.peek.text == mark
        if found:
            self.take()
        return found

    def expect(self, mark: str, why: str) -> None:
        """Take this mark.

        Raises:
            FormulaError: if something else stands there.
        """
        if not self.accept(mark):
            raise self.error(f"got {self.peek.text!r}, wanted {mark!r} {why}", self.peek)

    def error(self, message: str, token: Token) -> FormulaError:
        """Make the error that points at a word."""
        return FormulaError(message, self.text, token.position)


@dataclass
class TreeParser:
    """Reads one tree from a stream of words, iteratively, so that depth is no limit."""

    tokens: Tokens
    primitive_set: PrimitiveSet
    nodes: list[Node] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)

    def parse(self, kind: KindType = Loss) -> gp.PrimitiveTree:
        """Read one tree of this kind.

        Raises:
            FormulaError: at the first word that does not fit.
        """
        self._value(kind)
        while self.calls:
            call = self.calls[-1]
            wanted = call.declaration.arguments
            if call.read == len(wanted):
                self.tokens.expect(")", f"after the last argument of {call.declaration!r}")
                self.calls.pop()
                continue
            if call.read:
                self.tokens.expect(",", f"before argument {call.read + 1} of {call.declaration!r}")
            call.read += 1
            self._value(wanted[call.read - 1])
        return gp.PrimitiveTree(self.nodes)

    def _value(self, kind: KindType) -> None:
        token = self.tokens.take()
        if len(self.nodes) >= MAX_NODES:
            raise self.tokens.error(f"formula has more than {MAX_NODES} nodes", token)
        if token.sort == "number":
            self.nodes.append(self._number(token, kind))
        elif token.sort == "name":
            self._named(token, kind)
        else:
            raise self.tokens.error(f"got {token.text!r}, wanted a {kind.__name__}", token)

    def _number(self, token: Token, kind: KindType) -> gp.Terminal:
        if not issubclass(kind, Number):
            raise self.tokens.error(f"got the number {token.text}, wanted a {kind.__name__}", token)
        value = float(token.text)
        if not kind.low <= value <= kind.high:
            limits = f"{number_text(kind.low)} to {number_text(kind.high)}"
            raise self.tokens.error(f"{kind.__name__} is {token.text}, wanted {limits}", token)
        return gp.Terminal(value, False, kind)

    def _named(self, token: Token, kind: KindType) -> None:
        declarations = self.primitive_set.declarations
        declaration = declarations.get(token.text)
        if declaration is None or isinstance(declaration, Constant):
            names = [name for name, d in declarations.items() if not isinstance(d, Constant)]
            raise self.tokens.error(f"unknown primitive {token.text!r}{nearest(token.text, names)}", token)
        if not issubclass(declaration.result, kind):
            raise self._misfit(token, declaration, kind)
        self.nodes.append(self.primitive_set.mapping[declaration.name])
        if declaration.arguments:
            self.tokens.expect("(", f"to call {declaration!r}")
            self.calls.append(_Call(declaration))

    def _misfit(self, token: Token, declaration: Declaration, kind: KindType) -> FormulaError:
        call = self.calls[-1] if self.calls else None
        caller = f"{call.declaration.name!r} takes" if call else "a formula is"
        got = f"{declaration.name!r} returns {declaration.result.__name__}"
        remedy = self._bridge(token, declaration, kind)
        if remedy and call:
            before = "..., " * (call.read - 1)
            after = ", ..." * (len(call.declaration.arguments) - call.read)
            remedy = f"{call.declaration.name}({before}{remedy}{after})"
        message = f"{caller} {kind.__name__}, but {got}" + (f"; write {remedy}" if remedy else "")
        return self.tokens.error(message, token)

    def _bridge(self, token: Token, declaration: Declaration, kind: KindType) -> str:
        """Return a call that turns the misfit into the kind wanted, or nothing."""
        for bridge in self.primitive_set.declarations.values():
            takes_it = bridge.arguments and issubclass(declaration.result, bridge.arguments[0])
            numbers = [typical(other) for other in bridge.arguments[1:] if issubclass(other, Number)]
            complete = len(numbers) == len(bridge.arguments) - 1
            if takes_it and issubclass(bridge.result, kind) and complete:
                inner = token.text + "(...)" * bool(declaration.arguments)
                return f"{bridge.name}({', '.join([inner, *map(number_text, numbers)])})"
        return ""


def parse_tree(text: str, primitive_set: PrimitiveSet, kind: KindType = Loss) -> gp.PrimitiveTree:
    """Read one formula without evaluating anything.

    Args:
        text: e.g. ``kl(softmax_row(class_logits, 2))``, of at most `MAX_NODES` nodes.
        primitive_set: whose names the formula may use.
        kind: what the formula has to return.

    Raises:
        FormulaError: for an unknown name (lists the nearest), a wrong kind, a number out of range
            or broken syntax; names the position.
    """
    tokens = Tokens(text)
    tree = TreeParser(tokens, primitive_set).parse(kind)
    if tokens.peek.sort != "end":
        raise tokens.error(f"got {tokens.peek.text!r} after the end of the formula", tokens.peek)
    return tree
