"""A distiller as one Python file that needs torch alone: readable, formatted, and tested when it is run."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from detkds_gp.errors import UserError
from detkds_gp.export import python_glue
from detkds_gp.export.fonts import wrapped
from detkds_gp.export.graph import Panel
from detkds_gp.export.latex import formula_lines
from detkds_gp.export.python_sources import Sources
from detkds_gp.export.python_term import PROSE, write_term
from detkds_gp.language import Boxes, Distiller, Field, Input, Map, PrimitiveSet, RowField
from detkds_gp.language.samples import sample_knowledge
from detkds_gp.losses import DistillationLoss, shapes_of

Samples = dict[str, tuple[str, tuple[int, ...]]]
"""By input, how the self-test draws it: kind and shape."""

OWN = ("SAMPLES", "EXPECTED", "DistillationLoss", "distillation_loss", "distillation_terms", "example", "self_test")
GLUE = ("check_knowledge", "over_levels", "sample", "sample_knowledge")
LOGITS = ("class_logits", "objectness", "mask_logits", "cross_head")
"""Knowledge whose maps have as many channels on both sides; other maps of the student are led to the teacher's."""


def to_python(panels: Sequence[Panel]) -> str:
    """Return the file's text, from the template ``distiller.py.j2``.

    Args:
        panels: one, a distiller with all its scales.

    Raises:
        UserError: for several distillers, one without terms, a scale that is not measured, or primitives whose source
            needs more than torch.
    """
    panel, distiller = _only(panels)
    grammar = panel.primitive_set
    sources = Sources((*OWN, *GLUE, "fill", "Pair", "Knowledge", "torch", "Tensor", "F", "nn"))
    terms = [write_term(term, grammar, sources) for term in distiller.terms]
    learned = any(term.parts for term in terms)
    inputs = {d.name: d for term in terms for d in (*term.sided, *term.shared)}
    adapted = next((d.name for d in inputs.values() if issubclass(d.result, Map) and d.niche not in LOGITS), None)
    glue = Sources()
    for name in (*GLUE, *(["Adapters"] if adapted else []), *(["fill"] if learned else [])):
        glue.add(getattr(python_glue, name))
    samples = _samples(inputs, grammar)
    loader = PackageLoader("detkds_gp.export")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.get_template("distiller.py.j2").render(
        formula=wrapped(panel.text, PROSE),
        latex=[row for line in formula_lines(distiller, grammar) for row in _wrapped(line)],
        score=_wrapped(panel.caption),
        inputs={name: inspect.getdoc(declaration.function) for name, declaration in inputs.items()},
        imports=_imports([*sources.imports, *glue.imports, "import torch", "from torch import Tensor"]),
        constants=[*glue.constants, *sources.constants],
        definitions=[*sources.definitions, *(term.code for term in terms), *glue.definitions],
        terms=terms,
        learned=learned,
        adapted=adapted,
        channels=next((shape[1] for _, shape in samples.values() if len(shape) == 4), None),
        samples=samples,
        expected=_expected(distiller, grammar, samples),
    )


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


def _samples(inputs: Mapping[str, Input], primitive_set: PrimitiveSet) -> Samples:
    """Return for every input how to draw it for a test."""
    with torch.random.fork_rng(devices=[]):
        drawn = sample_knowledge(primitive_set.inputs)
    samples = {}
    for name, declaration in inputs.items():
        is_field = issubclass(declaration.result, (Field, RowField))
        kind = "boxes" if issubclass(declaration.result, Boxes) else "field" if is_field else "features"
        samples[name] = kind, tuple(drawn[name][0][0].shape)
    return samples


def _expected(distiller: Distiller, primitive_set: PrimitiveSet, samples: Samples) -> dict[str, float]:
    """Return what the engine says of the test's numbers, by knowledge."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        knowledge = python_glue.sample_knowledge(samples)
        loss = DistillationLoss(distiller, primitive_set).build(shapes_of(knowledge), seed=0)
        python_glue.fill(loss)
        torch.manual_seed(0)
        terms = loss(knowledge).levels
    return {name: float(levels.mean()) for name, levels in terms.items()}


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, PROSE, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


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
