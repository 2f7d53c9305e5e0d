from __future__ import annotations

import json
import os

import pytest

from detkds_gp.errors import UserError
from detkds_gp.export import FORMATS, Look, Panel, distiller_from_json, export, export_panels, write_panels
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI

TEXT = "2 * 0.037 * l2(unit_channel(global))"
OPEN = [fmt for fmt in FORMATS if fmt != "python"]
"""Formats that take any number of distillers, the empty one among them."""


@pytest.fixture(scope="module")
def distiller():
    return parse_distiller(TEXT, OMNI)


def test_formats_are_those_of_the_command_line():
    assert list(FORMATS) == ["json", "text", "latex", "dot", "svg", "png", "python"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_file_holds_what_export_returns(distiller, tmp_path, fmt):
    path = tmp_path / "distiller.out"
    path.write_text("older")
    write_panels([Panel(distiller, OMNI)], path, fmt)
    content = export(distiller, OMNI, fmt)
    assert path.read_bytes() == (content if fmt == "png" else content.encode())
    assert os.listdir(tmp_path) == ["distiller.out"]


def test_text_and_json_name_the_distiller(distiller):
    assert export(distiller, OMNI, "text") == TEXT + "\n"
    assert json.loads(export(distiller, OMNI, "json"))["formula"] == TEXT


def test_json_says_where_a_distiller_comes_from_and_is_read_back(distiller):
    written = export_panels([Panel(distiller, OMNI, "bccd, winner: AP 0.362 on test")], "json")
    assert json.loads(written)["caption"] == "bccd, winner: AP 0.362 on test"
    assert distiller_from_json(written, OMNI) == distiller
    assert "caption" not in json.loads(export(distiller, OMNI, "json"))


@pytest.mark.parametrize("fmt", OPEN)
def test_the_baseline_can_be_exported_too(fmt):
    assert export(parse_distiller("none", OMNI), OMNI, fmt)


def test_unknown_format_lists_the_known(distiller, tmp_path):
    with pytest.raises(UserError, match="'gif', wanted one of json, text, latex, dot, svg, png"):
        export(distiller, OMNI, "gif")
    with pytest.raises(UserError):
        write_panels([Panel(distiller, OMNI)], tmp_path / "x.gif", "gif")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("where", ["missing/x.json", "folder", "file/x.json", "x" * 300])
def test_unwritable_path_is_one_line_and_leaves_nothing(distiller, tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match="cannot write") as caught:
        write_panels([Panel(distiller, OMNI)], tmp_path / where, "json")
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.fixture(scope="module")
def panels(distiller):
    return [Panel(distiller, OMNI), Panel(parse_distiller("l1(global)", OMNI), OMNI)]


@pytest.mark.parametrize("fmt", OPEN)
def test_several_distillers_in_one_file(panels, tmp_path, fmt):
    content = export_panels(panels, fmt)
    write_panels(panels, tmp_path / "both", fmt)
    assert (tmp_path / "both").read_bytes() == (content if fmt == "png" else content.encode())


def test_several_distillers_stay_apart(panels):
    assert export_panels(panels, "text") == f"{TEXT}\n1 * 1 * l1(global)\n"
    assert [row["formula"] for row in json.loads(export_panels(panels, "json"))] == [TEXT, "1 * 1 * l1(global)"]
    assert export_panels(panels, "latex").count("\\begin{align*}") == 2


@pytest.mark.parametrize("fmt", ["json", "text", "latex"])
def test_a_diff_is_drawn(panels, fmt):
    with pytest.raises(UserError, match=f"a diff is drawn, and {fmt} draws nothing; export dot, svg or png"):
        export_panels(panels, fmt, Look(diff=True))
    assert export_panels(panels, "svg", Look(diff=True)) != export_panels(panels, "svg")
