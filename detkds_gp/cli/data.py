"""`gp_search data`: make or convert data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(help="Make or convert data sets.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder to write.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Fixes the splits, where the folder has none.")]


@data_app.command()
def digits(
    output: Output,
    train: Annotated[int, typer.Option(help="Training scenes.")] = 240,
    selection: Annotated[int, typer.Option(help="Selection scenes.")] = 100,
    test: Annotated[int, typer.Option(help="Test scenes.")] = 150,
    size: Annotated[int, typer.Option(help="Side of a scene in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Fixes every scene.")] = 0,
) -> None:
    """Generate scenes of handwritten digits, in COCO format."""
    from detkds_gp.data.digits import make_digits

    path = make_digits(output, seed=seed, train=train, selection=selection, test=test, size=size)
    print(f"{path}: {train} train, {selection} selection, {test} test scenes of {size}x{size} pixels")


@data_app.command()
def voc(
    source: Annotated[Path, typer.Argument(help="A Pascal-VOC folder.", show_default=False)],
    output: Output,
    seed: Seed = 0,
    images: Annotated[Path | None, typer.Option(help="Only images in or below it.", show_default=False)] = None,
    encoding: Annotated[str | None, typer.Option(help="Of XML files that declare none.", show_default=False)] = None,
) -> None:
    """Convert a Pascal-VOC folder to COCO format with train, selection and test splits."""
    from detkds_gp.data.voc import convert_voc

    print(f"{output}: {convert_voc(source, output, seed=seed, images=images, encoding=encoding)}")


@data_app.command()
def yolo(
    source: Annotated[Path, typer.Argument(help="A folder in YOLO format, or its data.yaml.", show_default=False)],
    output: Output,
    seed: Seed = 0,
) -> None:
    """Convert a folder in YOLO format to COCO format with train, selection and test splits."""
    from detkds_gp.data.yolo import convert_yolo

    print(f"{output}: {convert_yolo(source, output, seed=seed)}")
