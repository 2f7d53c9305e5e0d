from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.screening import CHECK_NAMES

GpSearch = Callable[..., Any]
SOUND = "l2(unit_channel(global)) + kl(softmax_row(class_logits, 2))"


def test_it_runs_every_check_on_sample_features(gp_search: GpSearch) -> None:
    ended = gp_search("lint", SOUND)
    assert ended.code == 0
    for name in CHECK_NAMES:
        assert len(re.findall(rf"│ {name} +│", ended.out)) == 2, name
    assert ended.out.count("passed") == 2 * len(CHECK_NAMES)
    assert "no problem found" in ended.out


def test_it_takes_the_detectors_of_a_config(gp_search: GpSearch, tiny_config: Path, copied: Path) -> None:
    ended = gp_search("lint", SOUND, "--config", tiny_config, "--work-dir", copied)
    assert ended.code == 0, ended.err
    assert "(2, 16, 8, 8)" in ended.out  # the teacher's channels
    assert "not trained" not in ended.out
    assert "note: not shared: objectness" in ended.out


def test_it_says_that_nothing_is_trained_yet(gp_search: GpSearch, tiny_config: Path, tmp_path: Path) -> None:
    options = ("--cfg-options", f"cache_dir={tmp_path}")
    ended = gp_search("lint", "l2(global)", "--config", tiny_config, "--work-dir", tmp_path / "new", *options)
    assert ended.code == 0, ended.err
    assert "note: the student is not trained" in ended.out
    assert "note: the teacher is not trained" in ended.out
    assert not (tmp_path / "new").exists()


BROKEN = '''
from detkds_gp.language import Distance, Loss, Map, PrimitiveSet, verdicts
from detkds_gp.primitives.distances import l2
from detkds_gp.primitives.inputs import global_

def product(student, teacher):
    """Multiply: similarity used as a distance, forced past the contract."""
    return (student * teacher).mean()

FORCE
SET = PrimitiveSet("SET", [global_, l2, Distance("product", (Map,), Loss, product, latex="#1")])
'''


def test_a_problem_has_a_name_a_reason_and_numbers(gp_search: GpSearch, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "broken_set.py").write_text(BROKEN.replace("FORCE", "verdicts._passed.add(product)"))
    monkeypatch.chdir(tmp_path)
    ended = gp_search("lint", "product(global)", "--set", "broken_set:SET")
    assert ended.code == 2
    assert "problem: contract: product(Map) -> Loss is " in ended.out
    assert "FAILED" in ended.out
    assert "problem: zero: the loss is not zero where the student equals the teacher" in ended.out


def test_show_and_status_say_what_was_not_trained(gp_search: GpSearch, copied: Path) -> None:
    with sqlite3.connect(copied / "store.sqlite") as database:
        database.execute(
            "INSERT INTO screenings (tree, failure, detail, fingerprint, wall_seconds) "
            "VALUES ('l9(global)', 'rejected:zero', 'it is 3', '', 0.0)"
        )
    shown = gp_search("show", copied)
    assert "not trained: l9(global): rejected:zero: it is 3" in shown.out
    assert "1 zero" in shown.out
    assert "1 zero" in gp_search("status", copied).out


@pytest.mark.parametrize("command", [("lint", "l2(global)"), ("primitives",), ("primitives", "--check")])
def test_a_broken_declaration_is_told_whatever_is_asked(
    gp_search: GpSearch, tmp_path: Path, monkeypatch: Any, command: tuple[str, ...]
) -> None:
    name = f"told_{'_'.join(command).replace('-', '')[:14]}".replace("(", "")
    (tmp_path / f"{name}.py").write_text(BROKEN.replace("FORCE", ""))
    monkeypatch.chdir(tmp_path)
    ended = gp_search(*command, "--set", f"{name}:SET")
    assert ended.code == 2
    assert ended.err.startswith("error: product(Map) -> Loss ")
    assert "wanted a finite loss >= 0" in ended.err


def test_primitives_are_tried_whatever_is_known_of_them(gp_search: GpSearch, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "passed_set.py").write_text(BROKEN.replace("FORCE", "verdicts._passed.add(product)"))
    monkeypatch.chdir(tmp_path)
    ended = gp_search("primitives", "--set", "passed_set:SET", "--check")
    assert ended.code == 2
    assert ended.err.startswith("problem: product(Map) -> Loss ")
    sound = gp_search("primitives", "--check")
    assert sound.code == 0, sound.err
    assert sound.out.endswith(" primitives of detkds_gp.primitives:OMNI keep their contracts\n")


def test_options_that_would_change_nothing_are_refused(gp_search: GpSearch, tiny_config: Path) -> None:
    for said, *command in (
        ("give --config too", "lint", SOUND, "--cfg-options", "proxy.image_size=64,64"),
        ("leave --random-weights out", "check", tiny_config, "--curves", "--random-weights"),
        ("is the length of --curves", "check", tiny_config, "--iterations", "5"),
    ):
        ended = gp_search(*command)
        assert ended.code == 2
        assert said in ended.err
