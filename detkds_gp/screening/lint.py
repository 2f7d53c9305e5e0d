"""A formula under the checks, by itself: every step with its kind and shape, every check with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkds_gp.errors import DeclarationError
from detkds_gp.language import Distiller, PrimitiveSet, parse_distiller
from detkds_gp.language.contract import check_contract, one_thread
from detkds_gp.language.samples import sample_knowledge
from detkds_gp.language.tree import Node
from detkds_gp.language.verdicts import is_own
from detkds_gp.losses.program import Pair, Value, build_parts, compile_tree, inputs_of, shapes_of
from detkds_gp.screening.checks import Check, Outcome
from detkds_gp.screening.probes import POOL, Probe, Probes
from detkds_gp.screening.screen import Screen


@dataclass(frozen=True)
class Step:
    """One operation of a formula: what it computes, of which kind and shape."""

    text: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LintReport:
    """What the checks say of a distiller.

    Attributes:
        distiller: the distiller read.
        steps: its operations in the order they are computed, with shapes on the probes.
        findings: what every check says of every tree, beside its knowledge, as far as the tree can be computed.
        problems: what is wrong, as ``check: reason (numbers)``; empty for a sound formula.
    """

    distiller: Distiller
    steps: tuple[Step, ...]
    findings: tuple[tuple[str, Check, Outcome], ...]
    problems: tuple[str, ...]


def lint(text: str, primitive_set: PrimitiveSet, probes: Probes | None = None, off: Sequence[str] = ()) -> LintReport:
    """Parse a distiller, try its primitives, compute every step, and run all checks on each of its trees.

    Args:
        text: the distiller.
        primitive_set: whose primitives it names.
        probes: features of a pair of detectors; None: sample features, drawn at random.
        off: names of checks that are left out.

    Raises:
        FormulaError: if the text cannot be read.
    """
    distiller = parse_distiller(text, primitive_set)
    steps: list[Step] = []
    findings: list[tuple[str, Check, Outcome]] = []
    problems = broken_contracts(distiller, primitive_set)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        screen = Screen(probes or sampled_probes(primitive_set), primitive_set, off)
        for term in distiller.terms:
            try:
                steps += computed_steps(term.tree, primitive_set, screen.probes.far.knowledge)
                # One by one: what is found before an error stays.
                findings.extend((term.knowledge, *said) for said in screen.outcomes(screen.evidence(term)))
            except (RuntimeError, ValueError, TypeError, LookupError) as error:
                problems.append(f"shape: {error}".splitlines()[0])
    problems += [f"{check.name}: {check.reason} ({said.numbers})" for _, check, said in findings if not said.passed]
    return LintReport(distiller, tuple(steps), tuple(findings), tuple(problems))


def broken_contracts(distiller: Distiller, primitive_set: PrimitiveSet) -> list[str]:
    """Try every primitive of a user's own in a distiller, and return what breaks its contract, as problems."""
    used = {node.name for term in distiller.terms for node in term.tree}
    problems = []
    for declaration in (d for name, d in primitive_set.declarations.items() if name in used and is_own(d)):
        try:
            check_contract(declaration)
        except DeclarationError as error:
            problems.append(f"contract: {error}")
    return problems


def sampled_probes(primitive_set: PrimitiveSet) -> Probes:
    """Draw probes of one level from torch's global generator, for formulas without a pair of detectors."""
    pool = sample_knowledge(primitive_set.inputs, POOL)

    def make(images: Sequence[int]) -> Probe:
        chosen = {name: [_of_images(pair, images) for pair in levels] for name, levels in pool.items()}
        sided = {name: chosen[name] for name in chosen if primitive_set.declarations[name].result.sided}
        return Probe(chosen, {name: [s for s, _ in levels] for name, levels in sided.items()}, len(images))

    return Probes.of(make, primitive_set)


def _of_images(pair: Pair, images: Sequence[int]) -> Pair:
    """Take some images of both sides; what is shared stays one tensor."""
    student, teacher = ([x.detach().tensor_split(POOL)[i] for i in images] for x in pair)
    teacher_side = torch.cat(teacher).requires_grad_()
    return (teacher_side, teacher_side) if pair[0] is pair[1] else (torch.cat(student).requires_grad_(), teacher_side)


def computed_steps(
    tree: Sequence[Node], primitive_set: PrimitiveSet, knowledge: Mapping[str, Sequence[Pair]]
) -> Iterator[Step]:
    """Compute a tree on knowledge, one level, and yield every operation with its kind and shape, arguments first."""
    values: list[Value] = []
    program = compile_tree(tree, primitive_set)
    parts = {text: levels[0] for text, levels in build_parts(program, shapes_of(knowledge), seed=0).items()}
    inputs = {d.name: knowledge[d.name][0] if d.result.sided else knowledge[d.name][0][1] for d in inputs_of(program)}
    for step in program:
        values.append(value := step.compute(values, inputs, parts))
        if step.declaration is not None:
            tensor: Tensor = value[0] if isinstance(value, tuple) else value
            yield Step(step.text, step.declaration.result.__name__, tuple(tensor.shape))
