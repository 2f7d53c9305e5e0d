"""Full training: from a search's config to a student and its place between baseline and teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from detkds_gp.errors import ConfigError, FormulaError
from detkds_gp.experiment import ExperimentConfig, Listener, Outcome, load_config
from detkds_gp.experiment.distiller_source import read_distiller
from detkds_gp.experiment.full_training import FullTraining, baseline_of, run_full_training, share_of_gap

TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny"
SHORT = {"full_training.iterations": 3, "full_training.batch_size": 4, "full_training.workers": 0}
TEXT = "1 * 0.5 * l2(global) + 1 * 3 * kl(softmax_row(class_logits, 2))"
FAMILIES = {
    "retinanet": "pkd",
    "fcos": "fgd_anchor_free",
    "atss": "mgd",
    "gfl": "ld",
    "reppoints": "crosskd",
    "faster_rcnn": "fgd_two_stage",
    "cascade_rcnn": "detkds_faster_rcnn",
    "mask_rcnn": "mgd_two_stage",
    "cascade_mask_rcnn": "cwd",
    "gfl_to_retinanet": "bckd",
    "retinanet34_to_fcos18": "weighted_giou(boxes, box_score)",
    "cascade_mask_to_faster": "detkds_cascade",
}


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
    alone = baseline_of(told, folders)
    assert alone is not None
    assert alone["formula"] == "none"
    assert alone["teacher_ap"] is None
    assert baseline_of({**told, "protocol": "another"}, folders) is None


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


def test_a_work_directory_is_bound_to_its_training(folders: Path, tiny_config: Path) -> None:
    config = load_config(tiny_config, SHORT)
    with pytest.raises(ConfigError, match="holds another training .formula is '1 \\* 0.5"):
        trained(config, "l1(global)", folders / "distilled")
    with pytest.raises(ConfigError, match="holds another training .seed is 0"):
        trained(config, TEXT, folders / "distilled", seed=1)


def test_what_does_not_fit_is_told_before_anything_is_trained(tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, SHORT)
    with pytest.raises(ConfigError, match="'ld' does not apply: the pair does not share 'box_bins'"):
        trained(config, "ld", tmp_path / "x")
    with pytest.raises(FormulaError, match="did you mean 'global'"):
        read_distiller("l2(globl)", config)
    with pytest.raises(ConfigError, match="did you mean 'pkd'"):
        read_distiller("pdk", config)
    assert not (tmp_path / "x").exists()


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


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains(family: str, tmp_path: Path) -> None:
    local = {"data.digits.root": str(tmp_path / "digits"), "cache_dir": str(tmp_path / "cache")}
    config = load_config(TINY / f"{family}.py", {**SHORT, **local, "teacher.train.iterations": 2})
    folder = tmp_path / "training"
    trained(config, FAMILIES[family], folder)
    (log,) = folder.glob("*/vis_data/scalars.json")
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [step[key] for step in steps for key in step if "loss_distill" in key]
    assert losses
    assert all(loss > 0 for loss in losses)
    assert (folder / "student.pth").is_file()
