r"""Distillers as a notebook shows them: a drawing, and the formula as LaTeX.

>>> from detkds_gp.language import parse_distiller
>>> from detkds_gp.primitives import OMNI
>>> one, other = (parse_distiller(f"{d}(unit_channel(global))", OMNI) for d in ("l1", "l2"))
>>> Picture(one, OMNI).against(Picture(other, OMNI)).svg()[:4]
'<svg'
"""

from __future__ import annotations

import sys
from copy import copy
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkds_gp.errors import UserError
from detkds_gp.export.drawing import compose
from detkds_gp.export.graph import Formula, Panel, Shapes
from detkds_gp.export.latex import aligned
from detkds_gp.export.registry import DRAWN, write_panels
from detkds_gp.export.svg import svg_text
from detkds_gp.export.themes import FOLLOWING, Look
from detkds_gp.language import Distiller, PrimitiveSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture:
    """One or several formulas, drawn side by side; the last value of a notebook's cell shows itself.

    Args:
        formula: a distiller, or a tree alone.
        primitive_set: the set that declares the formula's names.
        caption: what stands above the tree.
        shapes: by text of a subtree, e.g. of a run's own batch; default: those on sample knowledge.
        look: theme and layout; by default colours follow the reader's setting.
    """

    def __init__(
        self,
        formula: Formula,
        primitive_set: PrimitiveSet,
        caption: str = "",
        shapes: Shapes | None = None,
        look: Look = FOLLOWING,
    ) -> None:
        self.panels: tuple[Panel, ...] = (Panel(formula, primitive_set, caption, shapes),)
        self.look = look

    def beside(self, *others: Picture) -> Picture:
        """Return a picture with the formulas of others to the right."""
        both = copy(self)
        both.panels = tuple(panel for picture in (self, *others) for panel in picture.panels)
        return both

    def against(self, other: Picture) -> Picture:
        """Return a picture of two formulas that marks what each has and the other has not.

        Raises:
            UserError: if one of the pictures has several formulas.
        """
        both = self.beside(other)
        if len(both.panels) != 2:
            raise UserError(f"got {len(both.panels)} formulas, wanted 2 for a diff; name two distillers")
        both.look = replace(self.look, diff=True)
        return both

    def svg(self) -> str:
        """Return the drawing as SVG.

        Raises:
            UserError: for more than 2000 nodes, or a layout by a Graphviz that is not there.
        """
        return svg_text(compose(self.panels, self.look), self.look.theme)

    def figure(self) -> Figure:
        """Return the drawing as a matplotlib figure, e.g. to save it as PDF; raises as `svg`."""
        from detkds_gp.export.png import to_figure

        return to_figure(compose(self.panels, self.look), self.look.theme)

    def save(self, path: str | Path) -> None:
        """Write the drawing to a file whose ending names the format: svg, png or dot.

        Raises:
            UserError: for another ending, a path that cannot be written, or as `svg`.
        """
        fmt = Path(path).suffix[1:]
        if fmt not in DRAWN:
            raise UserError(f"got file {str(path)!r}, wanted one that ends in .{', .'.join(DRAWN)}")
        write_panels(self.panels, path, fmt, self.look)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_latex_(self) -> str:
        found = [panel for panel in self.panels if isinstance(panel.formula, Distiller)]
        return "\n\n".join(f"$$\n{aligned(panel.formula, panel.primitive_set)}\n$$" for panel in found)

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg()}</div>\n<div>{escape(self._repr_latex_(), quote=False)}</div>'


def show_in_notebook(primitive_set: PrimitiveSet, shell: Any = None) -> None:
    """Let every distiller of a notebook show itself as its `Picture`.

    Args:
        primitive_set: the set that declares the distillers' names.
        shell: the running IPython; found by itself where there is one.

    Raises:
        UserError: outside of IPython and Jupyter.
    """
    ipython = sys.modules.get("IPython")  # where it runs, it is loaded
    shell = shell or (ipython.get_ipython() if ipython else None)
    if shell is None:
        raise UserError("no notebook is running; write Picture(distiller, primitive_set).save('tree.svg')")
    html = shell.display_formatter.formatters["text/html"]
    html.for_type(Distiller, lambda distiller: Picture(distiller, primitive_set)._repr_html_())
