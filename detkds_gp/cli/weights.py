"""`gp_search weights`: a checkpoint's weights alone, in a file that cannot run code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def weights(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of mmdet.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.", show_default=False)],
    trust: Annotated[
        bool, typer.Option("--trust", help="Open it even if it holds more than weights: runs code from it.")
    ] = False,
) -> None:
    """Write a checkpoint's weights and class names alone."""
    from detkds_gp.detectors import rewrite_weights

    rewrite_weights(checkpoint, output, trusted=trust)
    print(f"{output}: plain weights; give it as teacher.checkpoint or student.checkpoint")
