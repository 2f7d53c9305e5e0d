"""`gp_search init`: a first config for one's own data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detkds_gp.cli.options import check_writable, reads_folder

if TYPE_CHECKING:
    from detkds_gp.data.discover import Choice

SHOWN = 8
"""How many classes are named."""


@reads_folder
def init(
    student: Annotated[str, typer.Option(help="Its mmdet config: a path or mmdet::...")],
    teacher: Annotated[str, typer.Option(help="The same.")],
    data: Annotated[Path, typer.Option(help="A folder of COCO, VOC or YOLO annotations.")],
    choice: Choice,
    output: Annotated[Path, typer.Option("-o", help="The file to write.")] = Path("search.py"),
    teacher_checkpoint: Annotated[str | None, typer.Option(help="Default: the tool trains the teacher.")] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="Start without pretrained backbones.")] = False,
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
    from detkds_gp.config.starter import Pair, check_configs, starter_config, this_machine
    from detkds_gp.data.formats import data_in
    from detkds_gp.data.summary import summarize
    from detkds_gp.setup.prepare import read_checked

    pair = Pair(student, teacher, teacher_checkpoint, scratch)
    check_configs(pair)
    found = data_in(data, output.parent / f"{output.stem}-data", choice)
    splits = read_checked(found.sources)
    classes = splits["train"].classes
    output.write_text(starter_config(pair, found, splits["train"], this_machine()))
    taken = ", ".join(f"{name} {split.ann_file}" for name, split in found.splits.items())
    named = ", ".join(classes[:SHOWN]) + (f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else "")
    print(f"{output}: {len(classes)} class{'es' if len(classes) > 1 else ''} ({named}); {taken}")
    for line in (*(f"  {note}" for note in found.notes), *summarize(splits).lines()):
        print(line)
    print(f"next: gp_search check {output}")
