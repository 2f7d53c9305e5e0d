"""The tables of a search: generations by niche, rungs, what was rejected and why, how well it foresaw APs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean, median

from detkds_gp.report.model import rank_correlation
from detkds_gp.report.run import Run
from detkds_gp.report.students import both_known
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

SURE = 1.96
"""Standard deviations on either side of what is expected within which 95% of APs should lie."""


@dataclass(frozen=True)
class RungRow:
    """What was trained for a number of iterations: candidates, those with an AP, best and median AP; None without one.

    ``agreement`` is the rank correlation with the rung before, of candidates that have both; None with fewer than 5.
    """

    iterations: int
    asked: int
    scored: int
    best: float | None
    middle: float | None
    agreement: float | None


@dataclass(frozen=True)
class Loss:
    """Formulas that gave no AP of a whole training, for one reason, and what was said of the first of them."""

    reason: str
    words: str
    count: int
    example: str
    detail: str


@dataclass(frozen=True)
class NicheRow:
    """A niche after its last finished generation.

    Candidates so far, those without an AP, formulas made again and dropped; then best, median and standard deviation
    of the survivors' APs, None where there are none.
    """

    niche: str
    stage: str
    asked: int
    failed: int
    duplicates: int
    best: float | None
    middle: float | None
    spread: float | None


@dataclass(frozen=True)
class Foresight:
    """What became of what a search expected.

    Attributes:
        count: trainings whose AP was expected before.
        inside: how many of these lie in the 95% interval, the luck of a seed included; None where that is not known.
        off: mean distance of an AP from what was expected.
        off_mean: mean distance of an AP from the mean of them all: what knowing nothing of formulas would give.
    """

    count: int
    inside: int | None
    off: float
    off_mean: float


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
        pairs = both_known(map(before.get, found), found.values())
        agreement = rank_correlation(*zip(*pairs, strict=True)) if len(pairs) >= 5 else None
        rows.append(RungRow(iterations, len(found), len(aps), best, middle, agreement))
        before = found
    return rows


def losses(run: Run) -> list[Loss]:
    """Return why formulas were not trained to the end, the most frequent reason first."""
    reasons: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for record in run.rejections:
        reasons[record.screening.failure or ""].append((record.tree, record.screening.detail))
    finished = {(generation.stage, generation.number) for generation in run.generations}
    whole = run.config["proxy"]["iterations"]
    for candidate in run.candidates:
        born = candidate.birth.stage, candidate.birth.generation
        if candidate.failure is not None:
            reasons[candidate.failure].append((candidate.text, candidate.detail))
        elif candidate.ap is not None and candidate.iterations < whole and born in finished:  # others may still climb
            told = f"AP {candidate.ap:.4f} after {candidate.iterations} iterations"
            reasons[STOPPED_ON_RUNG].append((candidate.text, told))
    rows = []
    for reason, found in reasons.items():
        # A check says why it rejects a formula, with the formula's numbers in brackets.
        words = _WORDS.get(reason) or f"not worth a training: {found[0][1].partition(' (')[0]}"
        rows.append(Loss(reason, words, len(found), *found[0]))
    return sorted(rows, key=lambda row: (-row.count, row.reason))


def niches(run: Run) -> list[NicheRow]:
    """Return how every niche stands, in the order of the search."""
    rows: dict[tuple[str, str], NicheRow] = {}
    for generation in run.generations:
        for record in generation.statistics["niches"]:
            key = record["stage"], record["niche"]
            so_far = rows.get(key, NicheRow(key[1], key[0], 0, 0, 0, None, None, None))
            counted = so_far.asked + record["new"], so_far.failed + record["failed"]
            duplicates = so_far.duplicates + record["duplicates"]
            rows[key] = NicheRow(key[1], key[0], *counted, duplicates, *map(record.get, ("best", "median", "spread")))
    return list(rows.values())


def foresight(run: Run) -> Foresight | None:
    """Return how well a search foresaw; None where its strategy expects nothing of what it trains."""
    rows = [row for one in run.generations for niche in one.statistics["niches"] for row in niche.get("foreseen", ())]
    if not rows:
        return None
    noise, mean = run.references.noise, fmean(ap for _, _, ap in rows)
    inside = None
    if noise is not None:
        inside = sum(abs(ap - told) <= SURE * (deviation**2 + noise.luck**2) ** 0.5 for told, deviation, ap in rows)
    off = fmean(abs(ap - told) for told, _, ap in rows)
    return Foresight(len(rows), inside, off, off_mean=fmean(abs(ap - mean) for _, _, ap in rows))
