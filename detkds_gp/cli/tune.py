"""`gp_search tune`: the weight of one loss on a pair, by a few short trainings."""

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
        _print(console, told, config, cfg_options or [])


def _print(console: Console, told: Mapping[str, Any], config: str, options: Sequence[str]) -> None:
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
