"""`gp_search data`, `init`: data sets made, converted and looked at; a first config for one's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from detkds_gp.cli.options import AsJson, Encoding, OnlyImages, check_writable, reads_folder
from detkds_gp.cli.output import number_table, print_json, say
from detkds_gp.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from detkds_gp.data.discover import Choice
    from detkds_gp.data.split import CocoSplit
    from detkds_gp.data.summary import DataSummary

data_app = typer.Typer(help="Make or convert data sets.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")]
Seed = Annotated[int, typer.Option(help="Fixes the splits, where the folder has none.")]
SHOWN = 8
"""How many classes `init` names."""
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
    choice: Callable[[], Choice],
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
        splits, notes = _splits(source, Path(converted) / "data", choice())
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

    rows = []
    for name, one in summary.splits.items():
        parts = {"objects": one.object_sizes, "width": one.image_widths, "height": one.image_heights}
        for part, found in parts.items():
            rows.append((name, part, *(f"{found[q]:g}" if found else "" for q in QUANTILES)))
    table = number_table("sizes in pixels", ("", "of", *QUANTILES), rows, left=("", "of"))
    table.caption = "of objects: the square root of width x height"
    return table


@reads_folder
def init(
    student: Annotated[str, typer.Option(help="Its mmdet config: a path or mmdet::...")],
    teacher: Annotated[str, typer.Option(help="The same.")],
    data: Annotated[Path, typer.Option(help="A folder of COCO, VOC or YOLO annotations.")],
    choice: Callable[[], Choice],
    output: Annotated[Path, typer.Option("-o", help="The file to write.")] = Path("search.py"),
    teacher_checkpoint: Annotated[str | None, typer.Option(help="Default: the tool trains the teacher.")] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="Start without pretrained backbones.")] = False,
) -> None:
    """Write a search's config: classes from the data, sizes from the machine."""
    from detkds_gp.environment import check_environment

    if output.suffix != ".py":
        raise ConfigError(f"-o got {str(output)!r}, wanted a name that ends in .py: a config is Python")
    if os.path.exists(output):
        raise ConfigError(f"{output} is there already; give another file with -o")
    if teacher_checkpoint is not None and not os.path.isfile(teacher_checkpoint):
        raise ConfigError(
            f"--teacher-checkpoint got {teacher_checkpoint!r}, no such file; give a path, or leave it out"
        )
    check_writable(output)
    check_environment()
    from detkds_gp.config.starter import Pair, check_configs, starter_config, this_machine
    from detkds_gp.data.formats import data_in
    from detkds_gp.data.summary import summarize
    from detkds_gp.setup.prepare import read_checked

    pair, chosen = Pair(student, teacher, teacher_checkpoint, scratch), choice()
    check_configs(pair)
    found = data_in(data, output.parent / f"{output.stem}-data", chosen)
    splits = read_checked(found.sources)
    classes = splits["train"].classes
    output.write_text(starter_config(pair, found, splits["train"], this_machine()))
    taken = ", ".join(f"{name} {split.ann_file}" for name, split in found.splits.items())
    named = ", ".join(classes[:SHOWN]) + (f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else "")
    print(f"{output}: {len(classes)} class{'es' if len(classes) > 1 else ''} ({named}); {taken}")
    for line in (*(f"  {note}" for note in found.notes), *summarize(splits).lines()):
        print(line)
    print(f"next: gp_search check {output}")
