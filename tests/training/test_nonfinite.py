"""A training that diverges ends with one message, and nothing that was trained before is lost."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.optim import AmpOptimWrapper

from detkds_gp.config import load_config
from detkds_gp.errors import ConfigError
from detkds_gp.full_training import FullTraining, run_full_training
from detkds_gp.listener import Listener
from detkds_gp.naming import read_distiller
from detkds_gp.training import StopNonfinite
from detkds_gp.training.hooks import SCALER_PATIENCE

SHORT = {"full_training.iterations": 8, "full_training.batch_size": 4, "full_training.workers": 0}
JUMP = {"type": "MultiStepLR", "by_epoch": False, "milestones": [4], "gamma": 1e30}
"""A rate with which nothing can be trained, after four steps."""


def trained(tiny_config: Path, folder: Path, **settings: Any) -> None:
    config = load_config(tiny_config, {**SHORT, **{f"full_training.{key}": one for key, one in settings.items()}})
    run_full_training(FullTraining(config, read_distiller("none", config), folder), Listener())


@pytest.mark.slow
def test_a_rate_that_makes_it_diverge_ends_it_and_the_last_checkpoint_stays(tiny_config: Path, tmp_path: Path) -> None:
    for _ in range(2):  # started again, it goes on from that checkpoint
        with pytest.raises(ConfigError, match=r"diverges: .*became (nan|inf) at iteration 6 of 8; .*optimizer\.lr"):
            trained(tiny_config, tmp_path / "x", options={"param_scheduler": [JUMP]})
    assert not (tmp_path / "x" / "result.json").exists()
    assert (tmp_path / "x" / "last_checkpoint").read_text().endswith("iter_4.pth")
    for name in ("iter_4.pth", "student.pth"):
        state = torch.load(tmp_path / "x" / name, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())
    logs = sorted((tmp_path / "x").glob("*/vis_data/scalars.json"))
    steps = [[json.loads(line)["step"] for line in log.read_text().splitlines()] for log in logs]
    assert [one[0] for one in steps] == [1, 5]


def test_weights_that_the_last_step_broke_are_not_written_and_not_scored(tiny_config: Path, tmp_path: Path) -> None:
    broken = {"optim_wrapper.optimizer.lr": 3e38, "model.student.bbox_head.loss_cls.loss_weight": 1e6}
    with pytest.raises(ConfigError, match="diverges: .* is no longer finite at iteration 1 of 1"):
        trained(tiny_config, tmp_path / "x", iterations=1, options=broken)
    assert not [*(tmp_path / "x").glob("*.pth"), *(tmp_path / "x").glob("result.json")]


def test_a_scaler_may_pass_over_steps_but_not_over_all() -> None:
    runner: Any = SimpleNamespace(optim_wrapper=AmpOptimWrapper.__new__(AmpOptimWrapper), iter=99, max_iters=200)
    hook, good, bad = StopNonfinite(), {"loss": torch.tensor(1.0)}, {"loss": torch.tensor(torch.inf)}
    for outputs in [bad, bad, good, *[bad] * (SCALER_PATIENCE - 1)]:
        hook.after_train_iter(runner, 0, outputs=outputs)
    with pytest.raises(ConfigError, match="loss became inf at iteration 100 of 200"):
        hook.after_train_iter(runner, 0, outputs=bad)
