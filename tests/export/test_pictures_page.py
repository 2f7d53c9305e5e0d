"""What docs/pictures.md tells people to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from detkds_gp.cli.app import app
from detkds_gp.export import FAMILIES, to_networkx
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "pictures.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("command", _blocks("bash"))
def test_commands_write_the_pictures_of_the_page(command, tmp_path, monkeypatch):
    (tmp_path / "docs" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)
    with pytest.raises(SystemExit) as ended:
        app(arguments[1:])
    assert ended.value.code == 0
    (written,) = (tmp_path / "docs" / "images").iterdir()
    kept = DOCS / "images" / written.name
    title = arguments[2].encode()
    assert title in written.read_bytes()
    assert title in kept.read_bytes()
    if written.suffix == ".svg":
        assert _structure(written) == _structure(kept)


def _structure(svg: Path) -> list[dict[str, str]]:
    groups = [element.attrib for element in ElementTree.parse(svg).iter() if "data-panel" in element.attrib]
    assert groups
    return groups


def test_python_blocks_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in _blocks("python"):
        exec(block, names)
    assert (tmp_path / "tree.svg").exists()
    assert "unit_channel" in capsys.readouterr().out


def test_all_attributes_are_listed_and_no_others():
    graph = to_networkx(parse_distiller("l2(global)", OMNI), OMNI)
    tables = PAGE.split("| node attribute")[1].split("| edge attribute")
    nodes, edges = ("\n".join(re.findall(r"^\| (`.*?) \|", table, re.M)) for table in tables)
    assert set(re.findall(r"`(\w+)`", nodes)) == {key for _, row in graph.nodes(data=True) for key in row}
    assert set(re.findall(r"`(\w+)`", edges)) == {key for *_, row in graph.edges(data=True) for key in row}
    assert all(f"`{family}`" in PAGE for family in FAMILIES)
