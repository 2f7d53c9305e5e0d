"""What is learnt from runs whose APs follow a known rule is that rule."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from detkds_gp.primitives import DETKDS
from detkds_gp.report import Run, collect
from detkds_gp.report.features import table
from detkds_gp.report.guidance import FEWEST, Guidance, guide
from detkds_gp.report.model import learn
from detkds_gp.report.outline import outline
from detkds_gp.report.subtrees import share_difference


@pytest.fixture(scope="module")
def large(made_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("large")
    made_run.make_run(folder, 600, seed=6)
    return collect(folder)


@pytest.fixture(scope="module")
def learnt(large: Run) -> Guidance:
    return guide(large, DETKDS.declarations)


def test_effects_are_those_of_the_rule(learnt: Guidance, made_run: ModuleType) -> None:
    told = {effect.feature.name: effect for effect in learnt.effects}
    assert told["unit_channel"].effect.mean == pytest.approx(made_run.EFFECTS["unit_channel"], abs=0.008)
    for name in ("global", "instance"):  # knowledge is worth what it is against other knowledge
        apart = told[name].effect.mean - told["class logits"].effect.mean
        assert apart == pytest.approx(made_run.EFFECTS[name], abs=0.012)
    others = [e.effect.mean for name, e in told.items() if e.stands and name not in (*made_run.EFFECTS, "class logits")]
    assert max(map(abs, others), default=0.0) < 0.01  # names that keep company with those of the rule


def test_the_sentences_name_them(learnt: Guidance) -> None:
    knowledge, helps, _ = learnt.sentences
    assert "global" in knowledge
    assert "unit_channel" in helps
    assert learnt.trusted


def test_importance_follows_the_effects(learnt: Guidance) -> None:
    first, second = sorted(learnt.effects, key=lambda effect: -effect.importance.mean)[:2]
    assert {first.feature.name, second.feature.name} == {"unit_channel", "global"}


def test_noise_alone_is_not_trusted_and_says_nothing(large: Run) -> None:
    rng = np.random.default_rng(0)
    noisy = [
        replace(candidate, rungs=(replace(candidate.rungs[-1], ap=float(rng.uniform(0.1, 0.2))),))
        for candidate in large.ranking[:120]
    ]
    found = guide(replace(large, ranking=tuple(noisy)), DETKDS.declarations)
    assert not found.trusted
    assert found.sentences == ()
    assert "no better than by their mean" in found.limits[0]


def test_few_candidates_teach_nothing(large: Run) -> None:
    found = guide(replace(large, ranking=large.ranking[: FEWEST - 1]), DETKDS.declarations)
    assert found.model is None
    assert f"{FEWEST - 1} scored candidates are too few" in found.limits[0]


def test_a_run_without_any_score_is_no_error(large: Run) -> None:
    assert guide(replace(large, ranking=()), DETKDS.declarations).effects == ()


def test_the_best_have_what_the_rule_rewards(learnt: Guidance) -> None:
    assert learnt.subtrees
    assert all("unit_channel(" in one.text for one in learnt.subtrees[:3])
    for one in learnt.subtrees:
        assert one.difference.low <= one.difference.mean <= one.difference.high


def test_a_row_says_what_a_formula_holds(large: Run) -> None:
    rows = table(large.ranking, DETKDS.declarations)
    column = [feature.name for feature in rows.features].index("unit_channel")
    for candidate, row in zip(large.ranking, rows.values, strict=True):
        assert row[column] == ("unit_channel(" in candidate.text)


def test_ridge_effects_are_those_of_least_squares_where_there_is_no_noise() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2, size=(200, 4)).astype(float)
    model = learn(values, values @ np.array([0.1, -0.05, 0.0, 0.02]) + 0.3)
    assert model.effects == pytest.approx([0.1, -0.05, 0.0, 0.02], abs=1e-3)
    assert model.contrast([0], [1]).mean == pytest.approx(0.15, abs=1e-3)
    assert model.r2.mean > 0.9


def test_newcombe_agrees_with_his_own_example() -> None:
    # Newcombe (Statistics in Medicine 17, 1998), table II, method 10: 56/70 against 48/80.
    found = share_difference(56, 70, 48, 80)
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_candidates_left_on_a_rung_are_spoken_of(large: Run) -> None:
    said = "candidates that stayed on a rung"
    assert not any(said in limit for limit in guide(large, DETKDS.declarations).limits)
    whole, left = large.ranking[:60], large.ranking[60:]
    candidates = (*whole, *(replace(candidate, on_a_rung=True) for candidate in left))
    for size in (60, FEWEST - 1):
        climbed = replace(large, candidates=candidates, ranking=whole[:size])
        limits = guide(climbed, DETKDS.declarations).limits
        assert any(f"the {len(left)} {said}" in limit for limit in limits)


def test_the_noise_is_that_of_the_run(learnt: Guidance, large: Run) -> None:
    alone, rest = large.references.alone_selection, [candidate.ap for candidate in large.ranking]
    noise = large.references.noise
    assert noise.luck == pytest.approx(np.std(alone, ddof=1))  # only the student alone was trained on two seeds
    assert noise.count == len(rest) + 1
    assert any(str(noise) in limit for limit in learnt.limits)


def test_of_depth_those_are_counted_that_differ_from_most(learnt: Guidance, large: Run) -> None:
    depths = Counter(max(term.depth for term in outline(candidate.text)) for candidate in large.ranking)
    (depth,) = [effect for effect in learnt.effects if effect.feature.name == "depth"]
    assert depth.count == depths.total() - max(depths.values())
    (one,) = [effect for effect in learnt.effects if effect.feature.name == "unit_channel"]
    assert one.count == sum("unit_channel(" in candidate.text for candidate in large.ranking)


def test_the_same_store_gives_the_same_guidance(small: Path) -> None:
    one, other = (guide(collect(small), DETKDS.declarations) for _ in range(2))
    assert one.effects == other.effects
