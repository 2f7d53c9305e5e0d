"""What is exported: formulas, each with the set that declares its names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkds_gp.errors import UserError
from detkds_gp.export.difference import difference
from detkds_gp.export.graph import Formula, to_networkx
from detkds_gp.export.shapes import Shapes
from detkds_gp.export.text import formula_text
from detkds_gp.language import Distiller, PrimitiveSet

if TYPE_CHECKING:
    import networkx as nx

MAX_NODES = 2000


@dataclass(frozen=True)
class Panel:
    """One formula among those exported together.

    Attributes:
        formula: a distiller, or a tree alone.
        primitive_set: the set that declares the formula's names.
        caption: what stands above it, e.g. where it comes from.
        shapes: by text of a subtree, e.g. of a run's own batch; default: those on sample knowledge.
    """

    formula: Formula
    primitive_set: PrimitiveSet
    caption: str = ""
    shapes: Shapes | None = None

    @property
    def text(self) -> str:
        """The formula's text."""
        return formula_text(self.formula)


def graphs(panels: Sequence[Panel], diff: bool = False) -> list[nx.DiGraph]:
    """Return the graph of every panel; with ``diff``, marked by `difference`.

    Raises:
        UserError: if a formula has more than 2000 nodes, or ``diff`` is asked of other than two.
    """
    if diff and len(panels) != 2:
        raise UserError(f"got {len(panels)} formula(s), wanted 2 for a diff; name two distillers")
    made = []
    for panel in panels:
        size = _size(panel.formula)
        if size > MAX_NODES:
            raise UserError(f"the formula has {size} nodes, too many to draw; export text or json")
        made.append(to_networkx(panel.formula, panel.primitive_set, panel.shapes))
    return list(difference(*made)) if diff else made


def _size(formula: Formula) -> int:
    if isinstance(formula, Distiller):
        return sum(len(term.tree) for term in formula.terms) + 1
    return len(formula)
