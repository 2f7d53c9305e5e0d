"""`gp_search tune`: the weight of one loss on a pair, by a few short trainings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from detkds_gp.cli.options import OPTIONS_FLAG, parse_options


def tune(
    config: Annotated[str, typer.Argument(help="Config file of a search.", show_default=False)],
    distiller: Annotated[
        str, typer.Option(help="Published name, formula, JSON file or work directory.", show_default=False)
    ],
    budget: Annotated[
        str | None, typer.Option(help="Trainings (default: 12), or wall time: 20m.", show_default=False)
    ] = None,
    work_dir: Annotated[
        Path | None, typer.Option(help="Default: work_dirs/<config name>-tune/<distiller>.", show_default=False)
    ] = None,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print the result only.")] = False,
) -> None:
    """Find the weight of a loss by a few short trainings; called again after a stop, go on."""
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.cli.live import watching
    from detkds_gp.cli.tables import print_json
    from detkds_gp.config import load_config
    from detkds_gp.naming import read_distiller
    from detkds_gp.tuning import tune as tuned

    options = parse_options(cfg_options or []) | ({} if budget is None else {"budget": budget})
    settings = load_config(config, options)
    named = read_distiller(distiller, settings, bare=None)
    folder = work_dir or Path("work_dirs") / f"{Path(config).stem}-tune" / named.name
    console = Console()
    with watching(console, quiet or json, settings.execution.workers) as listener:
        told = tuned(settings, named, folder, listener).to_json()
    if json:
        print_json(told)
    else:
        _print(console, told, config, cfg_options or [])


def _print(console: Console, told: Mapping[str, Any], config: str, options: Sequence[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{escape(told['name'])}: AP on the selection split, after {told['trainings']} trainings")
    table.add_column("weight", justify="right")
    table.add_column("one training", justify="right")
    table.add_column("expected [95%]", justify="right")
    table.add_column("")
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
    line = shlex.join(["gp_search", "train", config, "--distiller", told["distiller"], *given])
    console.print(line, soft_wrap=True, markup=False, highlight=False)
