"""Where Graphviz would put the nodes of a tree, for those who have it and ask for it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from detkds_gp.errors import UserError
from detkds_gp.export.layout import Below

INCH = 96.0
PATIENCE_SECONDS = 60


def graphviz_centres(below: Below, widths: Sequence[float], gap: float) -> list[float]:
    """Return the x of every node's centre as ``dot`` places it; takes what `centres` takes.

    Graphviz is given numbers and widths only, none of the formula's names.

    Raises:
        UserError: if ``dot`` is not installed or fails.
    """
    program = shutil.which("dot")
    if program is None:
        raise UserError("layout 'graphviz' needs the program dot; install Graphviz, or take layout 'layered'")
    try:
        ended = subprocess.run(
            [program, "-Tplain"],
            input=_source(below, widths, gap),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"dot did not lay out the tree ({error}); take layout 'layered'") from error
    found = re.findall(r"^node n(\d+) (\S+) ", ended.stdout, re.M)
    places = {int(number): float(x) * INCH for number, x in found}
    left = min(places[node] - width / 2 for node, width in enumerate(widths))
    return [places[node] - left for node in range(len(widths))]


def _source(below: Below, widths: Sequence[float], gap: float) -> str:
    lines = [f"digraph {{ graph [ordering=out, nodesep={gap / INCH:.3f}]; node [shape=box, fixedsize=true];"]
    lines += [f'n{node} [label="", width={width / INCH:.3f}, height=0.3];' for node, width in enumerate(widths)]
    lines += [f"n{node} -> n{child};" for node, children in enumerate(below) for child in children]
    return "\n".join([*lines, "}"])
