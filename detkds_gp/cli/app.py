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

from detkds_gp.cli.data import data_app
from detkds_gp.cli.export import export
from detkds_gp.cli.init import init
from detkds_gp.cli.lint import lint
from detkds_gp.cli.options import OPTIONS_FLAG, parse_options, spread_options
from detkds_gp.cli.primitives import primitives
from detkds_gp.cli.proxy import proxy
from detkds_gp.cli.report import COMMANDS as REPORTS
from detkds_gp.cli.report import report_of_run
from detkds_gp.cli.steer import COMMANDS, store_app
from detkds_gp.cli.train import train
from detkds_gp.cli.tune import tune
from detkds_gp.cli.weights import weights
from detkds_gp.cli.zoo import zoo
from detkds_gp.errors import ConfigError, UserError

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

WorkDir = Annotated[Path, typer.Argument(help="A work directory.", show_default=False)]
SetName = Annotated[str | None, typer.Option("--set", help="Primitive set, module:NAME.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="Config file.", show_default=False)],
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/<config name>.", show_default=False)] = None,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
    executor: Annotated[str | None, typer.Option(help="local, serial, ray or module:NAME.", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", show_default=False)] = None,
    budget: Annotated[str | None, typer.Option(help="200 (evaluations), 8h or 12gpuh.", show_default=False)] = None,
    warm_start: Annotated[
        list[str] | None, typer.Option(help="zoo, a name of it, a JSON file, a work directory, a formula; repeat.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Start anew, in a numbered sibling.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print the result only.")] = False,
) -> None:
    """Search for a distiller; called again after a stop, continue."""
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.cli.live import watching
    from detkds_gp.cli.tables import print_result
    from detkds_gp.config import load_config
    from detkds_gp.naming import with_warm_start
    from detkds_gp.run import Experiment

    given = {"execution.executor": executor, "execution.workers": workers, "budget": budget}
    options = parse_options(cfg_options or []) | {key: value for key, value in given.items() if value is not None}
    console = Console()
    checked = with_warm_start(load_config(config, options), warm_start or [])
    folder = work_dir or Path("work_dirs") / Path(config).stem
    if new:
        folder = _anew(folder)
    experiment = Experiment(checked, folder)
    with watching(console, quiet, checked.execution.workers) as listener:
        outcome = experiment.run(listener, BEGAN)
    print_result(console, outcome.summary, outcome.work_dir)
    report_of_run(console, outcome.work_dir)


@app.command()
def quickstart(
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/quickstart.", show_default=False)] = None,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", show_default=False)] = None,
    new: Annotated[bool, typer.Option("--new", help="Start anew, in a numbered sibling.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print the result only.")] = False,
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
    from detkds_gp.cli.tables import print_json, print_ranking, print_rejections, print_result

    with _summary(work_dir, primitive_set) as summary:
        if json:
            print_json(summary.to_json())
        else:
            print_result(Console(), summary.to_json(), work_dir)
            print_ranking(Console(), summary.ranking()[:top])
            print_rejections(Console(), summary.rejections(), top)


app.command()(export)
app.command()(weights)
app.command()(init)
app.command()(train)
app.command()(tune)
app.command()(zoo)


app.command()(primitives)
app.command()(lint)
app.command()(proxy)


@app.command()
def check(
    config: Annotated[str, typer.Argument(help="Config file.", show_default=False)],
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
    random_weights: Annotated[bool, typer.Option(help="Load no weights; nothing is downloaded.")] = False,
    curves: Annotated[
        bool, typer.Option("--curves", help="Train both alone: where they end, what is to gain.")
    ] = False,
    iterations: Annotated[int | None, typer.Option(help="Of the student's curve; default: 6 x the proxy's.")] = None,
    json: AsJson = False,
) -> None:
    """Check a pair before training: what it shares, level by level, and what a step costs; or where it ends."""
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.cli.live import PlainListener
    from detkds_gp.cli.pair_tables import print_pair
    from detkds_gp.cli.tables import print_json
    from detkds_gp.config import load_config
    from detkds_gp.preflight import check_experiment, knowledge_not_shared

    settings = load_config(config, parse_options(cfg_options or []))
    if curves and random_weights:
        raise ConfigError("--curves trains both detectors, so it needs their weights; leave --random-weights out")
    if iterations is not None and not curves:
        raise ConfigError("--iterations is the length of --curves; give both")
    if curves:
        _print_curves(settings, iterations, json)
        return
    listener = PlainListener(Console(stderr=True))
    report = check_experiment(settings, random_weights=random_weights, listener=listener)
    if json:
        print_json(report.to_json())
    else:
        print_pair(Console(), report)
    missing = knowledge_not_shared(settings, report)
    for niche, reason in missing.items():
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"error: the config asks for {niche!r}: {reason}; leave it out of 'knowledge'", markup=False
        )
    if missing:
        raise typer.Exit(2)


def _print_curves(config, iterations: int | None, json: bool) -> None:  # type: ignore[no-untyped-def]
    from detkds_gp.cli.live import watching
    from detkds_gp.cli.pair_tables import print_curves
    from detkds_gp.cli.tables import print_json
    from detkds_gp.preflight import learning_curves

    with watching(Console(stderr=True), quiet=json) as listener:
        found = learning_curves(config, iterations, listener)
    if json:
        print_json(found.to_json())
    else:
        print_curves(Console(), found)


def _summary(work_dir: Path, primitive_set: str | None):  # type: ignore[no-untyped-def]
    from detkds_gp.results import opened

    return opened(work_dir, primitive_set)


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        app(spread_options(sys.argv[1:]))
    except UserError as error:
        errors.print(f"[red]error:[/red] {_escaped(' '.join(str(error).splitlines()))}")
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        errors.print(f"stopped; nothing that was finished is lost. Continue with: {_escaped(_command())}")
        sys.exit(INTERRUPTED)
    except Exception:
        errors.print_exception()
        errors.print(f"[red]This is a fault of detkds_gp, not yours.[/red] The command was: {_escaped(_command())}")
        sys.exit(1)


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


for _extra in (*COMMANDS, *REPORTS):
    app.command()(_extra)


def _escaped(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))
