"""`gp_search export --to mmdet`: a config that mmdet's own tools train."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from .conftest import GpSearch

FORMULA = "2 * 0.5 * l2(unit_channel(global))"


@pytest.mark.slow
def test_mmdets_own_train_script_trains_it(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    path = tmp_path / "exported.py"
    config = tmp_path / "search.py"
    config.write_text(f'_base_ = "{tiny_config}"\nfull_training = dict(iterations=2, batch_size=4, workers=0)\n')
    ended = gp_search("export", FORMULA, "--to", "mmdet", "--config", config, "-o", path)
    assert ended.code == 0, ended.err
    found = Config.fromfile(path, import_custom_modules=False)
    assert found.custom_imports.imports == ["detkds_gp.training"]
    assert (found.model.type, found.model.distiller) == ("DistilledDetector", FORMULA)

    script = Path(find_spec("mmdet").origin).parent / ".mim" / "tools" / "train.py"
    command = [sys.executable, script, path, "--work-dir", tmp_path / "plain"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "loss_distill_global" in ran.stdout + ran.stderr
    student = torch.load(tmp_path / "plain" / "student.pth", weights_only=True)
    assert "backbone.conv1.weight" in student["state_dict"]


def test_it_says_what_it_needs(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    for arguments in (["--config", tiny_config], ["-o", tmp_path / "x.py"], []):
        ended = gp_search("export", FORMULA, "--to", "mmdet", *arguments)
        assert ended.code == 2
        assert "takes one distiller, --config of the search it is for, and -o FILE.py" in ended.err
    assert not list(tmp_path.iterdir())
