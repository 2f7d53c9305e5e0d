"""Full training: from a search's config to a student and its place between baseline and teacher."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.errors import ConfigError, FormulaError
from detkds_gp.full_training import prepared_configs, write_trainings_page
from detkds_gp.full_training.page import siblings_of, students_of
from detkds_gp.full_training.training import (
    FullTraining,
    compared_with,
    protocol,
    run_full_training,
    share_of_gap,
    siblings,
)
from detkds_gp.listener import Listener
from detkds_gp.naming import read_distiller
from detkds_gp.run import Outcome

SHORT = {"full_training.iterations": 3, "full_training.batch_size": 4, "full_training.workers": 0}
HALF_TRAINED = {"proxy.start": "half_trained", "proxy.start_iterations": 2}
TEXT = "1 * 0.5 * l2(global) + 1 * 3 * kl(softmax_row(class_logits, 2))"


def trained(config: ExperimentConfig, distiller: str, folder: Path, **more: Any) -> dict[str, Any]:
    return run_full_training(FullTraining(config, read_distiller(distiller, config), folder, **more), Listener())


@pytest.fixture(scope="module")
def folders(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distilled training and its baseline."""
    config, folders = load_config(tiny_config, SHORT), tmp_path_factory.mktemp("full")
    trained(config, TEXT, folders / "distilled")
    trained(config, "none", folders / "none")
    return folders


def test_it_tells_student_baseline_and_teacher(folders: Path, tiny_config: Path) -> None:
    told = trained(load_config(tiny_config, SHORT), TEXT, folders / "distilled")  # finished: read, not trained again
    assert told == json.loads((folders / "distilled" / "result.json").read_text())
    assert told["formula"] == TEXT
    assert 0 <= told["ap"] <= 1
    assert 0 <= told["teacher_ap"] <= 1
    (alone,) = compared_with(told, folders)
    assert alone["formula"] == "none"
    assert alone["teacher_ap"] is None
    assert compared_with(alone, folders) == [told]
    assert compared_with({**told, "protocol": "another"}, folders) == []


def test_the_page_shows_all_siblings_with_what_mmdet_tells_of_them(folders: Path, tiny_config: Path) -> None:
    told = json.loads((folders / "distilled" / "result.json").read_text())
    found = siblings_of(told, folders)
    assert [folder.name for folder, _ in found] == ["distilled", "none"]
    ours, alone = students_of(found).values()
    assert (ours.sort, alone.sort) == ("winner", "alone")
    assert ours.aps == {0: told["ap"]}
    metrics = told["metrics"]["student"]
    assert ours.metrics["ap50"] == metrics["coco/bbox_mAP_50"]
    assert ours.classes["3"] == metrics["coco/3_precision"]
    assert [steps for steps, _ in ours.curve] == [1, 2, 3]
    assert [steps for steps, *_ in ours.losses] == [1, 2, 3]
    assert all(distilled > 0 for _, _, distilled in ours.losses)
    assert all(distilled == 0 for _, _, distilled in alone.losses)
    html = write_trainings_page(told, folders).read_text()
    assert all(text in html for text in ("student alone", "ground truth", "By class", "a single pair"))
    assert html.count("data:image/jpeg;base64,") == 4 * len(
        json.loads((folders / "none/detections.json").read_text())["images"]
    )
    other = {**told, "siblings": "another"}
    assert siblings_of(other, folders) == []


def test_seeds_of_one_distiller_are_siblings_and_other_schedules_are_not(tiny_config: Path, tmp_path: Path) -> None:
    def hashed(seed: int, **options: Any) -> tuple[str, str]:
        config = load_config(tiny_config, {**SHORT, **options})
        asked = FullTraining(config, read_distiller("none", config), tmp_path / "one", seed)
        whole, *_ = prepared_configs(asked, Listener())
        return protocol(whole, 1), siblings(whole, 1)

    first, other_seed, longer = hashed(0), hashed(1), hashed(0, **{"full_training.iterations": 4})
    assert first[0] != other_seed[0]
    assert first[1] == other_seed[1] != longer[1]


@pytest.mark.slow
def test_what_was_prepared_is_read_and_not_made_again(tiny_config: Path, tmp_path: Path) -> None:
    config, text = load_config(tiny_config, {**SHORT, **HALF_TRAINED}), "1 * calibrated * l2(global)"
    told = trained(config, text, tmp_path / "open")
    (scales,), students = (
        prepared(tmp_path, "scales.json"),
        [*prepared(tmp_path, "start-*"), *prepared(tmp_path, "probe*")],
    )
    assert json.loads(scales.read_text()) == {"l2(global)": pytest.approx(scale_in(told["formula"]))}
    for path in students:
        path.unlink()
    assert trained(config, text, tmp_path / "open") == told
    assert not any(path.exists() for path in students)  # nothing was trained to print what is finished
    other = load_config(tiny_config, {**SHORT, **HALF_TRAINED, "proxy.calibration_iterations": 7})
    with pytest.raises(ConfigError, match="holds another training"):
        trained(other, text, tmp_path / "open")
    assert len(prepared(tmp_path, "scales.json")) == 2  # measured anew where they may differ
    scales.write_text(json.dumps({"l2(global)": 123.0}))  # as a GPU may measure it another time
    with pytest.raises(ConfigError, match=r"holds another training .formula is"):
        trained(config, text, tmp_path / "open")


def test_a_finished_training_is_read_without_its_teacher(folders: Path, tiny_config: Path) -> None:
    config = load_config(tiny_config, SHORT)
    teachers = list(Path(config.cache_dir).glob("teacher-*.pth"))
    moved = [path.rename(path.with_suffix(".moved")) for path in teachers]
    try:
        told = trained(config, TEXT, folders / "distilled")
        assert told == json.loads((folders / "distilled" / "result.json").read_text())
        assert teachers
        assert not any(path.exists() for path in teachers)
    finally:
        for path, back in zip(moved, teachers, strict=True):
            path.rename(back)


def test_a_baseline_reads_the_data_of_its_siblings_and_has_their_protocol_with_initial_weights_of_its_own(
    tiny_config: Path, tmp_path: Path
) -> None:
    own = {"data.classes": tuple("1032456789"), "init_student_from_teacher": True}
    config = load_config(tiny_config, {**SHORT, **own})
    asked = [
        FullTraining(config, read_distiller(text, config), tmp_path / str(n)) for n, text in enumerate((TEXT, "none"))
    ]
    distilled, alone = (prepared_configs(one, Listener())[0] for one in asked)
    assert distilled.load_from != alone.load_from
    assert distilled.train_dataloader.dataset.ann_file == alone.train_dataloader.dataset.ann_file
    assert protocol(distilled, 1) == protocol(alone, 1)
    for key in ("train_dataloader.dataset.ann_file", "load_from"):
        other = Config(alone.to_dict())
        other.merge_from_dict({key: alone.test_dataloader.dataset.ann_file})
        assert protocol(other, 1) != protocol(alone, 1)


def test_what_other_processes_or_another_rate_trained_is_another_training(folders: Path, tiny_config: Path) -> None:
    config = Config.fromfile(folders / "none" / "config.py")
    assert config.auto_scale_lr.enable
    other = Config(config.to_dict())
    other.auto_scale_lr.enable = False
    assert len({protocol(config, 1), protocol(config, 2), protocol(other, 1)}) == 3
    told = json.loads((folders / "distilled" / "result.json").read_text())
    assert (told["processes"], told["scaled_learning_rate"]) == (1, True)
    assert told["protocol"] == protocol(config, 1)
    by_two = {**told, "protocol": protocol(config, 2)}
    assert compared_with(by_two, folders) == []


@pytest.mark.parametrize(("key", "found"), [("processes", 2), ("scaled_learning_rate", False)])
def test_a_training_of_other_processes_is_not_gone_on_with(
    key: str, found: object, folders: Path, tiny_config: Path, tmp_path: Path
) -> None:
    shutil.copytree(folders / "none", tmp_path / "none")
    asked = tmp_path / "none" / "training.json"
    asked.write_text(json.dumps({**json.loads(asked.read_text()), key: found}))  # as two processes would have left it
    with pytest.raises(ConfigError, match=f"holds another training .{key} is {found}, asked for"):
        trained(load_config(tiny_config, SHORT), "none", tmp_path / "none")


@pytest.mark.slow
def test_hours_are_those_of_all_sessions(folders: Path, tiny_config: Path, tmp_path: Path) -> None:
    again = tmp_path / "distilled"
    shutil.copytree(folders / "distilled", again)
    checkpoint = torch.load(again / "iter_3.pth", weights_only=True)
    checkpoint["message_hub"]["runtime_info"]["seconds"] += 7200
    torch.save(checkpoint, again / "iter_3.pth")
    (again / "last_checkpoint").write_text(str(again / "iter_3.pth"))
    (again / "result.json").unlink()
    first = json.loads((folders / "distilled" / "result.json").read_text())["hours"]
    assert trained(load_config(tiny_config, SHORT), TEXT, again)["hours"] == pytest.approx(first + 2, abs=0.01)


def test_the_visualizer_does_not_bind_a_work_directory(folders: Path, tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, {**SHORT, "full_training.options": {"visualizer.vis_backends": []}})
    assert trained(config, "none", folders / "none")["formula"] == "none"


def test_mixed_precision_without_a_gpu_is_told(tiny_config: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="--amp is for a GPU"):
        trained(load_config(tiny_config, SHORT), TEXT, tmp_path / "x", amp=True)


def prepared(folders: Path, pattern: str) -> list[Path]:
    return sorted(folders.glob(f"*/preparation/*/{pattern}"))


def scale_in(formula: str) -> float:
    return float(formula.split(" * ")[1])


def test_the_share_of_the_gap() -> None:
    assert share_of_gap(0.35, 0.3, 0.4) == pytest.approx(0.5)
    assert share_of_gap(0.45, 0.3, 0.4) == pytest.approx(1.5)
    assert share_of_gap(0.25, 0.3, 0.4) == pytest.approx(-0.5)
    assert share_of_gap(0.3, 0.4, 0.4) is None


def test_a_distilled_student_starts_where_its_baseline_starts_and_ends_elsewhere(folders: Path) -> None:
    states = [
        torch.load(folders / name / "student.pth", weights_only=True)["state_dict"] for name in ("distilled", "none")
    ]
    assert states[0].keys() == states[1].keys()
    assert not torch.equal(states[0]["neck.fpn_convs.0.conv.weight"], states[1]["neck.fpn_convs.0.conv.weight"])
    configs = [Config.fromfile(folders / name / "config.py") for name in ("distilled", "none")]
    assert configs[0].model.student == configs[1].model.student
    assert "teacher" not in configs[1].model


def test_the_log_names_the_distillers_terms(folders: Path) -> None:
    (log,) = (folders / "distilled").glob("*/vis_data/scalars.json")
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    terms = [step for step in steps if "loss_distill_global" in step]
    assert len(terms) == 3
    assert all(step["loss_distill_global"] > 0 and step["loss_distill_class_logits"] > 0 for step in terms)


def test_tensorboard_shows_the_distillers_terms(folders: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (events,) = (folders / "distilled").glob("*/vis_data/events.out*")
    found = reading.EventAccumulator(str(events)).Reload()
    assert [event.step for event in found.Scalars("loss_distill_global")] == [1, 2, 3]


def test_a_work_directory_is_bound_to_its_training(folders: Path, tiny_config: Path) -> None:
    config = load_config(tiny_config, SHORT)
    with pytest.raises(ConfigError, match="holds another training .formula is '1 \\* 0.5"):
        trained(config, "l1(global)", folders / "distilled")
    with pytest.raises(ConfigError, match="holds another training .seed is 0"):
        trained(config, TEXT, folders / "distilled", seed=1)


def test_what_does_not_fit_is_told_before_anything_is_trained(tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, SHORT)
    with pytest.raises(ConfigError, match="'ld' does not apply: the pair does not share 'box_bins'.*of the zoo, mimic"):
        trained(config, "ld", tmp_path / "x")
    with pytest.raises(FormulaError, match="did you mean 'global'"):
        read_distiller("l2(globl)", config)
    with pytest.raises(ConfigError, match="did you mean 'pkd'"):
        read_distiller("pdk", config)
    assert not (tmp_path / "x").exists()


def test_it_says_how_many_images_are_trained_on(tiny_config: Path, tmp_path: Path) -> None:
    said: list[str] = []
    listener = Listener()
    listener.say = said.append  # type: ignore[method-assign]
    config = load_config(tiny_config, SHORT)
    prepared_configs(FullTraining(config, read_distiller("none", config), tmp_path), listener)
    assert "training on all 12 images" in said
    nothing = {**SHORT, "full_training.options": {"train_dataloader.dataset.filter_cfg": {"min_size": 65}}}
    config = load_config(tiny_config, nothing)
    with pytest.raises(ConfigError, match=r"leaves out 12 of 12 images \(12 by min_size\): none is left"):
        prepared_configs(FullTraining(config, read_distiller("none", config), tmp_path / "x"), listener)


@pytest.mark.slow
def test_distillers_are_named_in_every_way(tiny_config: Path, finished: Outcome, tmp_path: Path) -> None:
    config = load_config(tiny_config)
    best = read_distiller(str(finished.work_dir), config)
    assert (best.name, best.distiller.text) == ("finished", finished.best.text)
    assert read_distiller(str(finished.work_dir / "distiller.json"), config).distiller == finished.best
    assert read_distiller("cwd", config).name == "cwd"
    first, second = read_distiller("l2(global)", config), read_distiller("l1(global)", config)
    assert first.name != second.name
    assert first.primitive_set == config.primitive_set
    assert read_distiller("l2(weighted(global, teacher_score))", config).primitive_set.endswith(":OMNI")
