"""`gp_search export --to mmdet`: a config that mmdet's own tools train."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from detkds_gp.run import Outcome

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
    assert found.custom_imports.imports == ["detkds_gp.training.registered"]
    assert (found.model.type, found.model.distiller) == ("DistilledDetector", FORMULA)

    script = Path(find_spec("mmdet").origin).parent / ".mim" / "tools" / "train.py"
    command = [sys.executable, script, path, "--work-dir", tmp_path / "plain"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "loss_distill_global" in ran.stdout + ran.stderr
    student = torch.load(tmp_path / "plain" / "student.pth", weights_only=True)
    assert "backbone.conv1.weight" in student["state_dict"]


@pytest.mark.slow
def test_a_rank_and_values_of_the_config_are_taken(
    gp_search: GpSearch, tiny_config: Path, finished: Outcome, tmp_path: Path
) -> None:
    options = ("--cfg-options", "full_training.iterations=2", "full_training.batch_size=3")
    for rank in (1, 2):
        path, asked = tmp_path / f"rank_{rank}.py", (finished.work_dir, "--rank", rank)
        ended = gp_search("export", *asked, "--to", "mmdet", "--config", tiny_config, "-o", path, *options)
        assert ended.code == 0, ended.err
        found = Config.fromfile(path, import_custom_modules=False)
        assert found.model.distiller == gp_search("export", *asked).out.strip()
        assert (found.train_cfg.max_iters, found.train_dataloader.batch_size) == (2, 3)
    assert (
        len({Config.fromfile(path, import_custom_modules=False).model.distiller for path in tmp_path.glob("*.py")}) == 2
    )


def test_what_it_would_not_heed_is_refused(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    whole = ("export", FORMULA, "--to", "mmdet", "--config", tiny_config, "-o", tmp_path / "x.py")
    for arguments in (["--set", "detkds_gp.primitives:OMNI"], ["--diff"], ["--zoo", "detkds_gp.primitives.zoo:ZOO"]):
        ended = gp_search(*whole, *arguments)
        assert ended.code == 2
        assert "nothing for --set, --zoo and --diff" in ended.err
    for arguments in ([*whole[:-1], tmp_path / "distilled"], [*whole, "--rank", 1, "--rank", 2]):
        ended = gp_search(*arguments)
        assert ended.code == 2
        assert "one --rank at most" in ended.err
    assert f"--rank is of a work directory, got '{FORMULA}'" in gp_search(*whole, "--rank", 1).err
    assert "are for --to mmdet" in gp_search("export", FORMULA, "--config", tiny_config).err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_long_formula_is_taken_and_what_is_trained_for_it_is_told(
    gp_search: GpSearch, tiny_config: Path, tmp_path: Path
) -> None:
    longest = "1 * calibrated * l2(" + "unit_channel(" * 40 + "global" + ")" * 41
    path, cache = tmp_path / "exported.py", f"cache_dir={tmp_path / 'cache'}"
    command = ("export", longest, "--to", "mmdet", "--config", tiny_config, "-o", path, "--cfg-options", cache)
    ended = gp_search(*command)
    assert (ended.code, ended.out) == (0, ""), ended.err
    found = Config.fromfile(path, import_custom_modules=False).model.distiller
    assert "training the teacher, at most 3 iterations" in ended.err
    scale = found.split(" * ")[1]
    assert f"calibrated: {float(scale):g} * l2(unit_channel(" in ended.err
    again = gp_search(*command)
    assert again.code == 0
    assert "training the teacher" not in again.err
    assert Config.fromfile(path, import_custom_modules=False).model.distiller == found


def test_where_it_cannot_write_is_told_before_anything_is_trained(
    gp_search: GpSearch, tiny_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "x" / "y.py", tmp_path / f"{'y' * 300}.py"):
        ended = gp_search("export", FORMULA, "--to", "mmdet", "--config", tiny_config, "-o", output)
        assert ended.code == 2
        assert f"cannot write '{output}'" in ended.err
        assert "give -o a file in a writable folder" in ended.err
        assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_it_says_what_it_needs(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    for arguments in (["--config", tiny_config], ["-o", tmp_path / "x.py"], []):
        ended = gp_search("export", FORMULA, "--to", "mmdet", *arguments)
        assert ended.code == 2
        assert "--config of the search it is for, and -o FILE.py" in ended.err
    assert not list(tmp_path.iterdir())
