"""A distiller in other forms: text, JSON, LaTeX, Graphviz, a graph, a drawing."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.export.difference import difference
    from detkds_gp.export.graph import FAMILIES, Panel, sample_shapes, to_networkx
    from detkds_gp.export.json_nodes import distiller_from_json, distiller_to_json
    from detkds_gp.export.latex import formula_lines, to_latex
    from detkds_gp.export.picture import Picture, show_in_notebook
    from detkds_gp.export.registry import FORMATS, export, export_panels, write_panels
    from detkds_gp.export.themes import LAYOUTS, THEMES, Look

__all__ = [
    "FAMILIES",
    "FORMATS",
    "LAYOUTS",
    "THEMES",
    "Look",
    "Panel",
    "Picture",
    "difference",
    "distiller_from_json",
    "distiller_to_json",
    "export",
    "export_panels",
    "formula_lines",
    "sample_shapes",
    "show_in_notebook",
    "to_latex",
    "to_networkx",
    "write_panels",
]

import_lazily(__name__)
