"""A distiller as one Python file that needs torch alone: readable, formatted, and tested when it is run."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence

import torch

from detkds_gp.errors import UserError
from detkds_gp.export import python_glue
from detkds_gp.export.latex import formula_lines
from detkds_gp.export.panel import Panel
from detkds_gp.export.python_sources import Sources
from detkds_gp.export.python_term import PROSE, WrittenTerm, write_term
from detkds_gp.export.text import wrapped
from detkds_gp.language import Boxes, Distiller, Field, Input, Map, PrimitiveSet, RowField
from detkds_gp.language.samples import sample_knowledge
from detkds_gp.losses import DistillationLoss, shapes_of

Samples = dict[str, tuple[str, tuple[int, ...]]]
"""By input, how the self-test draws it: kind and shape."""

OWN = ("SAMPLES", "EXPECTED", "DistillationLoss", "distillation_loss", "distillation_terms", "example", "self_test")
GLUE = ("check_knowledge", "over_levels", "sample", "sample_knowledge")
LOGITS = ("class_logits", "objectness", "mask_logits", "cross_head")
"""Knowledge whose maps have as many channels on both sides; other maps of the student are led to the teacher's."""

TERMS = '''\
def distillation_terms(knowledge: Knowledge) -> dict[str, Tensor]:
    """Return the weighted loss of every knowledge, (), its mean over levels."""
    terms = {{}}
{calls}
    return terms


def distillation_loss(knowledge: Knowledge) -> Tensor:
    """Return the loss, ()."""
    return torch.stack(list(distillation_terms(knowledge).values())).sum()'''

MODULE = '''\
class DistillationLoss(nn.Module):
    """The loss with its learned modules: train them with the student, and throw them away with the teacher.

    Args:
        channels: of the maps of every pyramid level.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
{parts}

    def terms(self, knowledge: Knowledge) -> dict[str, Tensor]:
        """Return the weighted loss of every knowledge, (), its mean over levels."""
        terms = {{}}
{calls}
        return terms

    def forward(self, knowledge: Knowledge) -> Tensor:
        """Return the loss, ()."""
        return torch.stack(list(self.terms(knowledge).values())).sum()'''

SELF_TEST = '''\
def self_test() -> None:
    """Compare with what detkds_gp computed on the same numbers, and look at the student's gradient."""
    knowledge = sample_knowledge(SAMPLES)
{terms}
    for name, expected in EXPECTED.items():
        got = float(terms[name].detach())
        if abs(got - expected) > 1e-5 * max(1.0, abs(expected)):
            raise SystemExit(f"self-test failed: the term on {{name}} is {{got}}, expected {{expected}}")
    torch.stack(list(terms.values())).sum().backward()
    gradients = [pairs[0][0].grad for pairs in knowledge.values()]
    if not any(gradient is not None and gradient.isfinite().all() and gradient.any() for gradient in gradients):
        raise SystemExit("self-test failed: no gradient reaches the student")
    print("self-test passed: " + ", ".join(f"{{name}} {{float(value.detach()):.6g}}" for name, value in terms.items()))


if __name__ == "__main__":
    self_test()
    print(f"example: a loss of {{float(example()):.6g}}")
'''
EXAMPLE = '''\
def example() -> Tensor:
    """Feed the loss as a training step does; your detectors' outputs come in place of the random numbers."""
    knowledge = sample_knowledge(SAMPLES)
{adapted}    loss = {loss}(knowledge)  # add it to the student's own loss
    loss.backward()
    return loss.detach()'''
ADAPTED = """\
    adapters = Adapters([{own}], [{channels}])  # channels of every level; their weights go to the student's optimizer
    maps = [torch.randn({batch}, {own}, {grid})]
    knowledge["{name}"] = list(zip(adapters(maps), [t for _, t in knowledge["{name}"]], strict=True))
"""
TEST_FUNCTION = """\
    torch.manual_seed(0)
    terms = distillation_terms(knowledge)"""
TEST_MODULE = """\
    loss = DistillationLoss(({channels},))
    fill(loss)
    torch.manual_seed(0)
    terms = loss.terms(knowledge)"""


def to_python(panels: Sequence[Panel], look: object = None) -> str:
    """Return the file's text.

    Args:
        panels: one, a distiller with all its scales.
        look: says nothing here.

    Raises:
        UserError: for several distillers, one without terms, a scale that is not measured, or primitives whose source
            needs more than torch.
    """
    panel, distiller = _only(panels)
    grammar = panel.primitive_set
    sources = Sources((*OWN, *GLUE, "fill", "Pair", "Knowledge", "torch", "Tensor", "F", "nn"))
    written = [write_term(term, grammar, sources) for term in distiller.terms]
    learned = any(one.parts for one in written)
    inputs = {d.name: d for one in written for d in (*one.sided, *one.shared)}
    adapted = next((d.name for d in inputs.values() if _is_adapted(d)), None)
    glue = Sources()
    for name in (*GLUE, *(["Adapters"] if adapted else []), *(["fill"] if learned else [])):
        glue.add(getattr(python_glue, name))
    samples = _samples(inputs, grammar)
    imports = [*sources.imports, *glue.imports, "import torch", "from torch import Tensor"]
    parts = [
        "\n".join(["from __future__ import annotations", "", _imports(imports)]),
        "\n".join([*glue.constants, *sources.constants]),
    ]
    definitions = [
        *sources.definitions,
        *(one.code for one in written),
        *glue.definitions,
        _module(written) if learned else TERMS.format(calls="\n".join(one.call(4) for one in written)),
        "\n".join([_table("SAMPLES", samples), _table("EXPECTED", _expected(distiller, grammar, samples))]),
        _example(samples, adapted, learned),
        SELF_TEST.format(terms=_test(samples) if learned else TEST_FUNCTION),
    ]
    return "\n\n\n".join(["\n\n".join([_docstring(panel, inputs, learned), *parts]), *definitions])


def _only(panels: Sequence[Panel]) -> tuple[Panel, Distiller]:
    if len(panels) != 1:
        raise UserError(f"got {len(panels)} distillers, a Python file holds one; export them one by one")
    distiller = panels[0].formula
    if not isinstance(distiller, Distiller) or not distiller.terms:
        raise UserError(f"got {panels[0].text!r}, which has no loss; export a distiller")
    if distiller.uncalibrated:
        got = f"the scale of {distiller.uncalibrated[0]} is not measured"
        raise UserError(f"{got}; write a number for 'calibrated', or export a distiller of a run")
    return panels[0], distiller


def _module(written: Sequence[WrittenTerm]) -> str:
    """Write the loss as a module that holds the learned modules of every level."""
    parts = []
    for one in written:
        if one.parts:
            name = one.modules
            parts += [f"self.{name} = nn.ModuleList()", "for count in channels:", "    part = nn.ModuleDict()"]
            for key, (module, copied) in one.parts.items():
                parts.append(f'    part["{key}"] = {module}(count)')
                if copied:
                    parts.append(f'    part["{key}"].load_state_dict(part["{copied}"].state_dict())')
            parts.append(f"    self.{name}.append(part)")
    calls = "\n".join(one.call(8) for one in written)
    return MODULE.format(parts=textwrap.indent("\n".join(parts), "        "), calls=calls)


def _test(samples: Samples) -> str:
    return TEST_MODULE.format(channels=_channels(samples))


def _is_adapted(declaration: Input) -> bool:
    return issubclass(declaration.result, Map) and declaration.niche not in LOGITS


def _example(samples: Samples, adapted: str | None, learned: bool) -> str:
    """Write the example: a map of the student with half of the teacher's channels, everything else as it is drawn."""
    channels = _channels(samples)
    lines = ""
    if adapted:
        batch, count, *grid = samples[adapted][1]
        size = ", ".join(map(str, grid))
        lines = ADAPTED.format(name=adapted, own=count // 2, channels=count, batch=batch, grid=size)
    loss = f"DistillationLoss(({channels},))" if learned else "distillation_loss"
    return EXAMPLE.format(adapted=lines, loss=loss)


def _channels(samples: Samples) -> int | None:
    return next((shape[1] for _, shape in samples.values() if len(shape) == 4), None)


def _samples(inputs: Mapping[str, Input], primitive_set: PrimitiveSet) -> Samples:
    """Return for every input how to draw it for a test."""
    with torch.random.fork_rng(devices=[]):
        drawn = sample_knowledge(primitive_set.inputs)
    return {name: (_kind(d), tuple(drawn[name][0][0].shape)) for name, d in inputs.items()}


def _kind(declaration: Input) -> str:
    if issubclass(declaration.result, Boxes):
        return "boxes"
    return "field" if issubclass(declaration.result, (Field, RowField)) else "features"


def _expected(distiller: Distiller, primitive_set: PrimitiveSet, samples: Samples) -> dict[str, float]:
    """Return what the engine says of the test's numbers, by knowledge."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        knowledge = python_glue.sample_knowledge(samples)
        loss = DistillationLoss(distiller, primitive_set).build(shapes_of(knowledge), seed=0)
        python_glue.fill(loss)
        torch.manual_seed(0)
        terms = loss(knowledge).levels
    return {name: float(levels.mean()) for name, levels in terms.items()}


def _docstring(panel: Panel, inputs: Mapping[str, Input], learned: bool) -> str:
    """Say formula, LaTeX, score and what the loss needs; raw, since LaTeX is full of backslashes."""
    latex = formula_lines(panel.formula, panel.primitive_set)
    entry = "``DistillationLoss(channels)(knowledge)``" if learned else "``distillation_loss(knowledge)``"
    sections = [
        f"A knowledge-distillation loss for object detectors, {_origin(panel)} by detkds_gp; it needs torch alone.",
        _section("Formula:", wrapped(panel.text, PROSE)),
        _section("LaTeX (S: student, T: teacher):", [row for line in latex for row in _wrapped(line)]),
        *([_section("Score:", _wrapped(panel.caption))] if panel.caption else []),
        _section(
            "Knowledge, by name (student, teacher) of every pyramid level:",
            [row for d in inputs.values() for row in _input(d)],
        ),
        f"{entry} is added to the student's own loss.\n``example()`` feeds it; run this file to test it.",
    ]
    return 'r"""' + "\n\n".join(sections) + '\n"""'


def _origin(panel: Panel) -> str:
    return "found" if panel.caption else "written"


def _input(declaration: Input) -> list[str]:
    """Say what an input is, its shape, and where detectors have it: its docstring, in lines."""
    first, *rest = inspect.getdoc(declaration.function).splitlines()  # type: ignore[union-attr]
    body = [f"    {line}" if line else "" for line in rest]
    return [f"{declaration.name}: {first}", *body, ""]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"    {line}".rstrip() for line in lines)]).rstrip()


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, PROSE, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _table(name: str, values: Mapping[str, object]) -> str:
    rows = [f'    "{key}": {_literal(value)},' for key, value in values.items()]
    return "\n".join([f"{name} = {{", *rows, "}"])


def _literal(value: object) -> str:
    return f'("{value[0]}", {value[1]!r})' if isinstance(value, tuple) else repr(value)


def _imports(lines: Sequence[str]) -> str:
    """Return import lines as isort orders them: Python's, then torch's; whole modules before names."""
    names: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("from "):
            origin, _, name = line.removeprefix("from ").partition(" import ")
            names.setdefault(origin, set()).add(name)
    modules = sorted({line for line in lines if line.startswith("import ")})
    froms = [f"from {origin} import {', '.join(sorted(found))}" for origin, found in sorted(names.items())]
    sections: tuple[list[str], list[str]] = ([], [])
    for line in (*modules, *froms):
        sections[line.split()[1].partition(".")[0] == "torch"].append(line)
    return "\n\n".join("\n".join(section) for section in sections if section)
