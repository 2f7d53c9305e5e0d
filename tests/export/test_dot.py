from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from detkds_gp.export import Look, Panel, export, to_networkx
from detkds_gp.export.dot import _quoted, to_dot
from detkds_gp.export.themes import DARK
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI

QUOTED = r'"(?:[^"\\]|\\.)*"'
VALUE = rf"(?:{QUOTED}|[\w.]+)"
ATTRIBUTES = rf"\[\w+={VALUE}(?:, \w+={VALUE})*\]"
NODE = r"p\d+n\d+"
LINE = re.compile(
    rf"digraph \w+ \{{|  subgraph cluster_\d+ \{{| +(?:graph|node|edge|{NODE}|{NODE} -> {NODE}) {ATTRIBUTES};| *\}}"
)
TWO = "2 * 0.037 * l2(unit_channel(global)) + 1 * calibrated * kl(softmax_row(class_logits, 2))"
HAS_DOT = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


def _panels(*texts: str) -> list[Panel]:
    return [Panel(parse_distiller(text, OMNI), OMNI, f'"{n}" \\ <b>') for n, text in enumerate(texts)]


def test_every_line_is_a_statement(random_distillers):
    for distiller in random_distillers:
        for line in export(distiller, OMNI, "dot").splitlines():
            assert LINE.fullmatch(line), line
    for line in to_dot(_panels(TWO, "l2(global)"), Look("dark", diff=True)).splitlines():
        assert LINE.fullmatch(line), line


def test_nodes_and_edges_are_those_of_the_graph(random_distillers):
    for distiller in random_distillers:
        dot, graph = export(distiller, OMNI, "dot"), to_networkx(distiller, OMNI)
        labels = dict(re.findall(r"^ +p0n(\d+) \[label=\"([^\"]*)\"", dot, re.M))
        assert {int(n): label.replace(r"\n", "") for n, label in labels.items()} == dict(graph.nodes(data="label"))
        edges = re.findall(r"p0n(\d+) -> p0n(\d+)", dot)
        assert {(int(below), int(above)) for above, below in edges} == set(graph.edges)


def test_sided_edges_have_two_colours_and_all_say_what_passes():
    dot = export(parse_distiller(TWO, OMNI), OMNI, "dot")
    two = re.findall(r'-> \w+ \[color="#\w+:transparent:#\w+", label="([^"]+)"\]', dot)
    one = re.findall(r'-> \w+ \[color="#\w+", label="([^"]+)"\]', dot)
    assert [label.split() for label in two] == [
        ["Map", "2×8×9×11"], ["Map", "2×8×9×11"], ["Rows", "198×8"], ["Probs", "198×8"],
    ]  # fmt: skip
    assert sorted(one) == [r"  1 × calibrated\n  Loss ()", r"  2 × 0.037\n  Loss ()", "  Temperature"]


def test_a_diff_and_a_theme_show():
    dot = to_dot(_panels(TWO, TWO.replace("l2", "l1")), Look("dark", diff=True))
    marked = re.findall(rf'label="(\w+)"[^\n]*color="{DARK["accent"]}", penwidth=3', dot)
    assert marked == ["l2", "l1"]
    assert dot.count("subgraph") == 2


def test_quotes_and_backslashes_are_escaped():
    quoted = _quoted('a "b" \\', "c")
    assert quoted == r'"a \"b\" \\\nc"'
    assert re.fullmatch(QUOTED, quoted)


@HAS_DOT
def test_graphviz_reads_it(random_distillers):
    dots = [export(distiller, OMNI, "dot") for distiller in random_distillers[::12]]
    for dot in [*dots, to_dot(_panels(TWO, "l2(global)"), Look(diff=True))]:
        plain = subprocess.run(["dot", "-Tplain"], input=dot.encode(), capture_output=True, check=True).stdout.decode()
        assert len(re.findall(r"^node ", plain, re.M)) == len(re.findall(r"^ +p\d+n\d+ \[", dot, re.M))
        assert len(re.findall(r"^edge ", plain, re.M)) == dot.count("->")


@HAS_DOT
def test_graphviz_keeps_the_order_of_arguments():
    dot = to_dot(_panels(TWO, "l2(weighted(global, disagreement(global)))"))
    plain = subprocess.run(["dot", "-Tplain"], input=dot.encode(), capture_output=True, check=True).stdout.decode()
    places = {name: (float(x), float(y)) for name, x, y in re.findall(r"^node (\S+) (\S+) (\S+)", plain, re.M)}
    below: dict[str, list[str]] = {}
    for above, argument in re.findall(r"(\w+) -> (\w+)", dot):
        below.setdefault(above, []).append(argument)
        assert places[above][1] > places[argument][1]
    for arguments in below.values():
        assert [places[a][0] for a in arguments] == sorted(places[a][0] for a in arguments)
