"""The command line itself: a run, mistakes, faults, help and options."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from detkds_gp.cli.options import parse_options, spread_options
from detkds_gp.errors import ConfigError
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.run import Outcome

from .conftest import FORMULA, GpSearch, mistake


def forget(work_dir: Path, where: str, table: str = "scores") -> None:
    with sqlite3.connect(work_dir / "store.sqlite") as database:
        database.execute(f"DELETE FROM {table} WHERE {where}")


def test_run_continues_and_prints_the_result(
    gp_search: GpSearch, tiny_config: Path, copied: Path, finished: Outcome
) -> None:
    ended = gp_search("run", tiny_config, "--work-dir", copied)
    assert ended.code == 0
    assert re.search(r"divide 0: (\d+) trainings, \1 answered before", ended.out)
    assert f"winner: {finished.best.text}\n" in ended.out
    assert str(copied) in ended.out
    quiet = gp_search("run", tiny_config, "--work-dir", copied, "--quiet")
    assert quiet.code == 0
    assert "divide 0" not in quiet.out
    assert ended.out.endswith(quiet.out)


def test_run_says_mistakes_in_one_line(gp_search: GpSearch, tiny_config: Path, copied: Path, tmp_path: Path) -> None:
    run = ("run", tiny_config, "--work-dir")
    assert "no config file nothing.py" in mistake(gp_search("run", "nothing.py"))
    told = mistake(gp_search(*run, tmp_path / "new", "--cfg-options", "proxy.iteration=3"))
    assert "unknown key 'proxy.iteration'; did you mean 'iterations'" in told
    assert not (tmp_path / "new").exists()
    told = mistake(gp_search(*run, copied, "--cfg-options", "seed=1", "proxy.iterations=5"))
    assert "config.seed: 0 -> 1" in told
    assert "config.proxy.iterations: 2 -> 5" in told
    told = mistake(gp_search(*run, copied, "--cfg-options", "primitive_set=nowhere:SET"))
    assert "nowhere" in told
    assert "wanted key=value" in mistake(gp_search(*run, copied, "--cfg-options", "=5"))


def test_the_command_line_itself_is_checked(gp_search: GpSearch) -> None:
    for arguments in (["run"], ["show"], ["run", "c.py", "--nothing"], ["nothing"], ["export", "x", "--rank", "0"]):
        ended = gp_search(*arguments)
        assert ended.code == 2
        assert "Traceback" not in ended.err


def test_a_fault_of_ours_is_told_apart(gp_search: GpSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by us")

    monkeypatch.setattr("detkds_gp.cli.formulas.print_primitives", fail)
    ended = gp_search("primitives")
    assert ended.code == 1
    assert "ZeroDivisionError: by us" in ended.err
    assert "a fault of detkds_gp, not yours. The command was: gp_search primitives" in ended.err


def test_ctrl_c_is_told_apart(gp_search: GpSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detkds_gp.cli.formulas.print_primitives", interrupt)
    ended = gp_search("primitives", "--set", "detkds_gp.primitives:DETKDS")
    assert ended.code == 130
    assert "Continue with: gp_search primitives --set detkds_gp.primitives:DETKDS" in ended.err


def test_primitives_are_listed(gp_search: GpSearch) -> None:
    rows = json.loads(gp_search("primitives", "--json").out)
    assert [row["name"] for row in rows] == list(OMNI.declarations)
    assert {"name", "role", "arguments", "result", "shape", "latex", "doc"} <= set(rows[0])
    narrowed = gp_search("primitives", "--set", "detkds_gp.primitives:DETKDS", "--json")
    assert [row["name"] for row in json.loads(narrowed.out)] == list(DETKDS.declarations)
    table = gp_search("primitives").out
    assert all(name in table for name in OMNI.declarations)
    assert "did you mean" in mistake(gp_search("primitives", "--set", "detkds_gp.primitives:OMNY"))
    assert "wanted module:NAME" in mistake(gp_search("primitives", "--set", "OMNI"))


def test_lint_shows_steps_of_a_sound_formula(gp_search: GpSearch) -> None:
    ended = gp_search("lint", FORMULA)
    assert ended.code == 0
    for words in ("unit_channel(global)", "softmax_row(class_logits, 2)", "Probs", "no problem found"):
        assert words in ended.out


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("kl(global)", "Probs"),
        ("l2(globl)", "did you mean 'global'"),
        ("l2(global", "position"),
        ("0 * l2(global)", "wanted a positive number"),
        ("l2(global) + l1(global)", "two terms on 'global'"),
    ],
)
def test_lint_refuses_broken_formulas(formula: str, said: str, gp_search: GpSearch) -> None:
    assert said in mistake(gp_search("lint", formula))


def test_help_says_what_commands_and_options_do(gp_search: GpSearch) -> None:
    top = gp_search("--help")
    assert top.code == 0
    for command in ("run", "show", "export", "primitives", "lint", "data"):
        assert command in top.out
        assert gp_search(command, "--help").code == 0
    options = gp_search("run", "--help").out
    assert all(option in options for option in ("--work-dir", "--cfg-options", "--workers", "--quiet"))
    assert "--rank" in gp_search("export", "--help").out


def test_options_are_read_as_mmdet_reads_them() -> None:
    pairs = ["a.b=1", "c=0.5", "d=text", "e=[1,2]", "f=x,y", "g=[x, y]", "h='q'", "i=None", "j=True", "k=(7,8)"]
    assert parse_options(pairs) == {
        "a.b": 1, "c": 0.5, "d": "text", "e": [1, 2], "f": ["x", "y"], "g": ["x", "y"], "h": "q",
        "i": None, "j": True, "k": (7, 8),
    }  # fmt: skip
    formula = "kl(softmax_row(class_logits, 2))"
    assert parse_options([f"w={formula}", f"v=['{formula}']"]) == {"w": formula, "v": [formula]}
    assert parse_options(["a=b=c"]) == {"a": "b=c"}
    with pytest.raises(ConfigError, match="'novalue', wanted key=value"):
        parse_options(["novalue"])


def test_one_flag_takes_several_options() -> None:
    flag = "--cfg-options"
    given = ["run", "c.py", flag, "a=1", "b=2", "--quiet", flag, "c=3"]
    assert spread_options(given) == ["run", "c.py", flag, "a=1", flag, "b=2", "--quiet", flag, "c=3"]
    assert spread_options(["run", flag, "a=1", "c.py"]) == ["run", flag, "a=1", "c.py"]
    assert spread_options(["export", "1 * l2(global)", "--to=json"]) == ["export", "1 * l2(global)", "--to=json"]
