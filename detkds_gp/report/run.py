"""What the store of a run says, as plain values: all that a report draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from detkds_gp.curves import prospects
from detkds_gp.gain import Interval
from detkds_gp.noise import Noise
from detkds_gp.report.outline import outline
from detkds_gp.results import MIX, Expected, Judged, State
from detkds_gp.score import Details, Trial
from detkds_gp.store import Birth, Event, Generation, ScreeningRecord
from detkds_gp.store.events import curves

RIVAL = "rival"
"""The stage of a finalist that the search did not find."""


@dataclass(frozen=True)
class Rung:
    """The AP of a candidate on the selection split after a number of iterations; None where it failed."""

    iterations: int
    ap: float | None


@dataclass(frozen=True)
class Candidate:
    """A distiller that the search asked for.

    Attributes:
        birth: its text and where it came from.
        rungs: its trainings on the search's seed, the shortest first; empty while it waits.
        failure: the name of what went wrong in the longest of them; None for a success.
        detail: the failure in words.
        resolved: its text with measured scales.
        number: its place among the answered ones, from 1; 0 while it waits.
        hours: at work until it was answered, over all sessions.
        on_a_rung: whether its longest training is not a whole one: it was stopped there, or goes on.
        expected: what the search expects of it, if it does.
    """

    birth: Birth
    rungs: tuple[Rung, ...] = ()
    failure: str | None = None
    detail: str = ""
    resolved: str = ""
    number: int = 0
    hours: float = 0.0
    on_a_rung: bool = False
    expected: Expected | None = None

    @property
    def text(self) -> str:
        """Its canonical text."""
        return self.birth.text

    @property
    def ap(self) -> float | None:
        """The AP of the longest training; None where it failed or is still to come."""
        return self.rungs[-1].ap if self.rungs else None

    @property
    def iterations(self) -> int:
        """Of the longest training."""
        return self.rungs[-1].iterations if self.rungs else 0

    @cached_property
    def operations(self) -> int:
        """What a training step computes for the loss, counted as `Distiller.cost` does."""
        return sum(len(term.calls) for term in outline(self.birth.text))

    @cached_property
    def terms(self) -> int:
        """How many trees it adds."""
        return len(outline(self.birth.text))


@dataclass(frozen=True, kw_only=True)
class JudgedCandidate(Judged):
    """A candidate on the seeds of the final round.

    Attributes:
        candidate: of the search, or a rival.
    """

    candidate: Candidate

    @property
    def role(self) -> str:
        """Its part in the final round, of a rival with its weight; empty where it has none."""
        return self.finalist.title

    @property
    def is_rival(self) -> bool:
        """Whether the search did not find it."""
        return self.candidate.birth.stage == RIVAL

    @property
    def is_published(self) -> bool:
        """Whether it is a rival of others: neither found nor put together by the search."""
        return self.is_rival and self.finalist.role != MIX


@dataclass(frozen=True)
class References:
    """What candidates are compared with.

    Attributes:
        teacher_selection: the teacher's AP on the selection split; None while it is not known.
        teacher_test: the same on the test split.
        alone_selection: APs of students alone, by seed, at the search's longest training.
        alone_test: APs of students alone on the verdict's seeds.
        noise: how much of the search's APs is luck; None before a formula is trained on two seeds.
    """

    teacher_selection: float | None = None
    teacher_test: float | None = None
    alone_selection: tuple[float, ...] = ()
    alone_test: tuple[float | None, ...] = ()
    noise: Noise | None = None


@dataclass(frozen=True)
class Ablated:
    """The winner without one of its parts, on the verdict's seeds.

    Attributes:
        removed: the text of the part.
        left: what stands in its place; empty for a term.
        pairs: seeds on which both were trained.
        change: of the test AP without the part; an interval of no width from a single pair; None without one.
    """

    removed: str
    left: str
    pairs: int
    change: Interval | None


@dataclass(frozen=True)
class Pictures:
    """Test images, painted.

    Attributes:
        name: of the image's file.
        detections: by whose they are, a JPEG as base64.
        pulls: by knowledge, a JPEG as base64 for each level of the pyramid.
    """

    name: str
    detections: Mapping[str, str]
    pulls: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Explanation:
    """What `gp_search explain` has added.

    Attributes:
        ablations: what is lost most without, first.
        pictures: a few test images; empty where none were painted.
        classes: the names of the objects.
    """

    ablations: tuple[Ablated, ...]
    pictures: tuple[Pictures, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: of its work directory.
        work_dir: where the store is.
        state: ``finished``, ``running`` or ``stopped``.
        fingerprint: what the run is bound to; its ``config`` is the checked config.
        references: teacher and students alone.
        candidates: in the order of birth.
        ranking: those with an AP after a whole training, best first; who stopped at a rung is not among them.
        winner: of the final round; while it has chosen none, the leader: the first of the ranking.
        won: whether the final round has chosen it.
        injected: the distillers from outside: what `gp_search inject` brought, and the rivals at their best.
        details: what trainings tell besides their AP.
        pictures: test images with what the watched students of the final round find; empty where none are painted.
        champions: by knowledge, its best formula on the verdict's seeds.
        seeds: of the final round, which the search never uses.
        length: training steps of everyone in it.
        finalists: who is judged in it, in the order invited or, after a race, the winner first; empty before it begins.
        dropped: who dropped out of the race, on its seeds; who stayed longest first.
        generations: counts and statistics.
        merges: how many formulas were found to be another one in other words.
        events: what happened to the run.
        hours: at work.
        training_hours: of all trainings and calibrations, summed over workers; what explains the winner left out.
        rejections: formulas that screening did not let be trained.
        cut: what was left out of all that the settings plan, in words.
        explanation: of the winner; None where it was not asked for, or of another winner.
    """

    name: str
    work_dir: Path
    state: State
    fingerprint: Mapping[str, Any]
    references: References
    candidates: tuple[Candidate, ...]
    ranking: tuple[Candidate, ...]
    winner: JudgedCandidate | None
    champions: Mapping[str, JudgedCandidate]
    seeds: tuple[int, ...]
    length: int
    finalists: tuple[JudgedCandidate, ...]
    generations: tuple[Generation, ...]
    merges: int
    events: tuple[Event, ...] = field(repr=False)
    hours: float
    training_hours: float
    rejections: tuple[ScreeningRecord, ...] = field(default=(), repr=False)
    explanation: Explanation | None = None
    cut: tuple[str, ...] = ()
    won: bool = False
    injected: tuple[str, ...] = ()
    details: Mapping[Trial, Details] = field(default_factory=dict, repr=False)
    pictures: tuple[Pictures, ...] = field(default=(), repr=False)
    dropped: tuple[JudgedCandidate, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """The checked config of the run."""
        return self.fingerprint["config"]

    @cached_property
    def prospects(self) -> list[str]:
        """What learning curves say of the way from student to teacher; empty where none were recorded."""
        known = curves(self.events)
        return prospects(known.get("student", ()), known.get("teacher", ()), self.references.teacher_selection)

    @property
    def by_selection(self) -> list[JudgedCandidate]:
        """The finalists, the highest mean AP on selection first, those without one last."""
        return sorted(self.finalists, key=lambda one: -(one.selection_mean or -1.0))

    @property
    def best_found(self) -> JudgedCandidate | None:
        """The finalist of the search with the highest mean AP on selection; None before one is judged."""
        return next((one for one in self.by_selection if not one.is_rival and one.selection_mean is not None), None)

    @property
    def best_published(self) -> JudgedCandidate | None:
        """The published loss with the highest mean AP on selection; None where none is judged."""
        return next((one for one in self.by_selection if one.is_published and one.selection_mean is not None), None)

    @property
    def winner_name(self) -> str:
        """What the winner is called: the leader until the final round has chosen."""
        return "the winner" if self.won else "the leader"

    @property
    def left_on_rungs(self) -> list[Candidate]:
        """The candidates with an AP that were not trained to the end."""
        return [candidate for candidate in self.candidates if candidate.on_a_rung and candidate.ap is not None]

    @cached_property
    def answered(self) -> list[Candidate]:
        """The candidates with an answer, in its order."""
        return sorted((c for c in self.candidates if c.number), key=lambda c: c.number)

    @property
    def counts(self) -> Mapping[str, int]:
        """Distillers generated, duplicates, rejected, trained and failed, as of the last finished generation."""
        return self.generations[-1].counts if self.generations else {}
