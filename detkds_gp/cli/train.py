"""`gp_search train`: the real student under a distiller, from its own mmdet config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from detkds_gp.cli.options import CfgOptions, SearchConfig, read_config
from detkds_gp.cli.output import number_table, say

COMPARED = {"bbox": "box", "segm": "mask"}
"""What an AP compares, by the name of its metric."""


def train(
    config: SearchConfig,
    distiller: Annotated[str, typer.Option(help="Published name, formula, JSON file, work directory, or none.")],
    work_dir: Annotated[
        Path | None, typer.Option(help="Default: work_dirs/<config name>-train/<distiller>-<seed>.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps; default: the student's own schedule.")] = None,
    seed: Annotated[
        int, typer.Option(help="Of the initial student, batches and augmentation.", min=0, max=2**32 - 1)
    ] = 0,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision, on a GPU.")] = False,
    cfg_options: CfgOptions = None,
) -> None:
    """Train the real student under a distiller; called again after a stop, go on. Runs under torchrun."""
    settings = read_config(config, cfg_options, {"full_training.iterations": iterations})
    from detkds_gp.cli.live import PlainListener
    from detkds_gp.errors import StoreError
    from detkds_gp.full_training import FullTraining, compared_with, run_full_training, write_trainings_page
    from detkds_gp.naming import read_distiller
    from detkds_gp.training import processes

    named = read_distiller(distiller, settings)
    folder = work_dir or Path("work_dirs") / f"{Path(config).stem}-train" / f"{named.name}-{seed}"
    console = Console()
    with processes() as first:
        told = run_full_training(FullTraining(settings, named, folder, seed, amp), PlainListener(console))
        if first:
            print_training(console, told, compared_with(told, folder.parent), folder)
            try:
                say(console, f"all of them: {write_trainings_page(told, folder.parent)} (open it in a browser)")
            except StoreError as error:  # the training itself is safe
                say(console, f"no page: {error}")


def print_training(
    console: Console, told: Mapping[str, Any], others: Sequence[Mapping[str, Any]], work_dir: Path
) -> None:
    """Print the AP on the test split of teacher, student alone and distilled students, best first.

    Args:
        console: where.
        told: the training that has ended.
        others: the same training under other distillers, from `compared_with`.
        work_dir: of the training that has ended.
    """
    from detkds_gp.full_training import share_of_gap
    from detkds_gp.language import NONE
    from detkds_gp.training import STUDENT_FILE

    results = sorted((told, *others), key=lambda one: -one["ap"])
    alone = next((one["ap"] for one in results if one["formula"] == NONE), None)
    teacher = next((one["teacher_ap"] for one in results if one["teacher_ap"] is not None), None)
    table = number_table(f"{COMPARED[told['metric']]} AP on the test split (COCO, 0.50:0.95)", ("", "AP", "gap closed"))
    if teacher is not None:
        table.add_row("teacher", f"{teacher:.3f}", "")
    for one in results:
        who, share = "student alone", None
        if one["formula"] != NONE:
            who = f"student under {one['distiller']}"
            share = None if alone is None or teacher is None else share_of_gap(one["ap"], alone, teacher)
        table.add_row(who, f"{one['ap']:.3f}", "" if share is None else f"{share:.0%}")
    console.print(table)
    if alone is None:
        console.print("to compare, train the student alone: the same command with --distiller none")
    elif teacher is not None and teacher <= alone:
        console.print("the teacher is not better than the student alone: there is no gap to close")
    if alone is not None and len(results) > 1:
        console.print(
            "one training each: seeds may differ by as much; repeat all with --seed 1, --seed 2 ... for an interval",
            soft_wrap=True,
        )
    say(console, f"student: {work_dir / STUDENT_FILE}")
