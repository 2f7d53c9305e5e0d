"""`gp_search proxy`: which short training finds the best formula in the time there is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from detkds_gp.cli.options import CfgOptions, ConfigFile, Quiet, read_config
from detkds_gp.cli.output import number_table, say
from detkds_gp.errors import ConfigError

if TYPE_CHECKING:
    from detkds_gp.ranking import Agreement

TABLE, PLOT = "table.json", "agreement.png"


def proxy(
    config: ConfigFile,
    formulas: Annotated[int, typer.Option(help="How many are sampled.", min=5)] = 40,
    iterations: Annotated[str, typer.Option(help="Budgets, rising; all are held against the last, on other seeds.")] = (
        "50,100,200,400"
    ),
    starts: Annotated[str, typer.Option(help="Values of proxy.start.")] = "config",
    averages: Annotated[str, typer.Option(help="Values of proxy.average; 0: last weights.")] = "0.97,0",
    decays: Annotated[str, typer.Option(help="Values of proxy.decay; all is held against the first of each.")] = "0",
    repeats: Annotated[int, typer.Option(help="Other seeds of the last budget; their mean is the truth.", min=1)] = 1,
    end: Annotated[
        int,
        typer.Option(help="Train 12 of the sample so long, to their end, too; slow, the price is told first.", min=0),
    ] = 0,
    minutes: Annotated[float, typer.Option(help="That a search has; workers share them.", min=1)] = 60.0,
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/<config name>-proxy.")] = None,
    cfg_options: CfgOptions = None,
    quiet: Quiet = False,
) -> None:
    """Train a sample of formulas and mixes on several budgets; say which one finds the best in the time there is."""
    checked = read_config(config, cfg_options)
    from detkds_gp.cli.live import watching
    from detkds_gp.ranking import Way, recommended
    from detkds_gp.report.agreement import draw_agreement
    from detkds_gp.run.proxy_study import Study, options, run_study

    folder = work_dir or Path("work_dirs") / f"{Path(config).stem}-proxy"
    parts = starts.split(","), _numbers("decays", decays, float), _numbers("averages", averages, float)
    ways = tuple(Way(*way) for way in product(*parts))
    budgets = tuple(_numbers("iterations", iterations, int))
    study = Study(formulas, iterations=budgets, ways=ways, repeats=repeats, end=end)
    console = Console()
    with watching(console, quiet) as listener:
        table = run_study(checked, study, folder, listener)
    agreements = table.agreements(minutes * checked.execution.workers)
    (folder / TABLE).write_text(json.dumps(table.to_json(), indent=1), encoding="utf-8")
    draw_agreement(agreements, folder / PLOT)
    print_agreements(console, agreements)
    best = recommended(agreements)
    if best is None:
        console.print("no budget ranks formulas better than luck does: train longer or on more images")
    else:
        chosen = shlex.join(f"{key}={value}" for key, value in options(best.way, best.iterations).items())
        say(
            console,
            f"recommended: --cfg-options {chosen}",
            f"of what scores best in {minutes:g} minutes a true AP of {best.expected:.3f} is to be expected",
            _seeds(best),
        )
    say(console, f"{folder / TABLE} holds all scores, {folder / PLOT} the plot")


def _numbers(name: str, text: str, number: Callable[[str], Any]) -> list[Any]:
    try:
        return [number(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{name} is {text!r}, wanted numbers and commas, such as 50,100,200") from None


def _seeds(best: Agreement) -> str:
    """Say on how many seeds a formula is best trained, as far as luck is known."""
    if best.seeds is None:
        return "how many seeds a formula is worth is not known: this way was trained on one"
    if best.seeds == 1:
        return "one seed a formula: more formulas bring more than more seeds"
    return f"{best.seeds} seeds a formula would bring {best.more:+.3f}; a search trains one: prefer a longer budget"


def print_agreements(console: Console, agreements: Sequence[Agreement]) -> None:
    """Print how every budget of every way ranks formulas."""
    from detkds_gp.ranking import ceiling

    most = ceiling(agreements)
    others = "another seed" if most.repeats == 1 else f"the mean of {most.repeats} other seeds"
    columns = ["way", "iterations", "Kendall tau [95% interval]", "to own longest, same seed", "better", "seconds"]
    columns += ["best", "seeds", *(["tau to the end"] if most.end_tau else [])]
    title = f"ranking of formulas against {most.iterations} iterations ({most.way}), {others}"
    table = number_table(title, columns, left=("way",))
    for a in agreements:
        tau = f"{a.tau:+.2f} \\[{a.low:+.2f}, {a.high:+.2f}]"
        told = f"{a.own_tau:+.2f}", f"{a.better:.0%}", f"{a.seconds:.1f}", f"{a.expected:.3f}"
        end = ["{:+.2f} \\[{:+.2f}, {:+.2f}]".format(*a.end_tau)] if a.end_tau else []
        table.add_row(str(a.way), str(a.iterations), tau, *told, "" if a.seeds is None else str(a.seeds), *end)
    console.print(table)
    counts = {a.formulas for a in agreements}
    console.print(f"{most.iterations} iterations, {most.way}, agree so with themselves: near that is as good")
    console.print(f"{min(counts)} to {max(counts)} formulas ranked; better: share above the student alone;", end=" ")
    console.print(
        "best: true AP to expect of what scores best in the time there is; seeds: that a formula is worth in it"
    )
