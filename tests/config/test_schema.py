from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.config import load_config, parse_config
from detkds_gp.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SPLIT = {"ann_file": "a.json", "images": "images"}
LEAST: dict[str, Any] = {
    "student": {"config": "student.py"},
    "teacher": {"config": "teacher.py"},
    "data": dict.fromkeys(("train", "selection", "test"), SPLIT),
}


def fault(**changed: Any) -> str:
    """Return what is said of a config with these top-level keys changed."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**LEAST, **changed}, "my.py")
    said = str(caught.value)
    assert said.startswith("my.py: ")
    assert "\n" not in said
    return said


def test_a_program_that_imported_nothing_else_loads_a_config() -> None:
    statement = f"from detkds_gp.config import load_config; load_config({str(CONFIGS / 'quickstart.py')!r})"
    ended = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_the_least_config_is_complete() -> None:
    config = parse_config(LEAST)
    assert config.primitive_set == "detkds_gp.primitives:DETKDS"
    assert config.proxy.optimizer["type"] == "AdamW"


def test_unknown_keys_name_the_nearest() -> None:
    assert "unknown key 'sudent'; did you mean 'student'" in fault(sudent={})
    assert "unknown key 'proxy.iteration'; did you mean 'iterations'" in fault(proxy={"iteration": 3})
    data = {**LEAST["data"], "test": {**SPLIT, "image": "x"}}
    assert "unknown key 'data.test.image'; did you mean 'images'" in fault(data=data)
    search = {"divide": {"popluation": 3}}
    assert "'search.divide.popluation'; did you mean 'population'" in fault(search=search)


def test_missing_keys_are_named() -> None:
    assert "key 'student.config' is missing" in fault(student={})
    assert "data.selection is missing" in fault(data={"train": SPLIT, "test": SPLIT})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"proxy": {"iterations": "many"}}, "proxy.iterations is 'many'"),
        ({"proxy": {"iterations": 0}}, "proxy.iterations is 0"),
        ({"proxy": {"image_size": (0, 64)}}, "proxy.image_size.0 is 0"),
        ({"proxy": {"teacher_precision": "int8"}}, "'float32', 'float16' or 'bfloat16'"),
        ({"proxy": {"optimizer": {"type": "Adamm", "lr": 1}}}, "Adamm"),
        ({"proxy": {"optimizer": {"type": "AdamW", "rate": 1}}}, "rate"),
        ({"proxy": {"optimizer": {"lr": 1}}}, "wanted what mmengine builds"),
        ({"proxy": {"decay": 1.5}}, "proxy.decay is 1.5"),
        ({"proxy": {"metric": "mask"}}, "'bbox' or 'segm'"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"data": {**LEAST["data"], "test": {**SPLIT, "part": (0, 0)}}}, "got the part (0.0, 0.0)"),
        ({"data": {**LEAST["data"], "test": {**SPLIT, "part": (0, 1.5)}}}, "got the part (0.0, 1.5)"),
        ({"execution": {"executor": "cloud"}}, "execution.executor is 'cloud'"),
        ({"baseline_seeds": (0, 1)}, "baseline_seeds is (0, 1)"),
        ({"baseline_seeds": (0, 1, 1)}, "wanted all different"),
        ({"verdict": {"seeds": (7,)}}, "verdict.seeds are [7], wanted 2 or more"),
        ({"verdict": {"seeds": (7, 7, 8)}}, "all different"),
        ({"verdict": {"seeds": (7, 8), "iterations": 0}}, "verdict.iterations is 0"),
        ({"verdict": {"seeds": (1, 2)}}, "verdict.seeds and baseline_seeds share 1"),
        ({"search": {"weight_range": (3, 2)}}, "weight_range is (3.0, 2.0)"),
    ],
)
def test_wrong_values_are_shown_with_what_is_wanted(changed: dict[str, Any], said: str) -> None:
    assert said in fault(**changed)


def test_paths_start_from_the_root() -> None:
    config = parse_config({**LEAST, "data": {"root": "/set", **LEAST["data"]}})
    assert config.data.splits()["test"].ann_file == "/set/a.json"
    assert config.data.splits()["test"].images == "/set/images"
    part = parse_config({**LEAST, "data": {**LEAST["data"], "train": {**SPLIT, "part": (0, 0.2)}}})
    assert [split.part for split in part.data.splits().values()] == [(0, 0.2), (0, 1), (0, 1)]


def test_options_replace_values(tmp_path: Path) -> None:
    path = tmp_path / "c.py"
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in LEAST.items()))
    config = load_config(path, {"proxy.iterations": 7, "search.divide.population": 3})
    assert (config.proxy.iterations, config.search.divide.population) == (7, 3)
    with pytest.raises(ConfigError, match="unknown key 'proxy.iteration'"):
        load_config(path, {"proxy.iteration": 7})


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config file .*quikstart\.py; give a path such as"):
        load_config(tmp_path / "quikstart.py")
    broken = tmp_path / "broken.py"
    broken.write_text("student = dict(config=")
    with pytest.raises(ConfigError, match=r"cannot read .*broken\.py: SyntaxError"):
        load_config(broken)
    broken.write_text("seed = 1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError: division by zero"):
        load_config(broken)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_shipped_configs_fit_the_schema(path: Path) -> None:
    config = load_config(path)
    assert load_config(path) == config
    assert config.require_better_teacher


def test_identity_leaves_out_where_things_lie_and_run() -> None:
    config = parse_config({**LEAST, "teacher": {"config": "teacher.py", "checkpoint": "/here.pth"}})
    moved = parse_config(
        {
            **LEAST,
            "teacher": {"config": "teacher.py", "checkpoint": "/there.pth"},
            "data": {"root": "/elsewhere", **LEAST["data"]},
            "execution": {"workers": 7},
            "cache_dir": "/tmp",
        }
    )
    assert config.identity() == moved.identity()
    assert config.identity() != parse_config({**LEAST, "threads": 2}).identity()
