"""Options that say how a data set's folder is to be read, where it can be read in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from detkds_gp.data.discover import Choice

Layout = Annotated[
    str | None, typer.Option("--format", help="coco, voc or yolo, where the folder holds several.", show_default=False)
]
TrainJson = Annotated[Path | None, typer.Option(help="COCO file to train on.", show_default=False)]
ValJson = Annotated[Path | None, typer.Option(help="COCO file to select by.", show_default=False)]
TestJson = Annotated[Path | None, typer.Option(help="COCO file to report.", show_default=False)]
Images = Annotated[Path | None, typer.Option(help="Only images in or below it.", show_default=False)]
TrainImages = Annotated[Path | None, typer.Option(help="The same, to train.", show_default=False)]
ValImages = Annotated[Path | None, typer.Option(help="The same, to select.", show_default=False)]
TestImages = Annotated[Path | None, typer.Option(help="The same, to report.", show_default=False)]
Encoding = Annotated[str | None, typer.Option(help="Of XML files that declare none.", show_default=False)]


def chosen(
    layout: str | None, files: Mapping[str, Path | None], folders: Mapping[str, Path | None], encoding: str | None
) -> Choice:
    """Return what the options say.

    Args:
        layout: of ``--format``.
        files: of ``--train-json`` and the like, by split.
        folders: of ``--train-images`` and the like, by split; ``--images`` under ``""``.
        encoding: of ``--encoding``.

    Raises:
        ConfigError: the format is unknown.
    """
    from detkds_gp.data.discover import Choice
    from detkds_gp.data.formats import LAYOUTS
    from detkds_gp.errors import ConfigError

    if layout not in (None, *LAYOUTS):
        raise ConfigError(f"--format got {layout!r}, wanted {', '.join(LAYOUTS)}")
    json, images = ({split: path for split, path in paths.items() if path is not None} for paths in (files, folders))
    return Choice(layout, json, images, encoding)
