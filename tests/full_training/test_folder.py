"""The work directory of a full training: bound to it once something was trained; mistakes are told in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from detkds_gp.config import load_config
from detkds_gp.detectors import build_detector
from detkds_gp.errors import ConfigError
from detkds_gp.full_training import (
    FullTraining,
    compared_with,
    first_difference,
    prepared_configs,
    run_full_training,
)
from detkds_gp.full_training.recipe import import_for
from detkds_gp.full_training.training import protocol
from detkds_gp.listener import Listener
from detkds_gp.naming import read_distiller

SHORT = {"full_training.iterations": 2, "full_training.batch_size": 4, "full_training.workers": 0}
OPTIMIZER = "optim_wrapper.optimizer.type"


def asked(tiny_config: Path, folder: Path, **options: Any) -> FullTraining:
    config = load_config(tiny_config, {**SHORT, "full_training.options": options})
    return FullTraining(config, read_distiller("none", config), folder)


@pytest.fixture(scope="module")
def folder(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training; its first start failed."""
    folder = tmp_path_factory.mktemp("bound") / "none"
    with pytest.raises(ConfigError, match="cannot be set up: optim_wrapper: TypeError.*; mend full_training.options"):
        run_full_training(asked(tiny_config, folder, **{OPTIMIZER: "Nonsense"}), Listener())
    assert (folder / "training.json").is_file()
    told = run_full_training(asked(tiny_config, folder), Listener())
    assert told == json.loads((folder / "result.json").read_text())
    return folder


def test_a_start_that_failed_binds_nothing(folder: Path) -> None:
    assert Config.fromfile(folder / "config.py", import_custom_modules=False).optim_wrapper.optimizer.type == "SGD"
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.student.bbox_head.nonsense", 3),
        ("param_scheduler", [{"type": "Nonsense"}]),
        ("test_dataloader.dataset.pipeline", [{"type": "Nonsense"}]),  # needed at the end, told at the start
    ],
)
def test_what_cannot_be_built_is_told_before_anything_is_trained(
    key: str, value: Any, tiny_config: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="the training cannot be set up: .*[nN]onsense"):
        run_full_training(asked(tiny_config, tmp_path / "x", **{key: value}), Listener())
    assert not list((tmp_path / "x").glob("*.pth"))


def test_a_refusal_names_the_setting_and_both_values(folder: Path, tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match=r"training .optim_wrapper.optimizer.lr is 0.01, asked for 0.5.; give"):
        run_full_training(asked(tiny_config, folder, **{"optim_wrapper.optimizer.lr": 0.5}), Listener())


def test_the_first_difference_of_nested_values() -> None:
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) is None
    assert first_difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == "a.1.b is 2, asked for 3"
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == "a is [1], asked for [1, 2]"
    assert first_difference({"c": 1}, {}) == "c is 1, asked for None"


def test_mixed_precision_without_a_gpu_is_told_of_a_finished_training_too(folder: Path, tiny_config: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    one = asked(tiny_config, folder)
    with pytest.raises(ConfigError, match="--amp is for a GPU"):
        run_full_training(FullTraining(one.config, one.named, folder, amp=True), Listener())


def test_a_folder_that_cannot_be_is_told(tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "x", Path("/proc/nope")):
        with pytest.raises(ConfigError, match=f"--work-dir {path} cannot be written: .*; name another folder"):
            run_full_training(asked(tiny_config, path), Listener())


def test_a_result_that_was_cut_off_is_told(folder: Path, tiny_config: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "none")
    result = tmp_path / "none" / "result.json"
    result.write_text(result.read_text()[:40])
    with pytest.raises(ConfigError, match="result.json is broken, .*; remove it, and the same command scores"):
        run_full_training(asked(tiny_config, tmp_path / "none"), Listener())
    (tmp_path / "none" / "training.json").unlink()
    with pytest.raises(ConfigError, match="holds a training, but no training.json that says which"):
        run_full_training(asked(tiny_config, tmp_path / "none"), Listener())


def test_results_of_other_tools_are_passed_over(folder: Path, tmp_path: Path) -> None:
    alone = json.loads((folder / "result.json").read_text())
    told = {**alone, "formula": "l2(global)"}
    for name, text in {"a": '{"ap": 1}', "b": "[]", "c": '{"formula": "no'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    assert compared_with(told, tmp_path) == []
    shutil.copytree(folder, tmp_path / "none")
    assert compared_with(told, tmp_path) == [alone]


def test_a_baseline_is_averaged_and_scored_as_its_siblings_are(folder: Path) -> None:
    config = Config.fromfile(folder / "config.py", import_custom_modules=False)
    masks, averaged = Config(config.to_dict()), Config(config.to_dict())
    masks.test_evaluator.metric = ["bbox", "segm"]
    averaged.custom_hooks = [{"type": "EMAHook"}, *averaged.custom_hooks]
    assert len({protocol(one, 1) for one in (config, masks, averaged)}) == 3


def test_where_the_proxy_starts_is_not_where_the_full_training_starts(tiny_config: Path, tmp_path: Path) -> None:
    own = {"student.overrides": {**load_config(tiny_config).student.overrides}}
    own["student.overrides"]["model.backbone.init_cfg"] = [{"type": "Kaiming", "layer": "Conv2d"}]
    config = load_config(tiny_config, {**SHORT, **own, "proxy.start": "random"})
    torch.manual_seed(5)
    student = build_detector(config.student.spec(), tuple("0123456789"))
    logged = {"log_scalars": {"loss": HistoryBuffer([1.0], [1])}}
    torch.save({"state_dict": student.state_dict(), "message_hub": logged}, tmp_path / "plain.pth")
    config = load_config(
        tiny_config, {**SHORT, **own, "proxy.start": "random", "student.checkpoint": str(tmp_path / "plain.pth")}
    )
    whole, _, _ = prepared_configs(FullTraining(config, read_distiller("none", config), tmp_path / "x"), Listener())
    assert whole.model.student.backbone.init_cfg[0].type == "Kaiming"
    start = torch.load(whole.load_from, weights_only=True)["state_dict"]
    assert start.keys() == student.state_dict().keys()
    assert all(torch.equal(value, start[name]) for name, value in student.state_dict().items())


def test_nothing_is_downloaded_for_a_student_with_a_checkpoint(tiny_config: Path, tmp_path: Path) -> None:
    own = {"student.overrides": {**load_config(tiny_config).student.overrides}}
    pretrained = {"_delete_": True, "type": "Pretrained", "checkpoint": "torchvision://resnet18"}
    own["student.overrides"]["model.backbone.init_cfg"] = pretrained
    student = build_detector(load_config(tiny_config).student.spec(), tuple("0123456789"))
    torch.save({"state_dict": student.state_dict()}, tmp_path / "plain.pth")
    config = load_config(tiny_config, {**SHORT, **own, "student.checkpoint": str(tmp_path / "plain.pth")})
    whole, alone, _ = prepared_configs(FullTraining(config, read_distiller("none", config), tmp_path / "x"), Listener())
    assert whole.model.student.backbone.init_cfg is alone.model.backbone.init_cfg is None


def test_what_the_teachers_config_imports_is_imported() -> None:
    whole = Config({"custom_imports": {"imports": ["theirs", "detkds_gp.training.registered"]}})
    for wanted, imports in (([], None), (["own"], "own"), (["own", "other"], ["own", "theirs", "other"])):
        found = Config(whole.to_dict())
        import_for(found, Config({"custom_imports": {"imports": imports}} if imports else {}))
        assert found.custom_imports.imports == [*wanted, "theirs", "detkds_gp.training.registered"]
