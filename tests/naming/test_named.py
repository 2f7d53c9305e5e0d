"""What a user may write for a distiller, and which published ones apply to a pair."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from detkds_gp.config import load_config
from detkds_gp.errors import ConfigError, FormulaError
from detkds_gp.export import distiller_to_json
from detkds_gp.fitness import ProxyTask
from detkds_gp.language import parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.naming import bind, in_formulas, names, read_distiller
from detkds_gp.naming.applies import check_applies, missing_knowledge, reason_against
from detkds_gp.naming.binding import spelled_out, with_warm_start
from detkds_gp.naming.named import named_distiller, named_distillers, sort_of
from detkds_gp.primitives import DETKDS, OMNI
from detkds_gp.primitives.zoo import ZOO
from detkds_gp.run import Outcome
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.store import Store
from detkds_gp.store.events import NAMED

FORMULA = "2 * 0.5 * l2(global) + 1 * 3 * kl(softmax_row(class_logits, 2))"
LONG = "1 * 1 * l2(" + "unit_channel(" * 40 + "global" + ")" * 41
LONGEST_NAME = 255
"""Bytes of a file's name that usual file systems take."""


def prepared(path: Path, folder: Path) -> ProxyTask:
    config = load_config(path, {"knowledge": None})
    return prepare(config, gather(config), folder, Listener())


@pytest.fixture(scope="module")
def task(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> ProxyTask:
    """The tiny pair of RetinaNets."""
    return prepared(tiny_config, tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def two_stages(mask_config: Path, tmp_path_factory: pytest.TempPathFactory) -> ProxyTask:
    """The tiny pair of Mask R-CNNs."""
    return prepared(mask_config, tmp_path_factory.mktemp("two_stages"))


@pytest.mark.parametrize("text", [FORMULA, LONG, "none", "l2(global)", "3 * calibrated * l2(global)"])
def test_a_formula_stands_for_itself(text: str) -> None:
    assert named_distiller(text, OMNI, ZOO) == parse_distiller(text, OMNI)


def test_a_name_is_the_published_distiller_with_the_papers_weights() -> None:
    assert named_distiller("pkd", OMNI, ZOO).text == "1 * 25 * l2(standardize_channel(global))"


def test_what_is_recommended_has_scales_that_are_measured_where_it_is_trained() -> None:
    found = named_distiller("recommended", DETKDS, ZOO)
    assert sort_of("recommended", ZOO) == "published"
    assert len(found.uncalibrated) == len(found.terms)
    with pytest.raises(ConfigError, match="did you mean 'recommended'"):
        sort_of("recomended", ZOO)


def test_it_is_said_what_a_text_stands_for(finished: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pkd").mkdir()
    wanted = {FORMULA: "formula", LONG: "formula", " none": "formula", "pkd": "published", "./pkd": "run"}
    wanted |= {str(finished.work_dir): "run", str(finished.work_dir / "distiller.json"): "file"}
    assert {text: sort_of(text, ZOO) for text in wanted} == wanted


@pytest.mark.parametrize("folder", ["runs (1)", "l2(global)", "a * b+c", "[x] {y}", "my run"])
@pytest.mark.parametrize("beginning", ["", "./", "within (2)/"])
def test_a_folder_that_is_there_is_no_formula(
    folder: str, beginning: str, finished: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = beginning + folder
    shutil.copytree(finished.work_dir, tmp_path / text)
    assert (sort_of(text, ZOO), sort_of(f"{text}/distiller.json", ZOO)) == ("run", "file")
    assert named_distiller(text, DETKDS, ZOO) == named_distiller(str(finished.work_dir), DETKDS, ZOO)


@pytest.mark.parametrize("text", ["", "zoo", "no/such/file.json", "runs (1)/gone", "a" * (LONGEST_NAME + 1), "a\0b"])
def test_what_is_nothing_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="neither the name of a published distiller, nor a file, nor a ") as told:
        sort_of(text, ZOO)
    assert f"got {text!r}" in str(told.value)
    assert f"did you mean {text!r}" not in str(told.value)


def test_the_longest_formula_of_the_docs_is_read_and_has_a_short_name(tiny_config: Path) -> None:
    results = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text()
    blocks = [" ".join(block.split()) for block in re.findall(r"```\n(.*?)```", results, re.DOTALL)]
    longest = max((block for block in blocks if " * " in block), key=len)
    assert len(longest) > LONGEST_NAME
    config = load_config(tiny_config)
    for formula in (longest, LONG):
        found = read_distiller(formula, config)
        assert found.distiller.text == parse_distiller(formula, OMNI).text
        assert re.fullmatch("formula-[0-9a-f]{6}", found.name)


def test_folders_are_named_after_what_was_written(finished: Outcome, tiny_config: Path, tmp_path: Path) -> None:
    config, file = load_config(tiny_config), tmp_path / "found.json"
    run = shutil.copytree(finished.work_dir, tmp_path / "run.v2")
    file.write_text(json.dumps({"formula": "none"}))
    texts = {
        "pkd": "pkd",
        " none ": "none",
        str(run): "run.v2",
        f"{run}/distiller.json": "distiller",
        str(file): "found",
    }
    assert {text: read_distiller(text, config).name for text in texts} == texts


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(ConfigError, match="got 'pdk', neither the name of .*did you mean 'pkd'"):
        named_distiller("pdk", OMNI, ZOO)
    with pytest.raises(FormulaError, match="did you mean 'global'"):
        named_distiller("l2(globel)", OMNI, ZOO)
    with pytest.raises(FormulaError, match="'ld' cannot be written with the primitives of OMNI: unknown primitive"):
        named_distiller("ld", OMNI.without("box_bins"), ZOO)


def test_a_file_is_the_distiller_it_holds(tmp_path: Path) -> None:
    wanted, path = parse_distiller(FORMULA, OMNI), tmp_path / "distiller.json"
    for values in (distiller_to_json(wanted, OMNI), wanted.to_json(), [FORMULA], {"best": wanted.to_json()}):
        path.write_text(json.dumps(values))
        assert named_distiller(str(path), OMNI, ZOO) == wanted
    path.write_text(json.dumps([FORMULA, "l2(global)", FORMULA]))
    with pytest.raises(ConfigError, match="holds 2 distillers, wanted one"):
        named_distiller(str(path), OMNI, ZOO)
    assert [d.text for d in named_distillers(str(path), OMNI, ZOO)] == [FORMULA, "1 * 1 * l2(global)"]
    shown = {"best": wanted.to_json(), "cut": ["the final round has 3 seeds"], "niches": {"global": wanted.to_json()}}
    path.write_text(json.dumps(shown))
    assert named_distiller(str(path), OMNI, ZOO) == wanted
    for broken in ("{", "[]", '{"formula": 3}'):
        path.write_text(broken)
        with pytest.raises(ConfigError, match=r"distiller\.json"):
            named_distiller(str(path), OMNI, ZOO)


def test_a_work_directory_gives_its_winner_and_champions(finished: Outcome) -> None:
    found = named_distillers(str(finished.work_dir), DETKDS, ZOO)
    assert found[0].text == finished.best.text
    assert named_distiller(str(finished.work_dir), DETKDS, ZOO) == found[0]
    champions = [row["formula"] for row in finished.summary["niches"].values()]
    assert {d.text for d in found} == {finished.best.text, *champions}


def test_a_work_directory_without_a_score_is_told(finished: Outcome, tmp_path: Path, tiny_config: Path) -> None:
    started = shutil.copytree(finished.work_dir, tmp_path / "started")
    with sqlite3.connect(started / "store.sqlite") as database:
        database.execute("DELETE FROM scores")
    for read in (
        lambda: named_distillers(str(started), DETKDS, ZOO),
        lambda: read_distiller(str(started), load_config(tiny_config)),
    ):
        with pytest.raises(ConfigError, match="started has no scored distiller yet; go on with its search"):
            read()


def test_what_does_not_apply_says_why(task: ProxyTask) -> None:
    reasons = {name: reason_against(entry, OMNI, task.pair) for name, entry in ZOO.items()}
    assert reasons["ld"].startswith("the pair does not share 'box_bins': ")
    assert task.pair.refused["box_bins"] in reasons["ld"]
    assert reasons["pkd_two_stage"] == "its weights are for two-stage detectors"
    free = {name for name, reason in reasons.items() if not reason}
    assert free == {
        "mimic", "pkd", "cwd", "fgd", "fgd_anchor_free", "fgd_fcos", "mgd", "bckd", "crosskd",
        "detkds_retinanet_r101", "detkds_retinanet_x101", "detkds_fcos", "detkds_gfl",
    }  # fmt: skip
    assert missing_knowledge(ZOO["cwd"].distiller(OMNI), OMNI, task.pair) == ""
    check_applies("cwd", ZOO["cwd"].distiller(OMNI), OMNI, ZOO, task.pair)
    with pytest.raises(ConfigError, match="'ld' does not apply: the pair does not share 'box_bins'.*of the zoo, mimic"):
        check_applies("ld", ZOO["ld"].distiller(OMNI), OMNI, ZOO, task.pair)


def test_weights_for_other_stages_are_refused_by_name_and_taken_as_a_formula(
    task: ProxyTask, two_stages: ProxyTask
) -> None:
    for pair, name, own in ((task.pair, "fgd_two_stage", "fgd"), (two_stages.pair, "fgd", "fgd_two_stage")):
        distiller = ZOO[name].distiller(OMNI)
        with pytest.raises(ConfigError, match=f"^'{name}' does not apply: its weights are for ") as told:
            check_applies(name, distiller, OMNI, ZOO, pair)
        others = re.search("of the zoo, (.*) does; its formula, typed out, is trained", str(told.value))
        assert others is not None
        assert {own, "cwd"} <= set(others[1].split(", "))
        assert name not in others[1].split(", ")
        check_applies("formula-012345", distiller, OMNI, ZOO, pair)
        check_applies(name, ZOO[own].distiller(OMNI), OMNI, ZOO, pair)  # another formula in a file of that name
        check_applies(own, ZOO[own].distiller(OMNI), OMNI, ZOO, pair)


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


def test_a_warm_start_is_spelled_out_before_a_run_is_bound_to_it(
    task: ProxyTask, tiny_config: Path, tmp_path: Path
) -> None:
    path, heard = tmp_path / "other.json", Heard()
    path.write_text(json.dumps([FORMULA]))
    config = with_warm_start(load_config(tiny_config), ["zoo", "cwd", str(path), "l1(global)"])
    found = spelled_out(config, task.primitive_set, task.pair, heard)
    texts = found.search.warm_start
    assert ZOO["mgd"].distiller(OMNI).text in texts
    assert texts.count(ZOO["cwd"].distiller(OMNI).text) == 1
    assert texts[-2:] == (FORMULA, "l1(global)")
    assert found.identity()["search"]["warm_start"] == list(texts)
    assert any(
        line.startswith("ld stays out of the warm start: the pair does not share 'box_bins': ") for line in heard.said
    )
    assert spelled_out(found, task.primitive_set, task.pair, heard) == found
    with pytest.raises(ConfigError, match="did you mean 'zoo'"):
        spelled_out(with_warm_start(config, ["zo"]), task.primitive_set, task.pair, heard)


def test_what_names_meant_at_the_first_start_stays(task: ProxyTask, tiny_config: Path, tmp_path: Path) -> None:
    path, work_dir, heard = tmp_path / "other.json", tmp_path / "run", Heard()
    path.write_text(json.dumps([FORMULA]))
    rivals = {"published": "pkd", "alien": "l2(globe)", "bare": "l1(global)", "all": "zoo"}
    config = with_warm_start(load_config(tiny_config, {"verdict.rivals": rivals}), [str(path), "cwd"])
    first = in_formulas(config, task, work_dir, heard)
    assert first.search.warm_start == (FORMULA, ZOO["cwd"].distiller(OMNI).text)
    judged = list(first.verdict.rivals)
    assert judged[:2] == ["published", "bare"]
    assert judged[2:] == sorted(name for name in ZOO if name != "ld")
    with Store.open(work_dir) as store:
        bind(store, {"config": first.identity()}, names(config))
        bind(store, {"config": first.identity()}, names(config))
        assert [event.detail for event in store.events(NAMED)] == [names(config)]

    path.write_text(json.dumps(["1 * l1(global)"]))
    again = in_formulas(config, task, work_dir, heard)
    assert (again, list(again.verdict.rivals)) == (first, list(first.verdict.rivals))
    path.unlink()
    gone = config.model_copy(update={"zoo": "no_such_module:ZOO"})
    assert names(in_formulas(gone, task, work_dir, heard)) == names(first)
    assert names(in_formulas(first.model_copy(update={"zoo": gone.zoo}), task, work_dir, heard)) == names(first)
    with pytest.raises(ConfigError, match=r"other\.json"):
        in_formulas(with_warm_start(config, ["l2(global)"]), task, work_dir, heard)
    with pytest.raises(ConfigError, match=r"other\.json"):
        in_formulas(config, task, tmp_path / "another", heard)


def test_a_formula_that_no_set_can_read_is_told_of_its_own(tiny_config: Path) -> None:
    config = load_config(tiny_config, {"primitive_set": "detkds_gp.primitives:DETKDS"})
    with pytest.raises(FormulaError, match="did you mean 'global'"):
        read_distiller("l2(globl)", config)
