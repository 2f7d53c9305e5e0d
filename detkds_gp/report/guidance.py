"""What the candidates of a run teach, how sure that is, and where nothing can be said."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detkds_gp.gain import Interval
from detkds_gp.language import Declaration
from detkds_gp.report.features import LEAST, Feature, Table, table
from detkds_gp.report.model import Model, learn
from detkds_gp.report.run import Run
from detkds_gp.report.subtrees import Frequent, frequent

FEWEST = 30
"""Scored candidates below which nothing is learnt."""

MOST = 2000
"""Candidates that a model learns from; of more, so many are drawn at random."""


@dataclass(frozen=True)
class Effect:
    """What a feature is worth.

    Attributes:
        feature: what it is.
        count: candidates that have it (of shape and weight: that differ from the most frequent value).
        effect: AP for one step of it, all others held, with its 95% interval.
        importance: the R² lost on unseen candidates without it.
        stands: whether the interval leaves 0 out even with all features tested at once.
    """

    feature: Feature
    count: int
    effect: Interval
    importance: Interval
    stands: bool

    @property
    def is_clear(self) -> bool:
        """Whether its interval leaves 0 out."""
        return self.effect.low > 0 or self.effect.high < 0


@dataclass(frozen=True)
class Guidance:
    """What was learnt.

    Attributes:
        scored: candidates in all.
        subtrees: of the best tenth against the rest.
        best_tenth: how many that are.
        limits: what the numbers do not support.
        sentences: what they do.
        candidates: how many were learnt from.
        effects: strongest first; empty where nothing could be learnt.
        features: the model's columns, the rare ones too.
        model: None where nothing could be learnt.
        reached: AP of the candidates learnt from, in the order of the model's predictions.
        trusted: whether the model predicts unseen candidates better than their mean does.
    """

    scored: int
    subtrees: tuple[Frequent, ...]
    best_tenth: int
    limits: tuple[str, ...]
    sentences: tuple[str, ...] = ()
    candidates: int = 0
    effects: tuple[Effect, ...] = ()
    features: tuple[Feature, ...] = ()
    model: Model | None = None
    reached: tuple[float, ...] = ()
    trusted: bool = False


def guide(run: Run, declarations: Mapping[str, Declaration]) -> Guidance:
    """Learn from the candidates with a whole training."""
    scored = run.ranking
    common, size = frequent(scored)
    sample = scored if len(scored) <= MOST else random.Random(0).sample(scored, MOST)
    rows = table(sample, declarations)
    if len(scored) < FEWEST or not rows.features or float(rows.ap.std()) == 0.0:
        few = f"Which parts help: {len(scored)} scored candidates are too few to learn from; {FEWEST} are the least."
        limits = (few, *_rung_limit(run))
        return Guidance(len(scored), tuple(common), size, limits)
    model = learn(rows.values, rows.ap, rows.alternatives())
    effects = _effects(rows, model)
    trusted = model.r2.low > 0
    return Guidance(
        candidates=len(sample),
        scored=len(scored),
        effects=tuple(effects),
        features=rows.features,
        model=model,
        reached=tuple(map(float, rows.ap)),
        trusted=trusted,
        subtrees=tuple(common),
        best_tenth=size,
        sentences=_sentences(effects) if trusted else (),
        limits=_limits(run, model, effects, [feature.name for feature in rows.rare], trusted),
    )


def _effects(rows: Table, model: Model) -> list[Effect]:
    """Return what is known of every feature that is not rare, the strongest first of those that stand."""
    shown = [column for column, feature in enumerate(rows.features) if feature not in rows.rare]
    effects = []
    for column in shown:
        feature, strict = rows.features[column], model.contrast([column], tests=len(shown))
        count = _count(rows.values[:, column], feature)
        stands = strict.low > 0 or strict.high < 0
        effects.append(Effect(feature, count, model.contrast([column]), model.importance[column], stands))
    return sorted(effects, key=lambda one: (not one.stands, -abs(one.effect.mean)))


def _count(values: NDArray[np.float64], feature: Feature) -> int:
    """Return how many have a feature; of shape and weight, how many differ from the most frequent value."""
    if feature.group not in ("shape", "weight"):
        return int((values != 0).sum())
    return len(values) - int(np.unique(values, return_counts=True)[1].max())


def _sentences(effects: Sequence[Effect]) -> tuple[str, ...]:
    """Say three things that stand with all features tested at once: knowledge, what helps, what harms."""
    standing = [effect for effect in effects if effect.stands]
    knowledge = [effect for effect in standing if effect.feature.group == "knowledge"]
    parts = [effect for effect in standing if effect.feature.group != "knowledge"]
    helps = [effect for effect in parts if effect.effect.mean > 0]
    harms = [effect for effect in parts if effect.effect.mean < 0]
    return (
        _listed("The knowledge that moves the AP: {}.", "No knowledge stands out from the others.", knowledge),
        _listed("Next, try more of {}.", "Nothing else is shown to raise the AP.", helps),
        _listed("Try less of {}.", "Nothing else is shown to lower the AP.", harms),
    )


def _listed(pattern: str, otherwise: str, effects: Sequence[Effect], most: int = 3) -> str:
    if not effects:
        return otherwise
    said = [
        f"{e.feature.name} ({e.effect} {e.feature.unit})"
        for e in sorted(effects, key=lambda effect: -abs(effect.effect.mean))[:most]
    ]
    return pattern.format(", ".join(said[:-1]) + " and " + said[-1] if len(said) > 1 else said[0])


def _limits(run: Run, model: Model, effects: Sequence[Effect], rare: Sequence[str], trusted: bool) -> tuple[str, ...]:
    limits = []
    if not trusted:
        limits.append(
            f"Anything for sure: candidates that the model has not seen are predicted no better than by their mean "
            f"(R² {model.r2.mean:.2f}, 95% interval {model.r2.low:.2f} to {model.r2.high:.2f}). "
            "The effects below are what this run shows, not what the next one will."
        )
    unclear = [effect.feature.name for effect in effects if not effect.stands]
    if unclear and trusted:
        limits.append(f"Whether {_few(unclear)} help or harm: the intervals hold 0 once all features are tested.")
    if rare:
        limits.append(f"Anything of {_few(rare)}: fewer than {LEAST} candidates have them, or lack them.")
    limits.extend(_rung_limit(run))
    if run.references.noise is not None:
        limits.append(f"What single scores that lie near each other are worth: {run.references.noise}.")
    limits.append(
        "Causes: a search asks for what did well, so names that came along with good ones look good. "
        "Ablations (gp_search explain) test the winner's parts one by one."
    )
    return tuple(limits)


def _rung_limit(run: Run) -> tuple[str, ...]:
    """Say that who was trained to the end was picked by an AP of its own."""
    left = len(run.left_on_rungs)
    if not left:
        return ()
    return (
        f"What holds for the {left} candidates that stayed on a rung: all here is learnt from the {len(run.ranking)} "
        "trained to the end, and those were picked by their own AP on the way. Among them a part that helps or harms "
        "early looks weaker than it is.",
    )


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
