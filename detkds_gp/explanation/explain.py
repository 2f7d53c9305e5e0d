"""Extra, budgeted evaluations that say why a winner wins: ablations, gradients and detections on pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deap import gp

from detkds_gp.config import ExperimentConfig, parse_config
from detkds_gp.errors import FormulaError, StoreError
from detkds_gp.evaluation import EvaluationService, Question
from detkds_gp.explanation.pictures import PICTURE_TRAININGS, paint_pictures
from detkds_gp.fitness import ProxyTask
from detkds_gp.language import NONE, Distiller, PrimitiveSet, Term, make_distiller, make_term, parse_distiller
from detkds_gp.language.tree import to_text
from detkds_gp.listener import Listener
from detkds_gp.results import Summary, Verdict
from detkds_gp.score import Trial
from detkds_gp.search.variation import wanted_kinds
from detkds_gp.store import Store
from detkds_gp.store.events import EXPLAINED, EXPLAINING, STARTED

_PAIRS = 2


@dataclass(frozen=True)
class Explanation:
    """What `explain` did.

    Attributes:
        spent: trainings.
        left: trainings of ablations that the budget did not hold.
        pictures: whether pictures were painted, now or before.
    """

    spent: int
    left: int
    pictures: bool


def recorded_config(work_dir: Path) -> ExperimentConfig:
    """Return the config with which a run was last started.

    Raises:
        StoreError: nothing was started there, or by a version that did not record it.
    """
    with Store.open(work_dir, readonly=True) as store:
        starts = store.events(STARTED)
        if not starts or "config" not in starts[-1].detail:
            raise StoreError(f"{store.path} does not say its config; start it once more with gp_search run CONFIG")
        return parse_config(starts[-1].detail["config"], str(store.path))


@dataclass(frozen=True)
class Explaining:
    """Explains the winner of a run.

    Attributes:
        store: open for writing; the caller lets it mark what is recorded as extra.
        evaluations: where trainings come from.
        task: of the workers.
        work_dir: pictures are written to its folder ``explain``.
        listener: hears what happens.
    """

    store: Store
    evaluations: EvaluationService
    task: ProxyTask
    work_dir: Path
    listener: Listener

    def explain(self, evaluations: int) -> Explanation:
        """Spend at most so many trainings; what was answered before costs nothing.

        Raises:
            StoreError: nothing was found that could be explained.
        """
        summary = Summary(self.store, self.task.primitive_set)
        judged, ranking = summary.verdict, summary.ranking()
        if not ranking:
            raise StoreError(f"{self.store.path} has no scored distiller to explain; let gp_search run go on first")
        if not judged.seeds:
            got = f"the budget of {self.store.path} ended before its final round, so that no gain is known to explain"
            raise StoreError(f"{got}; search in another --work-dir with a larger --budget")
        best = summary.winner(ranking) or ranking[0]
        self.store.record_event(EXPLAINING, winner=best.text)
        pictures, spent = self._painted(best.text), 0
        if not pictures and evaluations >= PICTURE_TRAININGS:
            self.listener.say(f"training {PICTURE_TRAININGS} students for pictures")
            folder = self.work_dir / "explain"
            pictures = paint_pictures(self.task, best.distiller, judged.iterations, judged.seeds[0], folder)
            spent = PICTURE_TRAININGS
        distiller = parse_distiller(best.text, self.task.primitive_set)
        removed = ablations(distiller, self.task.primitive_set)
        missing = self._missing(judged, [(best.text, distiller), *((k.distiller.text, k.distiller) for k in removed)])
        asked = missing[: max(0, evaluations - spent)]
        self.evaluations.scores("ablations", [Question(*one, "ablation") for one in asked])
        told = [vars(one) | {"distiller": one.distiller.text} for one in removed]
        self.store.record_event(EXPLAINED, winner=best.text, ablations=told, pictures=pictures)
        return Explanation(spent + len(asked), len(missing) - len(asked), bool(pictures))

    def _missing(self, judged: Verdict, distillers: Sequence[tuple[str, Distiller]]) -> list[tuple[Trial, Distiller]]:
        """Return what is not answered: two seeds of every distiller first, for an interval, then two more of each."""
        return [
            (trial, distiller)
            for start in range(0, len(judged.seeds), _PAIRS)
            for text, distiller in distillers
            for trial in judged.trials(text)[start : start + _PAIRS]
            if self.store.score(trial) is None
        ]

    def _painted(self, text: str) -> Mapping[str, Any]:
        """Return the pictures of a winner that an earlier call painted; empty if there are none."""
        events = [event.detail for event in self.store.events(EXPLAINED)]
        painted = [one["pictures"] for one in events if one["winner"] == text and one["pictures"]]
        return painted[-1] if painted else {}


@dataclass(frozen=True)
class Ablation:
    """A distiller without one of its parts.

    Attributes:
        kind: ``term``, or ``subtree``: a call that one of its arguments stands in for.
        removed: the text of the part.
        left: the text of what stands in its place; empty for a term.
        distiller: what is left; the scale of a changed tree is still to be measured.
    """

    kind: str
    removed: str
    left: str
    distiller: Distiller


def ablations(distiller: Distiller, primitive_set: PrimitiveSet) -> list[Ablation]:
    """Return the distiller without each of its terms, then without each of its calls, each result once.

    Args:
        distiller: as the search calls it, scales left out.
        primitive_set: of its names.
    """
    found: dict[str, Ablation] = {}
    for ablation in _ablations(distiller, primitive_set):
        found.setdefault(ablation.distiller.text, ablation)
    return [found[text] for text in found if text not in (distiller.text, NONE)]


def _ablations(distiller: Distiller, primitive_set: PrimitiveSet) -> Iterator[Ablation]:
    for term in distiller.terms:
        rest = [other for other in distiller.terms if other is not term]
        yield Ablation("term", term.formula, "", make_distiller(rest, primitive_set))
    for term in distiller.terms:
        for removed, left, tree in _shrunk(term.tree):
            try:
                smaller = make_term(tree, primitive_set, term.weight)
            except FormulaError:  # nothing sided is left
                continue
            terms: list[Term] = [smaller if other is term else other for other in distiller.terms]
            yield Ablation("subtree", removed, left, make_distiller(terms, primitive_set))


def _shrunk(tree: gp.PrimitiveTree) -> Iterator[tuple[str, str, gp.PrimitiveTree]]:
    """Yield each call, an argument that fits in its place, and the tree with it there."""
    wanted = wanted_kinds(tree)
    for start, node in enumerate(tree):
        argument = start + 1
        for _ in range(node.arity):
            inner = tree.searchSubtree(argument)
            if issubclass(tree[argument].ret, wanted[start]):
                outer = tree.searchSubtree(start)
                nodes = [*tree[: outer.start], *tree[inner], *tree[outer.stop :]]
                yield to_text(tree[outer]), to_text(tree[inner]), gp.PrimitiveTree(nodes)
            argument = inner.stop
