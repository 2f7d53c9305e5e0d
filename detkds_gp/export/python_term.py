"""One tree as a Python function: a statement for each side of each distinct subtree."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field

from detkds_gp.export.fonts import wrapped
from detkds_gp.export.python_sources import Sources, numbered
from detkds_gp.language import Declaration, Input, Learned, PrimitiveSet, Term, Transform
from detkds_gp.language.tree import number_text
from detkds_gp.losses.program import Instruction, compile_tree, inputs_of

PROSE = 100
"""Letters of a line of prose."""
CODE = 120
"""Letters of a line of code, as ruff is told here."""


@dataclass(frozen=True)
class WrittenTerm:
    """A term as a function of one level.

    Attributes:
        term: what is written.
        code: the function.
        sided: inputs of which it takes both sides.
        shared: inputs of which it takes one tensor.
        parts: its learned modules: by key, the class and whether it starts as a copy of another key.
    """

    term: Term
    code: str
    sided: tuple[Input, ...]
    shared: tuple[Input, ...]
    parts: dict[str, tuple[str, str]]

    @property
    def name(self) -> str:
        """The function's name."""
        return f"{self.term.knowledge}_term"

    @property
    def modules(self) -> str:
        """The name of its learned modules."""
        return f"{self.term.knowledge}_modules"

    def call(self, indent: int) -> str:
        """Return the lines that compute the term's weighted mean over levels."""
        inputs = [strings([d.name for d in one]) for one in (self.sided, self.shared)]
        given = [self.name, "knowledge", *inputs, *([f"self.{self.modules}"] if self.parts else [])]
        factor = f"{number_text(self.term.weight)} * {number_text(self.term.scale or 0.0)}"
        weighted = f'{" " * indent}terms["{self.term.knowledge}"] = {factor} * loss'
        return f"{call('loss = over_levels', given, indent)}\n{weighted}"


@dataclass
class _Body:
    """The statements of a function while it is written."""

    sources: Sources
    lines: list[str] = field(default_factory=list)
    values: list[tuple[str, ...]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    parts: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, step: Instruction) -> tuple[str, ...]:
        """Write one operation; return the names of both sides of its value, or of the one there is."""
        declaration = step.declaration
        if declaration is None:
            return (number_text(step.value or 0.0),)
        if isinstance(declaration, Input):
            return sides(declaration.name) if declaration.result.sided else (safe(declaration.name),)
        function = self.sources.add(declaration.function)
        arguments = [self.values[slot] for slot in step.arguments]
        base = self._fresh(declaration)
        if isinstance(declaration, Learned):
            return self._learned(declaration, function, arguments, base)
        names = sides(base) if declaration.result.sided else (base,)
        if isinstance(declaration, Transform) and declaration.each_side:
            for index, name in enumerate(names):
                self._call([name], function, [argument[min(index, len(argument) - 1)] for argument in arguments])
        else:
            self._call(list(names), function, [name for argument in arguments for name in argument])
        return names

    def _learned(
        self, declaration: Learned, function: str, arguments: list[tuple[str, ...]], base: str
    ) -> tuple[str, ...]:
        """Write the modules of either side; a side without one passes by."""
        (student, teacher), shared = arguments[0], [argument[0] for argument in arguments[1:]]
        first, second = sides(base)
        key = f"{base}_student"
        self.parts[key] = (function, "")
        self._call([first], f'part["{key}"]', [student, *shared])
        if declaration.sides == "student":
            return first, teacher
        self.parts[f"{base}_teacher"] = (function, key)
        self._call([second], f'part["{base}_teacher"]', [teacher, *shared])
        return first, second

    def _call(self, names: list[str], function: str, arguments: list[str]) -> None:
        self.lines.append(call(f"{', '.join(names)} = {function}", arguments))

    def _fresh(self, declaration: Declaration) -> str:
        """Return a name for a value: its primitive's, with a number where that is taken."""
        kind = declaration.result
        base = declaration.name if kind.sided else f"{kind.__name__.lower()}_value"
        name = next(name for name in numbered(base) if name not in self.taken)
        self.taken.add(name)
        return name


def write_term(term: Term, primitive_set: PrimitiveSet, sources: Sources) -> WrittenTerm:
    """Write a term, and put the source of its primitives into ``sources``.

    Raises:
        UserError: if a primitive's source needs more than torch.
    """
    program = compile_tree(term.tree, primitive_set)
    inputs = inputs_of(program)
    sided = tuple(d for d in inputs if d.result.sided)
    shared = tuple(d for d in inputs if not d.result.sided)
    body = _Body(sources)
    for step in program:
        body.values.append(body.add(step))
    last = body.lines.pop().split(" = ", 1)[1]
    taken = [*(f"{safe(d.name)}: Pair" for d in sided), *(f"{safe(d.name)}: Tensor" for d in shared)]
    taken += ["part: nn.ModuleDict"] if body.parts else []
    unpacked = [f"    {', '.join(sides(d.name))} = {safe(d.name)}" for d in sided]
    head = f"def {term.knowledge}_term({', '.join(taken)}) -> Tensor:"
    code = [head, *_docstring(term), *unpacked, *body.lines, f"    return {last}"]
    return WrittenTerm(term, "\n".join(code), sided, shared, body.parts)


def _docstring(term: Term) -> list[str]:
    short = f'    """Compute {term.formula} on one level."""'
    if len(short) <= CODE:
        return [short]
    lines = wrapped(term.formula, PROSE)
    return ['    """Compute one level.', "", *(f"    {line}" for line in lines), '    """']


def call(head: str, arguments: list[str], indent: int = 4) -> str:
    """Return a call as an indented statement, in one line or in three."""
    given, margin = ", ".join(arguments), " " * indent
    line = f"{margin}{head}({given})"
    return line if len(line) <= CODE else f"{margin}{head}(\n{margin}    {given}\n{margin})"


def sides(name: str) -> tuple[str, str]:
    """Return the names of the student's and the teacher's side of a value."""
    return f"{name}_s", f"{name}_t"


def safe(name: str) -> str:
    """Return a name that is no keyword of Python."""
    return f"{name}_" if keyword.iskeyword(name) else name


def strings(names: list[str]) -> str:
    """Return names as a tuple of strings."""
    inner = ", ".join(f'"{name}"' for name in names)
    return f"({inner},)" if len(names) == 1 else f"({inner})"
