"""`gp_search report`: a run as one HTML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

WorkDir = Annotated[Path, typer.Argument(help="A work directory.", show_default=False)]
SetName = Annotated[str | None, typer.Option("--set", help="Primitive set, module:NAME.")]
REPORT = "report.html"


def report(
    work_dir: WorkDir,
    output: Annotated[Path | None, typer.Option("-o", help="Default: report.html there.", show_default=False)] = None,
    primitive_set: SetName = None,
) -> None:
    """Draw what a run has found, finished or not, as one HTML file that needs no network."""
    path = output or work_dir / REPORT
    write_report(work_dir, path, primitive_set)
    print(path)


def write_report(work_dir: Path, path: Path, primitive_set: str | None = None) -> None:
    """Write the report of a work directory.

    Raises:
        UserError: there is no readable store, or another grammar was searched, or the file cannot be written.
    """
    from detkds_gp.report import write_page

    write_page(rendered(work_dir, primitive_set), path)


def rendered(work_dir: Path, primitive_set: str | None = None) -> str:
    """Return the report of a work directory; raises as `write_report`."""
    from detkds_gp.experiment.summary import opened
    from detkds_gp.report import collect, render_report

    with opened(work_dir, primitive_set) as summary:
        return render_report(collect(work_dir), summary.primitive_set)


def report_of_run(console: Console, work_dir: Path) -> None:
    """Make the report of a run that has ended, and print where it is; the result stays safe without it."""
    from detkds_gp.errors import UserError

    try:
        write_report(work_dir, work_dir / REPORT)
    except UserError as error:
        console.print(f"no report: {error}", soft_wrap=True, highlight=False, markup=False)
        return
    where = f"report: {work_dir / REPORT} (open it in a browser)"
    console.print(where, soft_wrap=True, highlight=False, markup=False)


COMMANDS: tuple[Callable[..., None], ...] = (report,)
