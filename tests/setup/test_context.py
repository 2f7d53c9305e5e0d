from __future__ import annotations

from pathlib import Path

import pytest

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.errors import StoreError
from detkds_gp.evaluation import Interrupt, Question
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.naming import with_warm_start
from detkds_gp.noise import noise_of, scores_of
from detkds_gp.score import Trial
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import Materials, gather
from detkds_gp.store import Store
from detkds_gp.store.events import NAMED

FORMULA = "l2(global)"


@pytest.fixture(scope="module")
def config(tiny_config: Path) -> ExperimentConfig:
    return with_warm_start(load_config(tiny_config), ["mimic"])


@pytest.fixture(scope="module")
def materials(config: ExperimentConfig) -> Materials:
    return gather(config)


def test_it_holds_formulas_and_remembers_their_names(
    config: ExperimentConfig, materials: Materials, tmp_path: Path
) -> None:
    context = RunContext.prepared(config, materials, tmp_path / "run", Listener())
    (text,) = context.config.search.warm_start
    assert parse_distiller(text, materials.primitive_set).text == text
    assert not (tmp_path / "run").exists()
    with context.open(Interrupt(0.0)) as (store, _):
        (event,) = store.events(NAMED)
    assert event.detail["warm_start"] == ["mimic"]
    again = RunContext.prepared(config, materials, tmp_path / "run", Listener())
    assert again.config == context.config


def test_a_folder_belongs_to_one_search(config: ExperimentConfig, materials: Materials, tmp_path: Path) -> None:
    with RunContext.prepared(config, materials, tmp_path, Listener()).open(Interrupt(0.0)):
        pass
    last = config.proxy.model_copy(update={"average": 0.0})
    for changed, named in (({"seed": 1}, "seed"), ({"proxy": last}, r"proxy\.average: 0\.97 -> 0\.0")):
        other = config.model_copy(update=changed)
        with (
            pytest.raises(StoreError, match=named),
            RunContext.prepared(other, materials, tmp_path, Listener()).open(Interrupt(0.0)),
        ):
            pytest.fail("it opened the store of another search")


def test_what_is_extra_is_marked_and_a_failure_lets_go_of_the_store(
    config: ExperimentConfig, materials: Materials, tmp_path: Path
) -> None:
    context = RunContext.prepared(config, materials, tmp_path, Listener())
    distiller = parse_distiller("1 * 2 * l2(global)", materials.primitive_set)
    trial = Trial(distiller.text, 2, 0)

    def fail_after_a_training() -> None:
        with context.open(Interrupt(0.0), extra=True) as (store, answers):
            context.train_baselines(store, answers)
            answers.scores("extra", [Question(trial, distiller, "global")])
            raise KeyError("a fault")

    with pytest.raises(KeyError, match="a fault"):
        fail_after_a_training()
    with Store.open(tmp_path) as store:
        assert store.score(trial) is not None
        assert all(record.extra for record in store.scores())
        assert store.costs().trainings == 0


def test_anchors_show_luck_and_formulas_before_the_search(tiny_config: Path, tmp_path: Path) -> None:
    rivals = {"a": "l2(global)", "b": "l1(global)", "c": "2 * l2(unit_channel(global))"}
    config = load_config(tiny_config, {"anchors": 3, "verdict.rivals": rivals})
    context = RunContext.prepared(config, gather(config), tmp_path, Listener())
    with context.open(Interrupt(0.0)) as (store, answers):
        context.train_baselines(store, answers)
        alone = {record.trial for record in store.scores()}
        context.train_anchors(answers)
        trials = [record.trial for record in store.scores() if record.trial not in alone]
        noise = noise_of(scores_of(((r.trial, r.score) for r in store.scores()), config.proxy.iterations))
    sound = ["1 * calibrated * l2(global)", "1 * calibrated * l1(global)"]
    wanted = {(text, seed) for text in sound for seed in (0, 1, 2)} | {("300 * calibrated * l2(global)", 0)}
    assert {(t.distiller, t.seed) for t in trials} == wanted
    assert {(t.iterations, t.test) for t in trials} == {(config.proxy.iterations, False)}
    assert noise is not None
    assert (noise.count, noise.degrees) == (4, 4)  # 9 scores of three formulas, less 3 formulas and 2 seeds
    assert load_config(tiny_config, {"anchors": 1}).identity() == load_config(tiny_config).identity()
