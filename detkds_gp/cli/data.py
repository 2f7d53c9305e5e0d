"""`gp_search data`: make or convert data sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from detkds_gp.cli.data_options import (
    Encoding,
    Images,
    Layout,
    TestImages,
    TestJson,
    TrainImages,
    TrainJson,
    ValImages,
    ValJson,
    chosen,
)

if TYPE_CHECKING:
    from detkds_gp.data.discover import Choice
    from detkds_gp.data.split import CocoSplit

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


@data_app.command()
def check(
    source: Annotated[Path, typer.Argument(help="A data set's folder, or the config of a search.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="PNG of a dozen images with their boxes.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    layout: Layout = None,
    train_json: TrainJson = None,
    val_json: ValJson = None,
    test_json: TestJson = None,
    images: Images = None,
    train_images: TrainImages = None,
    val_images: ValImages = None,
    test_images: TestImages = None,
    encoding: Encoding = None,
) -> None:
    """Tell what a data set holds, what of it is learned, and what looks wrong."""
    from detkds_gp.cli.data_tables import print_data, print_notes
    from detkds_gp.cli.output import check_writable
    from detkds_gp.data.summary import summarize

    if output is not None:
        check_writable(output)
    files = {"train": train_json, "val": val_json, "test": test_json}
    folders = {"": images, "train": train_images, "val": val_images, "test": test_images}
    choice = chosen(layout, files, folders, encoding)
    with TemporaryDirectory() as converted:
        splits, notes = _splits(source, Path(converted) / "data", choice)
        summary = summarize(splits)
        if output is not None:
            from detkds_gp.data.contact_sheet import write_sheet

            write_sheet(splits, output)
    if as_json:
        print(json.dumps({"notes": notes, **summary.to_json()}, indent=2))
    else:
        print_notes(Console(), notes)
        print_data(Console(), summary)
        if output is not None:
            print(f"{output}: images of each split with their boxes; look whether the boxes are on their objects")
    if summary.refused:
        raise typer.Exit(2)


def _splits(source: Path, converted: Path, choice: Choice) -> tuple[dict[str, CocoSplit], Sequence[str]]:
    """Read the splits of a config or of a folder, and return what was taken, cut and converted of a folder.

    What is converted from another format is written to ``converted``.
    """
    from detkds_gp.data.coco import read_splits
    from detkds_gp.data.discover import OPEN
    from detkds_gp.data.header_reader import HeaderReader
    from detkds_gp.errors import ConfigError

    with Console(stderr=True).status("reading the headers of the images") as status:
        headers = HeaderReader(
            progress=lambda done, total: status.update(f"read the headers of {done:,} of {total:,} images")
        )
        if source.is_dir() or source.suffix in (".yaml", ".yml"):
            from detkds_gp.data.formats import data_in

            found = data_in(source, converted, choice)
            return read_splits(found.sources, None, headers), found.notes
        if choice != OPEN:
            raise ConfigError(f"{source} is a config, which says itself how its data are read; give a folder")
        from detkds_gp.config import load_config
        from detkds_gp.setup.prepare import read_data

        return read_data(load_config(source).data, headers), ()
