"""The ancestors of a candidate, laid out by generation: oldest left, the candidate right; and how each was made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from detkds_gp.language import PrimitiveSet, parse_distiller
from detkds_gp.report.outline import outline
from detkds_gp.report.run import RIVAL, Candidate, Run
from detkds_gp.score import MIX
from detkds_gp.store.events import RIVALS_TUNED

SHOWN = 48
"""Ancestors drawn at most: the nearest."""

STARTED_WITH = "given in search.warm_start"
INJECTED = "given by gp_search inject"
TUNED = "a published loss, its weight tuned before the search"


@dataclass(frozen=True)
class Ancestor:
    """One node of a genealogy, in a column for its generation (0 is left) and a row (0 is top); ``how`` it was made."""

    candidate: Candidate
    column: int
    row: int
    how: str


@dataclass(frozen=True)
class Genealogy:
    """A directed graph of ancestors.

    Attributes:
        ancestors: oldest first, the candidate itself last.
        edges: (parent, child) as places in ``ancestors``.
        columns: (stage, generation) of every column.
        rows: of the longest column.
        left_out: ancestors beyond those shown.
    """

    ancestors: tuple[Ancestor, ...]
    edges: tuple[tuple[int, int], ...]
    columns: tuple[tuple[str, int], ...]
    rows: int
    left_out: int


def genealogy(
    candidate: Candidate, known: Mapping[str, Candidate], given: Mapping[str, str], shown: int = SHOWN
) -> Genealogy:
    """Follow parents back from a candidate.

    Args:
        candidate: whose ancestors are asked for.
        known: candidates by text.
        given: by tree, how it was given; from `given`.
        shown: how many nodes to keep, the nearest first.
    """
    stages = sorted(dict.fromkeys(one.birth.stage for one in known.values()), key=lambda stage: stage == RIVAL)

    def place(one: Candidate) -> tuple[int, int]:
        return stages.index(one.birth.stage), one.birth.generation

    found = _nearest_first(candidate, known)
    kept = sorted(found[:shown], key=lambda one: (*place(one), one.birth.niche, one.text))
    places = sorted({place(one) for one in kept})
    taken: dict[int, int] = defaultdict(int)
    ancestors = []
    for one in kept:
        column = places.index(place(one))
        ancestors.append(Ancestor(one, column, taken[column], how_made(one, given)))
        taken[column] += 1
    number = {ancestor.candidate.text: index for index, ancestor in enumerate(ancestors)}
    edges = [(number[p], number[a.candidate.text]) for a in ancestors for p in a.candidate.birth.parents if p in number]
    columns = tuple((stages[stage], generation) for stage, generation in places)
    return Genealogy(tuple(ancestors), tuple(edges), columns, max(taken.values()), max(0, len(found) - shown))


def given(run: Run, primitive_set: PrimitiveSet) -> dict[str, str]:
    """Return by tree, as canonical text, how it was given.

    Raises:
        FormulaError: if the primitive set is not the one searched.
    """
    rivals = [one for event in run.events if event.kind == RIVALS_TUNED for one in event.detail["rivals"]]
    tuned = [(one["tuned"] or one["given"])["text"] for one in rivals if one["expected"]]
    started = run.config["search"].get("warm_start", ())
    found: dict[str, str] = {}
    for texts, how in ((run.injected, INJECTED), (started, STARTED_WITH), (tuned, TUNED)):
        for distiller in (parse_distiller(text, primitive_set, bare=None) for text in texts):
            found |= dict.fromkeys((term.formula for term in outline(distiller.text)), how)
    return found


def how_made(candidate: Candidate, given: Mapping[str, str]) -> str:
    """Say in words how a candidate came to be; ``given`` says by tree how it was given, of those that were."""
    if candidate.birth.stage == RIVAL:
        return "not bred: given as a rival of the search"
    parents, mix = len(candidate.birth.parents), candidate.birth.niche == MIX
    if not parents:
        told = (given[term.formula] for term in outline(candidate.text) if term.formula in given)
        return next(told, "grown at random")
    if candidate.birth.generation == 0 and mix:
        return "the best formula of a knowledge" if parents == 1 else f"{parents} best formulas, mixed"
    if parents == 1 and not mix and _tree(candidate.text) == _tree(candidate.birth.parents[0]):
        return "its parent's formula at another weight"
    if parents == 1:
        return "its parent, with other parts or weights" if mix else "a mutation of its parent"
    return f"{parents} parents, crossed"


def _tree(text: str) -> str:
    """Return a formula's text without what stands before its tree."""
    return text.rpartition(" * ")[2]


def _nearest_first(candidate: Candidate, known: Mapping[str, Candidate]) -> list[Candidate]:
    found = {candidate.text: candidate}
    waiting = [candidate]
    for one in waiting:
        for parent in one.birth.parents:
            if parent in known and parent not in found:
                found[parent] = known[parent]
                waiting.append(known[parent])
    return list(found.values())
