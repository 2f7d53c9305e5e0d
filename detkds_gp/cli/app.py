"""`gp_search`: parse, call, print. Exit codes: 0; 2 for the user's mistake; 1 for ours; 130 after Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from detkds_gp.cli.check import check
from detkds_gp.cli.data import data_app, init
from detkds_gp.cli.export import export, weights
from detkds_gp.cli.formulas import lint, primitives, zoo
from detkds_gp.cli.options import (
    AsJson,
    CfgOptions,
    ConfigFile,
    New,
    Quiet,
    SearchDir,
    SetName,
    WorkDir,
    Workers,
    read_config,
    spread_options,
)
from detkds_gp.cli.output import print_json, say
from detkds_gp.cli.proxy import proxy
from detkds_gp.cli.report import compare, dash, explain, report, report_of_run
from detkds_gp.cli.steer import inject, status, stop, store_app, verify
from detkds_gp.cli.train import train, tune
from detkds_gp.errors import UserError

BEGAN = time.time()
"""When the program started: a budget counts from here, the imports included."""

INTERRUPTED = 130
"""Exit code after Ctrl-C; typer ends the program with it."""

app = typer.Typer(
    help="Search for knowledge-distillation losses of object detectors by genetic programming.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")


@app.command()
def run(
    config: ConfigFile,
    work_dir: SearchDir = None,
    cfg_options: CfgOptions = None,
    executor: Annotated[str | None, typer.Option(help="local, serial, ray or module:NAME.")] = None,
    workers: Workers = None,
    budget: Annotated[str | None, typer.Option(help="200 (evaluations), 8h or 12gpuh.")] = None,
    warm_start: Annotated[
        list[str] | None, typer.Option(help="zoo, a name of it, a JSON file, a work directory, a formula; repeat.")
    ] = None,
    new: New = False,
    quiet: Quiet = False,
) -> None:
    """Search for a distiller; called again after a stop, continue."""
    given = {"execution.executor": executor, "execution.workers": workers, "budget": budget}
    settings = read_config(config, cfg_options, given)
    from detkds_gp.cli.live import watching
    from detkds_gp.cli.tables import print_result
    from detkds_gp.naming import with_warm_start
    from detkds_gp.run import Experiment

    settings = with_warm_start(settings, warm_start or [])
    folder = work_dir or Path("work_dirs") / Path(config).stem
    if new:
        folder = _anew(folder)
    experiment = Experiment(settings, folder)
    console = Console()
    with watching(console, quiet, settings.execution.workers) as listener:
        outcome = experiment.run(listener, BEGAN)
    print_result(console, outcome.summary, outcome.work_dir)
    report_of_run(console, outcome.work_dir)


@app.command()
def quickstart(
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/quickstart.")] = None,
    cfg_options: CfgOptions = None,
    workers: Workers = None,
    new: New = False,
    quiet: Quiet = False,
) -> None:
    """Search a first distiller, on handwritten digits: minutes on two CPU cores; called again, continue."""
    from importlib.resources import files

    config = str(files("detkds_gp.configs") / "quickstart.py")
    run(config, work_dir=work_dir, cfg_options=cfg_options, workers=workers, new=new, quiet=quiet)


def _anew(work_dir: Path) -> Path:
    """Make a numbered sibling, and let the command that continues name it."""
    from detkds_gp.setup.siblings import new_sibling

    sibling = new_sibling(work_dir)
    sys.argv = [argument for argument in sys.argv if argument != "--new"] + ["--work-dir", str(sibling)]
    return sibling


@app.command()
def show(
    work_dir: WorkDir,
    top: Annotated[int, typer.Option(help="How many distillers to list.", min=1)] = 5,
    json: AsJson = False,
    primitive_set: SetName = None,
) -> None:
    """Show what a run has found, finished or not."""
    from detkds_gp.cli.tables import print_ranking, print_result
    from detkds_gp.results import opened

    with opened(work_dir, primitive_set) as summary:
        if json:
            print_json(summary.to_json())
        else:
            print_result(Console(), summary.to_json(), work_dir)
            print_ranking(Console(), summary.ranking()[:top])
            rejections = list(summary.rejections().items())[:top]
            say(Console(), *(f"not trained: {formula}: {why}" for formula, why in rejections))


for _each in (
    *(export, weights, init, train, tune, zoo, primitives, lint, proxy, check),
    *(status, stop, inject, verify, report, dash, compare, explain),
):
    app.command()(_each)


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        app(spread_options(sys.argv[1:]))
    except UserError as error:
        errors.print(f"[red]error:[/red] {escape(' '.join(str(error).splitlines()))}")
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        errors.print(f"stopped; nothing that was finished is lost. Continue with: {_command()}")
        sys.exit(INTERRUPTED)
    except Exception:
        errors.print_exception()
        errors.print(f"[red]This is a fault of detkds_gp, not yours.[/red] The command was: {_command()}")
        sys.exit(1)


def _command() -> str:
    """Return the command line, for rich to print; `_anew` may have changed it."""
    return escape(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
