"""Stores of any size for reports: the real search and store; screening, calibration and training replaced by a rule.

A store has every row that a real run writes: births, screenings with fingerprints, scales, scores, generations, events.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detkds_gp.config import ExperimentConfig
from detkds_gp.evaluation import Question, candidates_to
from detkds_gp.final_round import FinalRound
from detkds_gp.final_round.plan import LENGTHENED
from detkds_gp.language import NONE, PrimitiveSet, load_primitive_set, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.results import Finalist
from detkds_gp.run.recorder import Recorder
from detkds_gp.score import Scale, Score, Screening, Trial
from detkds_gp.screening import Finding, Fingerprint, Screener
from detkds_gp.search import DivideAndConquer, run_search
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD, FINAL_PLANNED, FINISHED, STARTED
from detkds_gp.turns import Turns

KNOWLEDGE = ("global", "instance", "class_logits")
EFFECTS = {"global": 0.06, "instance": 0.03, "unit_channel": 0.05, "l1": -0.04}
"""What a name in a formula adds to its AP; all else adds nothing."""

NOISE = 0.01
SEEDS = (1001, 1002, 1003, 1004)


def made_ap(text: str, seed: int = 0) -> float:
    """Return the AP of a distiller: a fixed start, its names' effects and noise that text and seed decide."""
    names = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    noise = random.Random(hashlib.sha256(f"{text}/{seed}".encode()).digest()).gauss(0, NOISE)
    return min(0.99, max(0.0, 0.2 + sum(EFFECTS.get(name, 0.0) for name in names) + noise))


def made_score(text: str, seed: int = 0) -> Score:
    """Score a distiller; one in fifty fails."""
    if _chance(text) < 0.02:
        return Score.failed("nonfinite", "loss became nan at iteration 12", 1.0)
    return Score(made_ap(text, seed), wall_seconds=20.0)


def made_screening(formula: str) -> Screening:
    """Screen a formula; three in a hundred are rejected, no two are the same loss."""
    if _chance(formula) < 0.03:
        return Screening("rejected:gradient", "no gradient reaches the student", wall_seconds=0.01)
    numbers = np.random.default_rng(list(hashlib.sha256(formula.encode()).digest())).standard_normal((10, 16))
    fingerprint = Fingerprint(tuple(f"neck.{level}" for level in range(5)), numbers.astype(np.float32))
    return Screening(fingerprint=fingerprint.text, wall_seconds=0.01)


def _chance(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) / 16**4


def make_run(
    work_dir: Path, evaluations: int, judged: bool = True, warm_start: Sequence[str] = (), champions: int = 3,
    **options: Any,
) -> None:  # fmt: skip
    """Write the store of a run of about so many evaluations.

    Args:
        work_dir: where.
        evaluations: of the search; at least 10.
        judged: whether the verdict is in, and the run finished.
        warm_start: formulas that join the first generation.
        champions: of every knowledge, that mixes choose from; three make 15,000 mixes.
        options: values of the config.
    """
    niches = len(KNOWLEDGE)
    generations = 4
    size = max(1, evaluations // ((generations + 1) * niches + generations + 1))
    stage = {"population": size, "offspring": size, "generations": generations}
    config = ExperimentConfig.model_validate(
        {
            "student": {"config": "student.py"}, "teacher": {"config": "teacher.py"},
            "data": {key: {"ann_file": "none.json", "images": "none"} for key in ("train", "selection", "test")},
            "search": {"divide": stage, "conquer": stage, "champions": champions, "warm_start": warm_start},
            "verdict": {"seeds": SEEDS}, **options,
        }
    )  # fmt: skip
    grammar = load_primitive_set(config.primitive_set)
    dropped = _other_inputs(grammar)
    with Store.open(work_dir) as store:
        store.begin({"config": config.identity(), "primitive_set": grammar.fingerprint()})
        command = ["gp_search", "run", "made.py"]
        store.record_event(STARTED, dropped=dropped, command=command, device="cpu", workers=2)
        final = FinalRound(SEEDS, LENGTHENED * config.proxy.iterations, places=1)
        store.record_event(FINAL_PLANNED, **vars(final))
        _references(store, config, final)
        search = DivideAndConquer(grammar.without(*dropped), config.search, config.seed, screen=_screened(store))
        search.start_with([parse_distiller(text, grammar, bare=None) for text in config.search.warm_start])
        run_search(search, candidates_to(_Made(store), _trial(config)), Recorder(store, Listener()))
        if judged and search.best is not None:
            leader = Finalist(search.best.distiller.text, "leader")
            store.record_event(FINAL_HELD, **final.to_json([leader]))
            _judge(store, final, leader.text)
            store.record_event(FINISHED)


def _other_inputs(grammar: PrimitiveSet) -> list[str]:
    return [d.name for d in grammar.inputs if not any(map(d.belongs_to, KNOWLEDGE)) or d.niche not in ("", *KNOWLEDGE)]


def _references(store: Store, config: ExperimentConfig, final: FinalRound) -> None:
    store.record_score(Trial("teacher", 0, 0, test=True), Score(0.5, 0.5))
    for seed in config.baseline_seeds:
        store.record_score(Trial(NONE, config.proxy.iterations, seed), Score(made_ap(NONE, seed)))
    _judge(store, final, NONE)


def _judge(store: Store, final: FinalRound, text: str) -> None:
    for seed in final.seeds:
        ap = made_ap(text, seed)
        store.record_score(Trial(text, final.iterations, seed, test=True), Score(ap, ap, wall_seconds=25.0))


def _trial(config: ExperimentConfig) -> Any:
    return lambda text: Trial(text, config.proxy.iterations, config.baseline_seeds[0])


def _screened(store: Store) -> Screener:
    def screened(formulas: Sequence[str]) -> Sequence[Finding]:
        found = [made_screening(formula) for formula in formulas]
        with store.together():
            for formula, screening in zip(formulas, found, strict=True):
                store.record_screening(formula, screening)
        return [Finding(None if one.failure is None else Score.failed(one.failure, one.detail, 0.01)) for one in found]

    return screened


@dataclass(frozen=True)
class _Made:
    """An evaluator that records made scores."""

    store: Store

    def scoring(self, phase: str, questions: Sequence[Question]) -> Turns[list[Score]]:
        yield from ()
        scores = [made_score(one.trial.distiller) for one in questions]
        with self.store.together():
            for one, score in zip(questions, scores, strict=True):
                scales = dict.fromkeys(one.distiller.uncalibrated, 0.5)
                for formula, scale in scales.items():
                    self.store.record_scale(formula, Scale(scale, wall_seconds=0.1))
                self.store.record_score(one.trial, score, one.distiller.with_scales(scales).text)
        return scores
