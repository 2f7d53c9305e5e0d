"""`gp_search train`: the real student under a distiller, from its own mmdet config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from detkds_gp.cli.options import OPTIONS_FLAG, parse_options


def train(
    config: Annotated[str, typer.Argument(help="Config file of a search.", show_default=False)],
    distiller: Annotated[
        str, typer.Option(help="Published name, formula, JSON file, work directory, or none.", show_default=False)
    ],
    work_dir: Annotated[
        Path | None, typer.Option(help="Default: work_dirs/<config name>-train/<distiller>-<seed>.", show_default=False)
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Steps; default: the student's own schedule.", show_default=False)
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of the initial student, batches and augmentation.", min=0, max=2**32 - 1)
    ] = 0,
    amp: Annotated[bool, typer.Option("--amp", help="Mixed precision, on a GPU.")] = False,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
) -> None:
    """Train the real student under a distiller; called again after a stop, go on. Runs under torchrun."""
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.cli.live import PlainListener
    from detkds_gp.cli.training_table import print_training
    from detkds_gp.config import load_config
    from detkds_gp.errors import StoreError
    from detkds_gp.full_training import FullTraining, compared_with, run_full_training, write_trainings_page
    from detkds_gp.naming import read_distiller
    from detkds_gp.training import processes

    options = parse_options(cfg_options or [])
    if iterations is not None:
        options["full_training.iterations"] = iterations
    settings = load_config(config, options)
    named = read_distiller(distiller, settings)
    folder = work_dir or Path("work_dirs") / f"{Path(config).stem}-train" / f"{named.name}-{seed}"
    with processes() as first:
        told = run_full_training(FullTraining(settings, named, folder, seed, amp), PlainListener(Console()))
        if first:
            console = Console()
            print_training(console, told, compared_with(told, folder.parent), folder)
            try:
                where = f"all of them: {write_trainings_page(told, folder.parent)} (open it in a browser)"
            except StoreError as error:  # the training itself is safe
                where = f"no page: {error}"
            console.print(where, soft_wrap=True, highlight=False, markup=False)
