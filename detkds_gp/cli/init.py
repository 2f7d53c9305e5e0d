"""`gp_search init`: a first config for one's own data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from detkds_gp.cli.output import check_writable

SHOWN = 8
"""How many classes are named."""


def init(
    student: Annotated[str, typer.Option(help="Its mmdet config: a path or mmdet::...", show_default=False)],
    teacher: Annotated[str, typer.Option(help="The same.", show_default=False)],
    data: Annotated[Path, typer.Option(help="A folder of COCO, VOC or YOLO annotations.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", help="The file to write.")] = Path("search.py"),
    teacher_checkpoint: Annotated[
        str | None, typer.Option(help="Default: the tool trains the teacher.", show_default=False)
    ] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="Start without pretrained backbones.")] = False,
    layout: Annotated[
        str | None, typer.Option("--format", help="coco, voc or yolo, where DATA holds several.", show_default=False)
    ] = None,
    train_json: Annotated[Path | None, typer.Option(help="COCO file to train on.", show_default=False)] = None,
    val_json: Annotated[Path | None, typer.Option(help="COCO file to select by.", show_default=False)] = None,
    test_json: Annotated[Path | None, typer.Option(help="COCO file to report.", show_default=False)] = None,
    images: Annotated[Path | None, typer.Option(help="Only images in or below it.", show_default=False)] = None,
    train_images: Annotated[Path | None, typer.Option(help="The same, to train.", show_default=False)] = None,
    val_images: Annotated[Path | None, typer.Option(help="The same, to select.", show_default=False)] = None,
    test_images: Annotated[Path | None, typer.Option(help="The same, to report.", show_default=False)] = None,
    encoding: Annotated[str | None, typer.Option(help="Of XML files that declare none.", show_default=False)] = None,
) -> None:
    """Write a search's config: classes from the data, sizes from the machine."""
    from detkds_gp.environment import check_environment
    from detkds_gp.errors import ConfigError

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
    from detkds_gp.data.discover import Choice
    from detkds_gp.data.formats import LAYOUTS, data_in
    from detkds_gp.data.summary import summarize
    from detkds_gp.experiment.config.starter import Pair, check_configs, starter_config, this_machine
    from detkds_gp.experiment.prepare import read_checked

    if layout not in (None, *LAYOUTS):
        raise ConfigError(f"--format got {layout!r}, wanted {', '.join(LAYOUTS)}")
    pair = Pair(student, teacher, teacher_checkpoint, scratch)
    check_configs(pair)
    files = {"train": train_json, "val": val_json, "test": test_json}
    folders = {"": images, "train": train_images, "val": val_images, "test": test_images}
    found = data_in(
        data,
        output.parent / f"{output.stem}-data",
        Choice(
            layout,
            {split: path for split, path in files.items() if path is not None},
            {split: path for split, path in folders.items() if path is not None},
            encoding,
        ),
    )
    splits = read_checked(found.sources)
    classes = splits["train"].classes
    output.write_text(starter_config(pair, found, splits["train"], this_machine()))
    taken = ", ".join(f"{name} {split.ann_file}" for name, split in found.splits.items())
    named = ", ".join(classes[:SHOWN]) + (f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else "")
    print(f"{output}: {len(classes)} class{'es' if len(classes) > 1 else ''} ({named}); {taken}")
    for line in (*(f"  {note}" for note in found.notes), *summarize(splits).lines()):
        print(line)
    print(f"next: gp_search check {output}")
