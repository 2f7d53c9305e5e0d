"""The formats a distiller can be exported to, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from detkds_gp.errors import UserError
from detkds_gp.export.dot import to_dot
from detkds_gp.export.drawing import to_png, to_svg
from detkds_gp.export.json_nodes import to_json
from detkds_gp.export.latex import to_latex
from detkds_gp.export.text import to_text
from detkds_gp.language import Distiller, PrimitiveSet

FORMATS: dict[str, Callable[[Distiller, PrimitiveSet], str | bytes]] = {
    "json": to_json,
    "text": to_text,
    "latex": to_latex,
    "dot": to_dot,
    "svg": to_svg,
    "png": to_png,
}


def export(distiller: Distiller, primitive_set: PrimitiveSet, fmt: str) -> str | bytes:
    """Return a distiller in one of FORMATS: bytes for ``png``, else text that ends a line.

    Raises:
        UserError: for an unknown format (lists the known ones) or a drawing too large for it.
    """
    if fmt not in FORMATS:
        raise UserError(f"got format {fmt!r}, wanted one of {', '.join(FORMATS)}")
    return FORMATS[fmt](distiller, primitive_set)


def write_export(distiller: Distiller, primitive_set: PrimitiveSet, path: str | Path, fmt: str) -> None:
    """Write a distiller to a file, which holds the whole export or stays as it was.

    Raises:
        UserError: as `export`, or if the path cannot be written.
    """
    content = export(distiller, primitive_set, fmt)
    data = content.encode() if isinstance(content, str) else content
    temporary = Path(path).parent / f".{token_hex(8)}.export"
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UserError(f"cannot write {str(path)!r} ({error.strerror}); give a file in a writable folder") from error
