from __future__ import annotations

from pathlib import Path

import torch
from typer.testing import CliRunner

from detkds_gp.cli.app import app


def test_a_checkpoint_is_rewritten_as_plain_weights(tmp_path: Path):
    old, new = tmp_path / "old.pth", tmp_path / "new.pth"
    weight = torch.arange(6.0)
    torch.save({"state_dict": {"w": weight}, "optimizer": {"lr": 0.1}, "note": tmp_path}, old)
    refused = CliRunner().invoke(app, ["weights", str(old), "-o", str(new)])
    assert "--trust" in str(refused.exception)
    done = CliRunner().invoke(app, ["weights", str(old), "--trust", "-o", str(new)])
    assert done.exit_code == 0
    content = torch.load(new, weights_only=True)
    assert list(content) == ["state_dict", "meta"]
    assert torch.equal(content["state_dict"]["w"], weight)


def test_a_part_of_a_checkpoint_is_cut_out_and_its_classes_renamed(tmp_path: Path):
    old, new = tmp_path / "old.pth", tmp_path / "new.pth"
    torch.save(
        {"state_dict": {"student.w": torch.ones(2), "teacher.w": torch.zeros(2)}, "meta": {"CLASSES": ("A", "B")}}, old
    )
    options = ["--prefix", "student.", "--classes", "cat, dog"]
    done = CliRunner().invoke(app, ["weights", str(old), *options, "-o", str(new)])
    assert done.exit_code == 0
    content = torch.load(new, weights_only=True)
    assert content["meta"] == {"dataset_meta": {"classes": ("cat", "dog")}}
    assert torch.equal(content["state_dict"]["w"], torch.ones(2))
    assert len(content["state_dict"]) == 1
