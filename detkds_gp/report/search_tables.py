"""The tables of a search: generations by niche, rungs, what was rejected and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from detkds_gp.report.model import rank_correlation
from detkds_gp.report.run import Candidate, Run
from detkds_gp.score import STOPPED_ON_RUNG

_WORDS = {
    "nonfinite": "the loss became infinite, or not a number",
    "diverged": "the training diverged",
    "out_of_memory": "the memory did not suffice",
    "timeout": "the time limit was reached",
    "shape": "tensors do not fit each other",
    "worker_lost": "the worker process was lost",
    STOPPED_ON_RUNG: "stopped on a rung: not among the best of its knowledge",
}

_COUNTED = (("asked", "new"), ("failed", "failed"), ("duplicates", "duplicates"))


@dataclass(frozen=True)
class RungRow:
    """What was trained for a number of iterations.

    Attributes:
        iterations: training steps.
        asked: candidates.
        scored: those with an AP.
        best: AP; None without one.
        middle: median AP; None without one.
        agreement: rank correlation with the rung before, of candidates that have both; None with fewer than 5.
    """

    iterations: int
    asked: int
    scored: int
    best: float | None
    middle: float | None
    agreement: float | None


@dataclass(frozen=True)
class Loss:
    """Formulas that gave no AP of a whole training, for one reason.

    Attributes:
        reason: its name.
        words: the reason in words.
        count: of formulas.
        example: the formula of the first.
        detail: what was said of it.
    """

    reason: str
    words: str
    count: int
    example: str
    detail: str


@dataclass(frozen=True)
class NicheRow:
    """A niche after its last finished generation.

    Attributes:
        niche: its name.
        stage: of that generation.
        asked: candidates so far.
        failed: those without an AP.
        duplicates: formulas made again and dropped.
        best: AP of the survivors; None where there are none.
        middle: their median AP.
        spread: their standard deviation.
    """

    niche: str
    stage: str
    asked: int
    failed: int
    duplicates: int
    best: float | None
    middle: float | None
    spread: float | None


def rungs(run: Run) -> list[RungRow]:
    """Return a row for every number of iterations that candidates were trained for, the shortest first."""
    scores: dict[int, dict[str, float | None]] = defaultdict(dict)
    for candidate in run.candidates:
        for rung in candidate.rungs:
            scores[rung.iterations][candidate.text] = rung.ap
    rows: list[RungRow] = []
    before: dict[str, float | None] = {}
    for iterations, found in sorted(scores.items()):
        aps = [ap for ap in found.values() if ap is not None]
        best, middle = (max(aps), median(aps)) if aps else (None, None)
        rows.append(RungRow(iterations, len(found), len(aps), best, middle, _agreement(before, found)))
        before = found
    return rows


def losses(run: Run) -> list[Loss]:
    """Return why formulas were not trained to the end, the most frequent reason first."""
    reasons: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for record in run.rejections:
        reasons[record.screening.failure or ""].append((record.tree, record.screening.detail))
    for candidate in run.candidates:
        if candidate.failure is not None:
            reasons[candidate.failure].append((candidate.text, candidate.detail))
        elif _stopped(run, candidate):
            reasons[STOPPED_ON_RUNG].append(
                (candidate.text, f"AP {candidate.ap:.4f} after {candidate.iterations} iterations")
            )
    rows = [Loss(reason, in_words(reason, found[0][1]), len(found), *found[0]) for reason, found in reasons.items()]
    return sorted(rows, key=lambda row: (-row.count, row.reason))


def in_words(reason: str, detail: str) -> str:
    """Return a reason in words; of a check, what it says of a formula without its numbers."""
    return _WORDS.get(reason) or f"not worth a training: {detail.partition(' (')[0]}"


def _stopped(run: Run, candidate: Candidate) -> bool:
    """Return whether a candidate has stayed on a rung; one of a generation at work may still climb."""
    done = (candidate.birth.stage, candidate.birth.generation) in run.finished_generations
    return done and candidate.ap is not None and candidate.iterations < run.config["proxy"]["iterations"]


def niches(run: Run) -> list[NicheRow]:
    """Return how every niche stands, in the order of the search."""
    rows: dict[tuple[str, str], NicheRow] = {}
    for generation in run.generations:
        for record in generation.statistics["niches"]:
            key = record["stage"], record["niche"]
            so_far = rows.get(key, NicheRow(key[1], key[0], 0, 0, 0, None, None, None))
            counted = (getattr(so_far, a) + record[b] for a, b in _COUNTED)
            rows[key] = NicheRow(key[1], key[0], *counted, *map(record.get, ("best", "median", "spread")))
    return list(rows.values())


def _agreement(before: dict[str, float | None], after: dict[str, float | None]) -> float | None:
    pairs = [(old, ap) for text, ap in after.items() if ap is not None and (old := before.get(text)) is not None]
    if len(pairs) < 5:
        return None
    return rank_correlation([one for one, _ in pairs], [other for _, other in pairs])
