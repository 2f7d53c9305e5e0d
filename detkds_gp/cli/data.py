"""`gp_search data`: make or convert data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from detkds_gp.cli.options import AsJson, Encoding, OnlyImages, check_writable, reads_folder
from detkds_gp.cli.output import number_table, print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from detkds_gp.data.discover import Choice
    from detkds_gp.data.split import CocoSplit
    from detkds_gp.data.summary import DataSummary

data_app = typer.Typer(help="Make or convert data sets.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")]
Seed = Annotated[int, typer.Option(help="Fixes the splits, where the folder has none.")]
COLOURS = {"mended": "green", "warning": "yellow", "refused": "red"}


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
    source: Annotated[Path, typer.Argument(help="A Pascal-VOC folder.")],
    output: Output,
    seed: Seed = 0,
    images: OnlyImages = None,
    encoding: Encoding = None,
) -> None:
    """Convert a Pascal-VOC folder to COCO format with train, selection and test splits."""
    from detkds_gp.data.voc import convert_voc

    print(f"{output}: {convert_voc(source, output, seed=seed, images=images, encoding=encoding)}")


@data_app.command()
def yolo(
    source: Annotated[Path, typer.Argument(help="A folder in YOLO format, or its data.yaml.")],
    output: Output,
    seed: Seed = 0,
) -> None:
    """Convert a folder in YOLO format to COCO format with train, selection and test splits."""
    from detkds_gp.data.yolo import convert_yolo

    print(f"{output}: {convert_yolo(source, output, seed=seed)}")


@data_app.command()
@reads_folder
def check(
    source: Annotated[Path, typer.Argument(help="A data set's folder, or the config of a search.")],
    choice: Choice,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="PNG of a dozen images with their boxes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a data set holds, what of it is learned, and what looks wrong."""
    from detkds_gp.data.summary import summarize

    if output is not None:
        check_writable(output)
    with TemporaryDirectory() as converted:
        splits, notes = _splits(source, Path(converted) / "data", choice)
        summary = summarize(splits)
        if output is not None:
            from detkds_gp.data.contact_sheet import write_sheet

            write_sheet(splits, output)
    if as_json:
        print_json({"notes": notes, **summary.to_json()})
    else:
        say(Console(), *notes)
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


def print_data(console: Console, summary: DataSummary) -> None:
    """Print what each split holds, how large its objects and images are, and what was found."""
    for table in (_counts(summary), _classes(summary), _sizes(summary)):
        console.print(table)
    for names, finding in summary.told():
        place = f" in {names}" if names else ""
        head = f"[{COLOURS[finding.level]}]{finding.level}{place}:[/]"
        console.print(f"{head} {escape(str(finding))}", soft_wrap=True, highlight=False)


def _counts(summary: DataSummary) -> Table:
    from detkds_gp.data.summary import REASONS

    splits = summary.splits
    reasons = [reason for reason in REASONS if any(reason in split.not_learned for split in splits.values())]
    columns = ("", "images", "without an object", "annotations", "learned", *(REASONS[reason] for reason in reasons))
    rows = {
        name: (one.images, one.background, one.annotations, one.learned, *(one.not_learned.get(r, 0) for r in reasons))
        for name, one in splits.items()
    }
    return number_table("annotations", columns, ((name, *(f"{n:,}" for n in row)) for name, row in rows.items()))


def _classes(summary: DataSummary) -> Table:
    splits = summary.splits
    rows = ((escape(name), *(f"{one.by_class[name]:,}" for one in splits.values())) for name in summary.classes)
    return number_table("objects to learn, by class", ("class", *splits), rows, left=("class",))


def _sizes(summary: DataSummary) -> Table:
    from detkds_gp.data.summary import QUANTILES

    table = number_table("sizes in pixels", ("", "of", *QUANTILES), left=("", "of"))
    table.caption = "of objects: the square root of width x height"
    for name, split in summary.splits.items():
        parts = {"objects": split.object_sizes, "width": split.image_widths, "height": split.image_heights}
        for part, values in parts.items():
            table.add_row(name, part, *(f"{values[q]:g}" if values else "" for q in QUANTILES))
    return table
