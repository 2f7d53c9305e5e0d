"""A distiller as one Python file that needs torch alone: readable, formatted, and tested when it is run."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from detkds_gp.errors import UserError
from detkds_gp.export import python_glue
from detkds_gp.export.latex import formula_lines
from detkds_gp.export.panel import Panel
from detkds_gp.export.python_sources import Sources
from detkds_gp.export.text import wrapped
from detkds_gp.language import Boxes, Declaration, Distiller, Field, PrimitiveSet, RowField, Term
from detkds_gp.language.tree import number_text
from detkds_gp.losses import DistillationLoss
from detkds_gp.losses.lint import sample_knowledge
from detkds_gp.losses.program import Instruction, compile_tree

COLUMNS = 100
"""Letters of a line of prose; code may have 120."""
RESERVED = ("SAMPLES", "EXPECTED", "distillation_loss", "distillation_terms", "self_test", "Pair", "Knowledge")
GLUE = ("over_levels", "sample", "sample_knowledge")

SELF_TEST = '''\
def self_test() -> None:
    """Compare with what detkds_gp computed on the same numbers, and look at the student's gradient."""
    knowledge = sample_knowledge(SAMPLES)
    torch.manual_seed(0)
    terms = distillation_terms(knowledge)
    for name, expected in EXPECTED.items():
        got = float(terms[name].detach())
        if abs(got - expected) > 1e-5 * max(1.0, abs(expected)):
            raise SystemExit(f"self-test failed: the term on {name} is {got}, expected {expected}")
    sum(terms.values()).backward()
    gradients = [pairs[0][0].grad for pairs in knowledge.values()]
    if not any(gradient is not None and gradient.isfinite().all() and gradient.any() for gradient in gradients):
        raise SystemExit("self-test failed: no gradient reaches the student")
    print(f"self-test passed: {', '.join(f'{name} {float(value):.6g}' for name, value in terms.items())}")


if __name__ == "__main__":
    self_test()
'''


@dataclass(frozen=True)
class _Written:
    """One term as a function.

    Attributes:
        code: the function.
        name: its name.
        sided: inputs of which it takes both sides.
        shared: inputs of which it takes one tensor.
    """

    code: str
    name: str
    sided: tuple[Declaration, ...]
    shared: tuple[Declaration, ...]

    def call(self, term: Term) -> str:
        """Return the line that computes the term's weighted mean over levels."""
        sided, shared = (_strings([d.name for d in inputs]) for inputs in (self.sided, self.shared))
        factor = f"{number_text(term.weight)} * {number_text(term.scale or 0.0)}"
        line = f'    terms["{term.knowledge}"] = {factor} * over_levels({self.name}, knowledge, {sided}, {shared})'
        if len(line) <= 120:
            return line
        head = f'    terms["{term.knowledge}"] = {factor} * over_levels('
        return f"{head}\n        {self.name}, knowledge, {sided}, {shared}\n    )"


def to_python(panels: Sequence[Panel], look: object = None) -> str:
    """Return the file's text.

    Args:
        panels: one, a distiller with all its scales.
        look: says nothing here.

    Raises:
        UserError: for several distillers, one without terms, a scale that is not measured, or primitives whose source needs
            more than torch.
    """
    panel = _only(panels)
    distiller: Distiller = panel.formula
    sources = Sources((*RESERVED, *GLUE, "torch", "Tensor", "F", "nn"))
    written = [_term(term, panel.primitive_set, sources) for term in distiller.terms]
    glue = Sources()
    for name in GLUE:
        glue.add(getattr(python_glue, name))
    inputs = {d.name: d for one in written for d in (*one.sided, *one.shared)}
    samples = _samples(inputs, panel.primitive_set)
    expected = _expected(distiller, panel.primitive_set, samples)
    imports = _imports([*sources.imports, *glue.imports, "import torch", "from torch import Tensor"])
    tables = [_table("SAMPLES", samples), _table("EXPECTED", expected)]
    parts = [
        "\n".join([_docstring(panel, inputs), "", "from __future__ import annotations", "", imports]),
        "\n".join([*glue.constants, *sources.constants]),
        *sources.definitions,
        *(one.code for one in written),
        *glue.definitions,
        _main(distiller, written),
        "\n".join(tables),
        SELF_TEST,
    ]
    head, constants, *definitions = parts
    return "\n\n\n".join([f"{head}\n\n{constants}" if constants else head, *definitions])


def _only(panels: Sequence[Panel]) -> Panel:
    if len(panels) != 1:
        raise UserError(f"got {len(panels)} distillers, a Python file holds one; export them one by one")
    distiller = panels[0].formula
    if not isinstance(distiller, Distiller) or not distiller.terms:
        raise UserError(f"got {panels[0].text!r}, which has no loss; export a distiller")
    if distiller.uncalibrated:
        got = f"the scale of {distiller.uncalibrated[0]} is not measured"
        raise UserError(f"{got}; write a number for 'calibrated', or export a distiller of a run")
    return panels[0]


def _term(term: Term, primitive_set: PrimitiveSet, sources: Sources) -> _Written:
    """Write a tree as a function of one level: one statement for each side of each distinct subtree."""
    program = compile_tree(term.tree, primitive_set)
    inputs = {s.declaration.name: s.declaration for s in program if s.declaration and s.declaration.role == "input"}
    sided = tuple(d for d in inputs.values() if d.result.sided)
    shared = tuple(d for d in inputs.values() if not d.result.sided)
    lines: list[str] = []
    values: list[tuple[str, ...]] = []
    taken: set[str] = set()
    for step in program:
        values.append(_statement(step, values, taken, lines, sources))
    arguments = ", ".join([*(f"{_safe(d.name)}: Pair" for d in sided), *(f"{_safe(d.name)}: Tensor" for d in shared)])
    name = f"{term.knowledge}_term"
    title = wrapped(f"Compute {term.formula} on one level.", COLUMNS)
    text = [f'    """{title[0]}', *(f"    {line}" for line in title[1:])]
    closing = [text[0] + '"""'] if len(text) == 1 else [*text, '    """']
    unpacked = [f"    {_safe(d.name)}_s, {_safe(d.name)}_t = {_safe(d.name)}" for d in sided]
    last = lines.pop()
    returned = f"    return {last.split(' = ', 1)[1]}"
    code = "\n".join([f"def {name}({arguments}) -> Tensor:", *closing, *unpacked, *lines, returned])
    return _Written(code, name, sided, shared)


def _statement(
    step: Instruction, values: list[tuple[str, ...]], taken: set[str], lines: list[str], sources: Sources
) -> tuple[str, ...]:
    """Write one operation; return the names of its value: of both sides, or of the one there is."""
    declaration = step.declaration
    if declaration is None:
        return (number_text(step.value or 0.0),)
    if declaration.role == "input":
        name = _safe(declaration.name)
        return (f"{name}_s", f"{name}_t") if declaration.result.sided else (name,)
    function = sources.add(declaration.function)
    arguments = [values[slot] for slot in step.arguments]
    base = _fresh(declaration, taken)
    sides = ("_s", "_t") if declaration.result.sided else ("",)
    if declaration.role == "transform" and any(kind.sided for kind in declaration.arguments):
        for index, side in enumerate(sides):
            given = ", ".join(argument[min(index, len(argument) - 1)] for argument in arguments)
            lines.append(f"    {base}{side} = {function}({given})")
    else:
        given = ", ".join(name for argument in arguments for name in argument)
        lines.append(f"    {', '.join(base + side for side in sides)} = {function}({given})")
    return tuple(base + side for side in sides)


def _fresh(declaration: Declaration, taken: set[str]) -> str:
    """Return a name for a value: its primitive's, with a number where that is taken."""
    base = declaration.name if declaration.result.sided else f"{declaration.result.__name__.lower()}_value"
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name)
    return name


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _samples(inputs: dict[str, Declaration], primitive_set: PrimitiveSet) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return for every input how to draw it for a test."""
    with torch.random.fork_rng(devices=[]):
        drawn = sample_knowledge(primitive_set)
    return {name: (_kind(d), tuple(drawn[name][0][0].shape)) for name, d in inputs.items()}


def _kind(declaration: Declaration) -> str:
    if issubclass(declaration.result, Boxes):
        return "boxes"
    return "field" if issubclass(declaration.result, (Field, RowField)) else "features"


def _expected(
    distiller: Distiller, primitive_set: PrimitiveSet, samples: dict[str, tuple[str, tuple[int, ...]]]
) -> dict[str, float]:
    """Return what the engine says of the test's numbers, by knowledge."""
    loss = DistillationLoss(distiller, primitive_set)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        knowledge = python_glue.sample_knowledge(samples)
        torch.manual_seed(0)
        terms = loss(knowledge).levels
    return {name: float(levels.mean()) for name, levels in terms.items()}


def _docstring(panel: Panel, inputs: dict[str, Declaration]) -> str:
    formula = [f"    {line}" for line in wrapped(panel.text, COLUMNS)]
    latex = [
        line
        for equation in formula_lines(panel.formula, panel.primitive_set)
        for line in textwrap.wrap(
            equation, COLUMNS, initial_indent="    ", subsequent_indent="        ", break_long_words=False
        )
    ]
    needs = [
        line
        for d in inputs.values()
        for line in textwrap.wrap(f"{d.name}: {d.doc}", COLUMNS, initial_indent="    ", subsequent_indent="        ")
    ]
    score = ["", "Score:", f"    {panel.caption}"] if panel.caption else []
    return "\n".join(
        [
            'r"""A knowledge-distillation loss for object detectors, found by detkds_gp; it needs torch alone.',
            *["", "Formula:", *formula],
            *["", "LaTeX (S: student, T: teacher):", *latex],
            *score,
            *["", "Knowledge, by name (student, teacher) of every pyramid level:", *needs],
            *[
                "",
                "``distillation_loss(knowledge)`` is added to the student's own loss. Run this file to test it.",
                '"""',
            ],
        ]
    )


def _main(distiller: Distiller, written: Sequence[_Written]) -> str:
    calls = [one.call(term) for one, term in zip(written, distiller.terms, strict=True)]
    return "\n".join(
        [
            "def distillation_terms(knowledge: Knowledge) -> dict[str, Tensor]:",
            '    """Return the weighted loss of every knowledge, (), its mean over levels."""',
            "    terms = {}",
            *calls,
            "    return terms",
            "",
            "",
            "def distillation_loss(knowledge: Knowledge) -> Tensor:",
            '    """Return the loss, ()."""',
            "    return torch.stack(list(distillation_terms(knowledge).values())).sum()",
        ]
    )


def _table(name: str, values: dict) -> str:  # type: ignore[type-arg]
    rows = [f"    {_string(key)}: {_literal(value)}," for key, value in values.items()]
    return "\n".join([f"{name} = {{", *rows, "}"])


def _literal(value: object) -> str:
    return f"({_string(value[0])}, {value[1]!r})" if isinstance(value, tuple) else repr(value)


def _string(text: object) -> str:
    return f'"{text}"'


def _strings(names: Sequence[str]) -> str:
    inner = ", ".join(map(_string, names))
    return f"({inner},)" if len(names) == 1 else f"({inner})"


def _imports(lines: Sequence[str]) -> str:
    """Return import lines as isort orders them: Python's, then torch's; whole modules before names."""
    names: dict[str, set[str]] = {}
    for line in dict.fromkeys(lines):
        if line.startswith("from "):
            origin, _, name = line.removeprefix("from ").partition(" import ")
            names.setdefault(origin, set()).add(name)
    modules = sorted({line for line in lines if line.startswith("import ")})
    froms = [f"from {origin} import {', '.join(sorted(found))}" for origin, found in sorted(names.items())]
    sections = [[], []]  # type: list[list[str]]
    for line in (*modules, *froms):
        sections[line.split()[1].partition(".")[0] == "torch"].append(line)
    return "\n\n".join("\n".join(section) for section in sections if section)
