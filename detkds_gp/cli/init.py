"""`gp_search init`: a first config for one's own data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from detkds_gp.cli.output import check_writable


def init(
    student: Annotated[str, typer.Option(help="Its mmdet config: a path or mmdet::...", show_default=False)],
    teacher: Annotated[str, typer.Option(help="The same.", show_default=False)],
    data: Annotated[Path, typer.Option(help="A folder of COCO or VOC annotations.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", help="The file to write.")] = Path("search.py"),
    teacher_checkpoint: Annotated[
        str | None, typer.Option(help="Default: the tool trains the teacher.", show_default=False)
    ] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="Start without pretrained backbones.")] = False,
) -> None:
    """Write a search's config: classes from the data, sizes from the machine."""
    from detkds_gp.environment import check_environment
    from detkds_gp.errors import ConfigError

    if os.path.exists(output):
        raise ConfigError(f"{output} is there already; give another file with -o")
    if teacher_checkpoint is not None and not os.path.isfile(teacher_checkpoint):
        raise ConfigError(
            f"--teacher-checkpoint got {teacher_checkpoint!r}, no such file; give a path, or leave it out"
        )
    check_writable(output)
    check_environment()
    from detkds_gp.data.summary import summarize
    from detkds_gp.experiment import load_config
    from detkds_gp.experiment.config.starter import Pair, data_in, starter_config, this_machine
    from detkds_gp.experiment.prepare import load_data

    found = data_in(data, output.parent / f"{output.stem}-data")
    pair = Pair(student, teacher, teacher_checkpoint, scratch)
    text = starter_config(pair, found, this_machine())
    output.write_text(text)
    try:
        splits = load_data(load_config(output).data)
    except Exception:
        output.unlink()
        raise
    files = ", ".join(f"{name} {split.ann_file}" for name, split in found.splits.items())
    print(f"{output}: {len(found.classes)} classes ({', '.join(found.classes[:8])}); {files}")
    for line in summarize(splits).lines():
        print(line)
    print(f"next: gp_search check {output}")
