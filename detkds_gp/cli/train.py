"""`gp_search train`, `tune`: the real student under a distiller, from its own mmdet config; the weight of one loss."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from detkds_gp.cli.options import OPTIONS_FLAG, AsJson, CfgOptions, Quiet, SearchConfig, read_config
from detkds_gp.cli.output import number_table, print_json, say

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

    ``told`` is the training that has ended, in ``work_dir``; ``others`` are from `compared_with`.
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


def tune(
    config: SearchConfig,
    distiller: Annotated[str, typer.Option(help="Published name, formula, JSON file or work directory.")],
    budget: Annotated[str | None, typer.Option(help="Trainings (default: 12), or wall time: 20m.")] = None,
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/<config name>-tune/<distiller>.")] = None,
    cfg_options: CfgOptions = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the weight of a loss by a few short trainings; called again after a stop, go on."""
    settings = read_config(config, cfg_options, {"budget": budget})
    from detkds_gp.cli.live import watching
    from detkds_gp.naming import read_distiller
    from detkds_gp.tuning import tune as tuned

    named = read_distiller(distiller, settings, bare=None)
    folder = work_dir or Path("work_dirs") / f"{Path(config).stem}-tune" / named.name
    console = Console()
    with watching(console, quiet or json, settings.execution.workers) as listener:
        told = tuned(settings, named, folder, listener).to_json()
    if json:
        print_json(told)
    else:
        _print_tuned(console, told, config, cfg_options or [])


def _print_tuned(console: Console, told: Mapping[str, Any], config: str, options: Sequence[str]) -> None:
    table = number_table(
        f"{escape(told['name'])}: AP on the selection split, after {told['trainings']} trainings",
        ("weight", "one training", "expected [95%]", ""),
    )
    marked = {told["given"]: "as given", told["weight"]: "best"}
    for point in told["curve"]:
        measured = "" if point["measured"] is None else f"{point['measured']:.3f}"
        expected = f"{point['ap']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"
        table.add_row(f"{point['weight']:g}", measured, expected, marked.get(point["weight"], ""))
    console.print(table)
    console.print(f"the student alone: {told['alone']:.3f}; weight 1 moves it as strongly as its own loss does")
    if not told["helps"]:
        console.print("at no weight is it told from the student alone: on this pair and length it may not help at all")
    coefficients = ", ".join(f"{coefficient:g} on {name}" for name, coefficient in told["coefficients"].items())
    console.print(f"best weight {told['weight']:g}; as a plain coefficient in any other code: {coefficients}")
    given = [OPTIONS_FLAG, *options] if options else []
    say(console, shlex.join(["gp_search", "train", config, "--distiller", told["distiller"], *given]))
