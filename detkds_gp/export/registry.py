"""The formats distillers can be exported to, by name; what one needs is imported when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from detkds_gp.atomic import atomic_file
from detkds_gp.errors import UserError
from detkds_gp.export.graph import Panel
from detkds_gp.export.themes import PLAIN, Look
from detkds_gp.language import Distiller, PrimitiveSet

Panels: TypeAlias = Sequence[Panel]


def _json(panels: Panels, look: Look) -> str:
    """Return one object, or a list of several; where it comes from and what it is worth stands under ``caption``."""
    from detkds_gp.export.json_nodes import distiller_to_json

    values = []
    for panel in panels:
        caption = {"caption": panel.caption} if panel.caption else {}
        values.append(distiller_to_json(panel.formula, panel.primitive_set) | caption)
    return json.dumps(values if len(values) > 1 else values[0], indent=2) + "\n"


def _text(panels: Panels, look: Look) -> str:
    return "".join(f"{panel.text}\n" for panel in panels)


def _latex(panels: Panels, look: Look) -> str:
    from detkds_gp.export.latex import to_latex

    return "\n".join(to_latex(panel.formula, panel.primitive_set) for panel in panels)


def _dot(panels: Panels, look: Look) -> str:
    from detkds_gp.export.dot import to_dot

    return to_dot(panels, look)


def _svg(panels: Panels, look: Look) -> str:
    from detkds_gp.export.drawing import compose
    from detkds_gp.export.svg import svg_text

    return svg_text(compose(panels, look), look.theme)


def _png(panels: Panels, look: Look) -> bytes:
    from detkds_gp.export.drawing import compose
    from detkds_gp.export.png import png_bytes

    return png_bytes(compose(panels, look), look.theme)


def _python(panels: Panels, look: Look) -> str:
    from detkds_gp.export.python import to_python

    return to_python(panels)


FORMATS: dict[str, Callable[[Panels, Look], str | bytes]] = {
    "json": _json,
    "text": _text,
    "latex": _latex,
    "dot": _dot,
    "svg": _svg,
    "png": _png,
    "python": _python,
}
"""How each format is written."""

DRAWN = ("dot", "svg", "png")
"""The formats that show trees; a look says nothing to the others."""


def export_panels(panels: Panels, fmt: str, look: Look = PLAIN) -> str | bytes:
    """Return distillers in one of FORMATS: bytes for ``png``, else text that ends a line.

    Args:
        panels: at least one.
        fmt: the format's name.
        look: theme, layout and diff of a drawing.

    Raises:
        UserError: for an unknown format (lists the known ones), a diff in a format that shows no
            trees, or a drawing too large for it.
    """
    if fmt not in FORMATS:
        raise UserError(f"got format {fmt!r}, wanted one of {', '.join(FORMATS)}")
    if look.diff and fmt not in DRAWN:
        raise UserError(f"a diff is drawn, and {fmt} draws nothing; export dot, svg or png")
    return FORMATS[fmt](panels, look)


def export(distiller: Distiller, primitive_set: PrimitiveSet, fmt: str, look: Look = PLAIN) -> str | bytes:
    """Return one distiller as `export_panels` does."""
    return export_panels([Panel(distiller, primitive_set)], fmt, look)


def write_panels(panels: Panels, path: str | Path, fmt: str, look: Look = PLAIN) -> None:
    """Write distillers to a file, which holds the whole export or stays as it was.

    Raises:
        UserError: as `export_panels`, or if the path cannot be written.
    """
    content = export_panels(panels, fmt, look)
    try:
        with atomic_file(Path(path).absolute()) as draft:
            draft.write_bytes(content.encode() if isinstance(content, str) else content)
    except (OSError, ValueError) as error:  # a ValueError where the path has no name
        why = getattr(error, "strerror", error)
        raise UserError(f"cannot write {str(path)!r} ({why}); give a file in a writable folder") from error
