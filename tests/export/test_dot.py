from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from detkds_gp.export import export, to_networkx
from detkds_gp.export.dot import _quoted, to_dot
from detkds_gp.language import parse_distiller
from detkds_gp.primitives import OMNI

QUOTED = r'"(?:[^"\\]|\\.)*"'
VALUE = rf"(?:{QUOTED}|<<table.*</table>>|[\w.]+)"
ATTRIBUTES = rf"\[\w+={VALUE}(?:, \w+={VALUE})*\]"
LINE = re.compile(rf"digraph \w+ \{{|  (?:graph|node|edge|n\d+|n\d+ -> n\d+) {ATTRIBUTES};|\}}")
TWO = "2 * 0.037 * l2(unit_channel(global)) + 1 * calibrated * kl(softmax_row(class_logits, 2))"


def test_every_line_is_a_statement(random_distillers):
    for distiller in random_distillers:
        for line in export(distiller, OMNI, "dot").splitlines():
            assert LINE.fullmatch(line), line


def test_nodes_and_edges_are_those_of_the_graph(random_distillers):
    for distiller in random_distillers:
        dot, graph = export(distiller, OMNI, "dot"), to_networkx(distiller, OMNI)
        constants = sum(node["role"] == "constant" for _, node in graph.nodes(data=True))
        assert len(re.findall(r"^  n\d+ \[", dot, re.M)) == len(graph) - constants
        assert len(re.findall(r"->", dot)) == graph.number_of_edges() - constants


def test_sided_edges_have_two_colours():
    dot = export(parse_distiller(TWO, OMNI), OMNI, "dot")
    two = re.findall(r'-> n\d+ \[color="#\w+:transparent:#\w+"\]', dot)
    one = re.findall(r'-> n\d+ \[color="#\w+", label="([^"]+)"\]', dot)
    assert len(two) == 4
    assert one == ["2 × 0.037", "1 × calibrated"]


def test_numbers_are_folded_into_their_box():
    assert r'label="softmax_row\ntemperature 2"' in export(parse_distiller(TWO, OMNI), OMNI, "dot")


def test_quotes_and_backslashes_are_escaped():
    quoted = _quoted('a "b" \\', "c")
    assert quoted == r'"a \"b\" \\\nc"'
    assert re.fullmatch(QUOTED, quoted)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_it(random_distillers):
    for distiller in random_distillers[::12]:
        dot = to_dot(distiller, OMNI)
        plain = subprocess.run(["dot", "-Tplain"], input=dot.encode(), capture_output=True, check=True).stdout.decode()
        assert len(re.findall(r"^node ", plain, re.M)) == len(re.findall(r"^  n\d+ \[", dot, re.M))
        assert len(re.findall(r"^edge ", plain, re.M)) == dot.count("->")
