"""`gp_search report`, `dash`, `compare`, `explain`: runs as HTML."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from detkds_gp.cli.options import Quiet, SetName, WorkDir
from detkds_gp.cli.output import say
from detkds_gp.errors import FormulaError, StoreError, UserError

REPORT = "report.html"


def report(
    work_dir: WorkDir,
    output: Annotated[Path | None, typer.Option("-o", help="Default: report.html there.")] = None,
    primitive_set: SetName = None,
) -> None:
    """Draw what a run has found, finished or not, as one HTML file that needs no network."""
    from detkds_gp.report import write_page

    path = output or work_dir / REPORT
    write_page(rendered(work_dir, primitive_set), path)
    print(path)


def rendered(work_dir: Path, primitive_set: str | None = None, served: str = "") -> str:
    """Return the report of a work directory, for a file or served with a version.

    Raises:
        UserError: there is no readable store, or another grammar was searched.
    """
    from detkds_gp.language import load_primitive_set
    from detkds_gp.report import collect, render_report
    from detkds_gp.results.grammar import read_grammar

    run = collect(work_dir)
    reference = primitive_set or run.config["primitive_set"]
    left = read_grammar(work_dir) if primitive_set is None else None
    try:
        return render_report(run, left or load_primitive_set(reference), served)
    except FormulaError as error:
        got = f"{work_dir} was searched with another set than {reference} ({error})"
        raise StoreError(f"{got}; name it with --set module:NAME") from error


def report_of_run(console: Console, work_dir: Path) -> None:
    """Make the report of a run that has ended, and print where it is; the result stays safe without it."""
    from detkds_gp.report import write_page

    try:
        write_page(rendered(work_dir), work_dir / REPORT)
        say(console, f"report: {work_dir / REPORT} (open it in a browser)")
    except UserError as error:
        say(console, f"no report: {error}")


def explain(
    work_dir: WorkDir,
    evaluations: Annotated[int, typer.Option(help="Trainings it may spend.", min=1)] = 20,
    quiet: Quiet = False,
) -> None:
    """Spend extra trainings on why the winner of a run wins, and add that to its report."""
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.cli.live import watching
    from detkds_gp.explanation import recorded_config
    from detkds_gp.run import Experiment

    console = Console()
    config = recorded_config(work_dir)
    with watching(console, quiet, config.execution.workers) as listener:
        found = Experiment(config, work_dir).explain(evaluations, listener)
    more = f"; {found.left} more would tell all" if found.left else ""
    console.print(f"{found.spent} trainings{more}", highlight=False)
    report_of_run(console, work_dir)


def compare(
    work_dirs: Annotated[list[Path], typer.Argument(metavar="DIR DIR...", help="Work directories.")],
    output: Annotated[Path, typer.Option("-o", help="File.")] = Path("compare.html"),
) -> None:
    """Draw several runs side by side, and how a formula found in one does in the others."""
    from detkds_gp.report import collect, render_comparison, write_page

    write_page(render_comparison([collect(work_dir) for work_dir in work_dirs]), output)
    print(output)


def dash(
    work_dir: WorkDir,
    port: Annotated[int, typer.Option(help="0: any free one.", min=0, max=65535)] = 8765,
    primitive_set: SetName = None,
) -> None:
    """Serve the report of a run to this machine alone, fresh while the search goes on; ends with Ctrl-C."""
    from detkds_gp.report.dashboard import HOST, Fresh, make_server

    fresh = Fresh(work_dir, lambda version: rendered(work_dir, primitive_set, version))
    fresh.page()  # what is wrong with the store is said here
    with make_server(fresh, port) as server:
        print(f"http://{HOST}:{server.server_address[1]}/ shows {work_dir}; Ctrl-C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
