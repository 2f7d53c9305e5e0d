"""`gp_search weights`: a checkpoint's weights alone, in a file that cannot run code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def weights(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of mmdet.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.", show_default=False)],
    prefix: Annotated[
        str, typer.Option(help="Keep only the weights whose names begin so, such as student., and take it away.")
    ] = "",
    classes: Annotated[
        str | None, typer.Option(help="Other names for its classes, in its order: a,b,c.", show_default=False)
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Open it even if it holds more than weights: runs code from it.")
    ] = False,
) -> None:
    """Write a checkpoint's weights and class names alone."""
    from detkds_gp.detectors import rewrite_weights

    named = None if classes is None else [name.strip() for name in classes.split(",")]
    rewrite_weights(checkpoint, output, prefix=prefix, classes=named, trusted=trust)
    print(f"{output}: plain weights; give it as teacher.checkpoint or student.checkpoint")
