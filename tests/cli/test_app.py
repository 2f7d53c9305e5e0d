from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from detkds_gp.cli.app import parse_options, spread_options
from detkds_gp.errors import ConfigError
from detkds_gp.experiment import Outcome
from detkds_gp.export import FORMATS
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.store import Store
from detkds_gp.store.events import FINAL_HELD

GpSearch = Callable[..., Any]
FORMULA = "2 * 0.5 * l2(unit_channel(global)) + 1 * calibrated * kl(softmax_row(class_logits, 2))"


def mistake(ended: Any) -> str:
    """Return the one line that a user's mistake is told in."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    return str(ended.err)


def forget(work_dir: Path, where: str, table: str = "scores") -> None:
    with sqlite3.connect(work_dir / "store.sqlite") as database:
        database.execute(f"DELETE FROM {table} WHERE {where}")


def test_run_continues_and_prints_the_result(
    gp_search: GpSearch, tiny_config: Path, copied: Path, finished: Outcome
) -> None:
    ended = gp_search("run", tiny_config, "--work-dir", copied)
    assert ended.code == 0
    assert "divide 0: 4 trainings, 4 answered before" in ended.out
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

    monkeypatch.setattr("detkds_gp.cli.tables.print_primitives", fail)
    ended = gp_search("primitives")
    assert ended.code == 1
    assert "ZeroDivisionError: by us" in ended.err
    assert "a fault of detkds_gp, not yours. The command was: gp_search primitives" in ended.err


def test_ctrl_c_is_told_apart(gp_search: GpSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detkds_gp.cli.tables.print_primitives", interrupt)
    ended = gp_search("primitives", "--set", "detkds_gp.primitives:DETKDS")
    assert ended.code == 130
    assert "Continue with: gp_search primitives --set detkds_gp.primitives:DETKDS" in ended.err


def test_show_json_keeps_its_contract(gp_search: GpSearch, finished: Outcome) -> None:
    ended = gp_search("show", finished.work_dir, "--json")
    assert ended.code == 0
    shown = json.loads(ended.out)
    assert list(shown) == [
        "teacher",
        "baseline",
        "noise",
        "best",
        "niches",
        "final",
        "cut",
        "counts",
        "screening",
        "wall_seconds",
    ]
    assert {"test_ap", "selection_ap"} == set(shown["teacher"])
    assert {"test_ap", "selection_ap"} == set(shown["baseline"])
    assert shown["noise"]["count"] > 3
    assert shown["noise"]["luck"] >= 0
    best = shown["best"]
    gained = {"test_ap", "gain", "selection_gain", "optimism"}
    assert set(best) == {"formula", "terms", "selection_ap", *gained}
    assert best["optimism"] == pytest.approx(best["selection_gain"]["mean"] - best["gain"]["mean"])
    final = shown["final"]
    assert set(final) == {"seeds", "iterations", "reduced", "alone", "finalists", "race", "dropped"}
    assert final["alone"]["test_ap"] == shown["baseline"]["test_ap"]
    weighing = {"weighed", "weight"}
    assert all(set(row) == {"role", "formula", "selection_ap", *weighing, *gained} for row in final["finalists"])
    for row in final["finalists"]:
        rival = row["role"] in ("mimic", "PKD", "CWD", "logits")
        assert bool(row["weighed"]) == rival
        assert (row["weight"] is not None) == rival
        assert not rival or re.fullmatch(r"paper's weight.*|tuned to [\d.e+-]+, \d+ trainings", row["weighed"])
    assert [row["role"] for row in final["finalists"]][:1] == ["leader"]
    assert {"mimic", "PKD", "CWD", "logits"} <= {row["role"] for row in final["finalists"]}
    means = {row["formula"]: np.mean(row["selection_ap"]) for row in final["finalists"]}
    assert best["formula"] == max(means, key=means.__getitem__)
    assert all(set(term) == {"knowledge", "weight", "scale", "tree"} for term in best["terms"])
    assert set(best["gain"]) == {"mean", "low", "high"}
    assert set(shown["niches"]) <= {"global", "class_logits"}
    assert all({"formula", "selection_ap"} <= set(niche) for niche in shown["niches"].values())
    assert set(shown["counts"]) == {"generated", "duplicates", "rejected", "trained", "failed"}
    assert all(seconds >= 0 for seconds in shown["wall_seconds"].values())
    assert [len(shown["baseline"]["test_ap"]), len(best["test_ap"])] == [2, 2]
    assert len(shown["baseline"]["selection_ap"]) == 3
    aps = [shown["teacher"]["test_ap"], *best["test_ap"], *shown["baseline"]["test_ap"]]
    aps += [row["selection_ap"] for row in (best, *shown["niches"].values()) if row["selection_ap"] is not None]
    assert all(0 <= ap <= 1 for ap in aps)
    wanted = stats.ttest_rel(best["test_ap"], shown["baseline"]["test_ap"]).confidence_interval(0.95)
    assert [best["gain"]["low"], best["gain"]["high"]] == pytest.approx([wanted.low, wanted.high])
    difference = np.subtract(best["test_ap"], shown["baseline"]["test_ap"]).mean()
    assert best["gain"]["mean"] == pytest.approx(difference)
    assert parse_distiller(best["formula"], DETKDS).to_json()["terms"] == best["terms"]
    assert shown == json.loads(json.dumps(finished.summary)) | {"wall_seconds": shown["wall_seconds"]}


def test_show_prints_the_table_and_the_ranking(gp_search: GpSearch, finished: Outcome) -> None:
    ended = gp_search("show", finished.work_dir, "--top", "2")
    assert ended.code == 0
    for words in ("teacher", "student alone", "best of global", "winner", "the interval of the gain", "final round: 3"):
        assert words in ended.out
    ranked = [line.split(maxsplit=2) for line in ended.out.splitlines() if line.startswith("  ") and " * " in line]
    assert [row[0] for row in ranked] == ["1", "2"]
    assert ranked[0][2] == finished.summary["final"]["finalists"][0]["formula"]
    assert float(ranked[0][1]) >= float(ranked[1][1])


def test_no_gain_is_told_before_everyone_is_judged(gp_search: GpSearch, copied: Path) -> None:
    with Store.open(copied, readonly=True) as store:
        last = store.events(FINAL_HELD)[0].detail["finalists"][-1]["text"]
    forget(copied, f"test AND distiller = '{last}'")
    shown = json.loads(gp_search("show", copied, "--json").out)
    assert len(shown["best"]["test_ap"]) == 2
    assert all(row["gain"] is None for row in (shown["best"], *shown["final"]["finalists"]))
    told = gp_search("show", copied).out
    assert "no verdict" in told
    assert "winner" not in told


def test_show_of_a_run_without_its_verdict(gp_search: GpSearch, copied: Path, finished: Outcome) -> None:
    forget(copied, "test AND distiller NOT IN ('teacher', 'none')")
    shown = json.loads(gp_search("show", copied, "--json").out)
    leader = finished.summary["final"]["finalists"][0]
    assert shown["best"]["formula"] == leader["formula"]  # until all are judged
    assert (shown["best"]["test_ap"], shown["best"]["gain"]) == ([], None)
    assert "no verdict" in gp_search("show", copied).out


def test_show_of_a_run_with_a_failed_verdict(gp_search: GpSearch, copied: Path) -> None:
    best = json.loads(gp_search("show", copied, "--json").out)["final"]["finalists"][0]
    with sqlite3.connect(copied / "store.sqlite") as database:
        row = "test AND seed = 11 AND distiller NOT IN ('teacher', 'none')"
        database.execute(f"UPDATE scores SET ap = NULL, test_ap = NULL, failure = 'diverged' WHERE {row}")
    shown = json.loads(gp_search("show", copied, "--json").out)["best"]
    assert shown["test_ap"] == [None, best["test_ap"][1]]
    assert shown["gain"] is None
    assert "no verdict" in gp_search("show", copied).out


def test_show_of_a_run_that_has_just_begun(gp_search: GpSearch, copied: Path) -> None:
    for table in ("scores", "births", "generations", "scales"):
        forget(copied, "1", table)
    shown = json.loads(gp_search("show", copied, "--json").out)
    assert shown["best"] is None
    assert shown["baseline"] == {"test_ap": [], "selection_ap": []}
    assert shown["noise"] is None
    assert shown["teacher"] == {"test_ap": None, "selection_ap": None}
    assert set(shown["counts"].values()) == {0}
    assert gp_search("show", copied).code == 0


def test_show_counts_what_an_unfinished_generation_has(gp_search: GpSearch, copied: Path) -> None:
    whole = json.loads(gp_search("show", copied, "--json").out)["counts"]
    forget(copied, "1", "generations")
    counts = json.loads(gp_search("show", copied, "--json").out)["counts"]
    assert (counts["trained"], counts["failed"]) == (whole["trained"], whole["failed"])
    assert counts["generated"] == counts["trained"] + counts["failed"] > 0


def test_show_of_no_run(gp_search: GpSearch, tmp_path: Path) -> None:
    assert "holds no store.sqlite" in mistake(gp_search("show", tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()
    Store.open(tmp_path / "empty").close()
    assert "holds no experiment yet" in mistake(gp_search("show", tmp_path / "empty"))


STARTS = {"json": b"{", "latex": b"\\", "dot": b"digraph", "svg": b"<", "png": b"\x89PNG", "python": b'r"""'}


@pytest.mark.parametrize("fmt", FORMATS)
def test_export_writes_every_format(fmt: str, gp_search: GpSearch, finished: Outcome, tmp_path: Path) -> None:
    for source in (finished.work_dir, finished.best.text):
        path = tmp_path / f"out.{fmt}"
        command = ["export", source, "--to", fmt, "--set", "detkds_gp.primitives:DETKDS"]
        ended = gp_search(*command, "-o", path)
        assert ended.code == 0, ended.err
        content = path.read_bytes()
        start = STARTS.get(fmt, finished.best.text.encode())
        assert content.lstrip().startswith(start) or fmt == "latex"
        if fmt != "png":
            assert gp_search(*command).out.strip() == content.decode().strip()
        path.unlink()


def test_export_knows_ranks_and_formulas(gp_search: GpSearch, finished: Outcome) -> None:
    assert gp_search("export", finished.work_dir).out == finished.best.text + "\n"
    second = gp_search("export", finished.work_dir, "--rank", "2").out.strip()
    assert second != finished.best.text
    assert gp_search("export", FORMULA).out.strip() == FORMULA
    long = "l2(" + "unit_channel(" * 30 + "global" + ")" * 31
    assert len(long) > 255
    assert gp_search("export", long).code == 0
    values = json.loads(gp_search("export", FORMULA, "--to", "json").out)
    assert values["formula"] == FORMULA


def test_export_reads_the_json_that_it_writes(gp_search: GpSearch, finished: Outcome, tmp_path: Path) -> None:
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    assert gp_search("export", finished.work_dir, "--to", "json", "-o", one).code == 0
    assert gp_search("export", one).out == finished.best.text + "\n"
    searched = ("--set", "detkds_gp.primitives:DETKDS")  # the run's own, whose kinds of nodes the file tells
    assert gp_search("export", one, "--to", "json", *searched).out == one.read_text()
    assert gp_search("export", one, "pkd", FORMULA, "--to", "json", "-o", several).code == 0
    wanted = gp_search("export", finished.work_dir, "pkd", FORMULA).out
    assert gp_search("export", several).out == wanted
    assert gp_search("export", finished.work_dir / "distiller.json", "none").out == f"{finished.best.text}\nnone\n"


def test_export_draws_several_side_by_side(gp_search: GpSearch, finished: Outcome) -> None:
    def nodes(svg: str) -> list[str]:
        return re.findall(r'<g class="node" data-panel="(\d+)"', svg)

    ended = gp_search("export", finished.work_dir, "l2(global)", "--rank", "1", "--rank", "2", "--to", "svg")
    assert sorted(set(nodes(ended.out))) == ["0", "1", "2"]
    assert f"{finished.work_dir.name}, rank 2: AP 0." in ended.out
    diff = gp_search("export", "l2(global)", "l1(global)", "--to", "svg", "--diff", "--theme", "dark")
    assert re.findall(r'data-label="(\w+)" data-family="distance" data-only="(.)"', diff.out) == [
        ("l2", "−"),
        ("l1", "+"),
    ]
    assert "#14181e" in diff.out
    assert gp_search("export", "l2(global)", "none").out == "1 * 1 * l2(global)\nnone\n"


def test_export_says_mistakes_in_one_line(gp_search: GpSearch, finished: Outcome, tmp_path: Path) -> None:
    work_dir = finished.work_dir
    assert "--rank 99: the run has" in mistake(gp_search("export", work_dir, "--rank", "99"))
    assert "wanted one of json, text" in mistake(gp_search("export", work_dir, "--to", "pdf"))
    assert "binary; give a file with -o" in mistake(gp_search("export", work_dir, "--to", "png"))
    missing = tmp_path / "no" / "x.json"
    assert "cannot write" in mistake(gp_search("export", work_dir, "-o", missing))
    assert "nor a work directory, nor a formula" in mistake(gp_search("export", tmp_path / "typo"))
    assert "holds no store.sqlite" in mistake(gp_search("export", tmp_path))
    assert "did you mean 'pkd'" in mistake(gp_search("export", "pdk"))
    assert "--rank is of a work directory, got 'pkd', 'cwd'" in mistake(gp_search("export", "pkd", "cwd", "--rank", 1))
    assert "position" in mistake(gp_search("export", "l2(globe)"))
    assert "wanted 2 for a diff" in mistake(gp_search("export", "l2(global)", "--diff", "--to", "svg"))
    assert "wanted one of light, dark, auto" in mistake(gp_search("export", "l2(global)", "--theme", "blue"))
    assert "wanted one of layered, graphviz" in mistake(gp_search("export", "l2(global)", "--layout", "neat"))


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
