"""`gp_search calibrate`: which short training ranks formulas as a long one does."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from detkds_gp.cli.options import OPTIONS_FLAG, parse_options

if TYPE_CHECKING:
    from detkds_gp.ranking import Agreement

TABLE, PLOT = "table.json", "agreement.png"


def calibrate(
    config: Annotated[str, typer.Argument(help="Config file.", show_default=False)],
    formulas: Annotated[int, typer.Option(help="How many are sampled.", min=5)] = 40,
    iterations: Annotated[str, typer.Option(help="Budgets, rising; all are held against the last, on other seeds.")] = (
        "50,100,200,400"
    ),
    starts: Annotated[str, typer.Option(help="Values of proxy.start; all are held against the first.")] = (
        "config,half_trained"
    ),
    repeats: Annotated[int, typer.Option(help="Other seeds of the last budget; their mean is the truth.", min=1)] = 1,
    threshold: Annotated[
        float, typer.Option(help="Recommend from this share of the last budget's own tau on.", min=0, max=1)
    ] = 0.8,
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/<config name>-calibrate.")] = None,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
    quiet: Annotated[bool, typer.Option(help="Print the result only.")] = False,
) -> None:
    """Train a sample of formulas on several budgets; say which cheap one ranks them as the longest does."""
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.cli.live import watching
    from detkds_gp.experiment import load_config
    from detkds_gp.experiment.proxy_study import Study, options, run_study
    from detkds_gp.ranking import recommended
    from detkds_gp.report.agreement import draw_agreement

    checked = load_config(config, parse_options(cfg_options or []))
    folder = work_dir or Path("work_dirs") / f"{Path(config).stem}-calibrate"
    study = Study(formulas, iterations=tuple(_numbers(iterations)), starts=tuple(starts.split(",")), repeats=repeats)
    console = Console()
    with watching(console, quiet) as listener:
        table = run_study(checked, study, folder, listener)
    agreements = table.agreements(continued=not checked.proxy.decay)
    (folder / TABLE).write_text(json.dumps(table.to_json(), indent=1), encoding="utf-8")
    draw_agreement(agreements, folder / PLOT)
    print_agreements(console, agreements)
    best = recommended(agreements, threshold)
    if best is None:
        console.print(
            "even the longest training does not rank formulas alike on two seeds: train longer or on more images"
        )
    else:
        chosen = shlex.join(f"{key}={value}" for key, value in options(best.start, best.iterations).items())
        console.print(f"recommended: --cfg-options {chosen}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"{folder / TABLE} holds all scores, {folder / PLOT} the plot", soft_wrap=True, highlight=False)


def _numbers(text: str) -> list[int]:
    from detkds_gp.errors import ConfigError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--iterations is {text!r}, wanted numbers and commas, such as 50,100,200") from None


def print_agreements(console: Console, agreements: Sequence[Agreement]) -> None:
    """Print how every budget of every start ranks formulas."""
    from detkds_gp.ranking import ceiling

    most = ceiling(agreements)
    others = "another seed" if most.repeats == 1 else f"the mean of {most.repeats} other seeds"
    table = Table(title=f"ranking of formulas against {most.iterations} iterations from start {most.start!r}, {others}")
    for column in (
        "start",
        "iterations",
        "Kendall tau [95% interval]",
        "to own longest, same seed",
        "better",
        "seconds",
    ):
        table.add_column(column, justify="left" if column == "start" else "right")
    for a in agreements:
        tau = f"{a.tau:+.2f} \\[{a.low:+.2f}, {a.high:+.2f}]"
        table.add_row(a.start, str(a.iterations), tau, f"{a.own_tau:+.2f}", f"{a.better:.0%}", f"{a.seconds:.1f}")
    console.print(table)
    counts = {a.formulas for a in agreements}
    console.print(f"{most.iterations} iterations from {most.start!r} agree so with themselves: near that is as good")
    console.print(f"{min(counts)} to {max(counts)} formulas ranked; better: share above the student alone")
