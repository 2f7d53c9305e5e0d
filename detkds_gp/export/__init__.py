"""A distiller in other forms: text, JSON, LaTeX, Graphviz, a graph, a drawing."""

from detkds_gp.export.drawing import draw, to_png, to_svg
from detkds_gp.export.graph import to_networkx
from detkds_gp.export.json_nodes import distiller_from_json, distiller_to_json
from detkds_gp.export.latex import formula_lines, to_latex
from detkds_gp.export.registry import FORMATS, export, write_export

__all__ = [
    "FORMATS",
    "distiller_from_json",
    "distiller_to_json",
    "draw",
    "export",
    "formula_lines",
    "to_latex",
    "to_networkx",
    "to_png",
    "to_svg",
    "write_export",
]
