"""`gp_search status`, `stop`, `inject`, `verify`, `store check`: a run seen and steered from another terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from detkds_gp.cli.options import AsJson, SetName, WorkDir
from detkds_gp.cli.output import complain, print_json
from detkds_gp.cli.tables import screening_line
from detkds_gp.errors import StoreError

store_app = typer.Typer(help="Look after a run's store.", no_args_is_help=True)

_REFRESH_SECONDS = 2.0


def status(
    work_dir: WorkDir,
    json: AsJson = False,
    watch: Annotated[bool, typer.Option(help="Go on until the run ends.")] = False,
) -> None:
    """Show how a run stands, while it goes on."""
    from detkds_gp.steering import read_status

    while True:
        told = read_status(work_dir)
        if json:
            print_json(told)
        else:
            print(*status_lines(told), sep="\n")
        if not watch or told["state"] != "running":
            return
        time.sleep(_REFRESH_SECONDS)


def status_lines(told: Mapping[str, Any]) -> list[str]:
    """Say in words what `read_status` tells."""
    who = f" (process {told['process']})" if told["process"] else ""
    total = f"{told['done']} of {told['total']} trained" if told["total"] else "preparing"
    lines = [
        f"{told['state']}{who}: {told['phase']}, {total}",
        f"search: {told['trained']} trained, {told['failed']} failed; {_duration(told['elapsed_seconds'])} at work, "
        f"{_duration(told['eta_seconds'])} left",
        screening_line(told["screening"]),
    ]
    lines += [f"best of {niche}: {ap:.3f} (selection)" for niche, ap in told["best"].items()]
    if told["idle_share"] is not None:
        lines.append(f"workers idle: {told['idle_share']:.1%}")
    if told["noise"]:
        lines.append(f"scores: {told['noise']}")
    if told["budget"]:
        lines.append(f"budget: {told['spent']} of {told['budget']}")
    return lines + [f"waits for the next generation: {formula}" for formula in told["waiting"]]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown time"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def stop(
    work_dir: WorkDir,
    final: Annotated[bool, typer.Option("--final", help="End the search with what is at work and judge.")] = False,
) -> None:
    """Stop a run in order: what is at work is finished, and the same command continues."""
    from detkds_gp import steering
    from detkds_gp.store import writer_of

    writer = writer_of(work_dir)
    if writer is None:
        raise StoreError(f"no run is at work in {work_dir}; nothing to stop")
    if final and steering.read_status(work_dir)["phase"] == "final round":
        remedy = "without --final it stops, and the same command continues"
        raise StoreError(f"process {writer} judges already; {remedy}")
    steering.Inbox(work_dir).stop("final" if final else "pause")
    ends = "ends the search after the current generation (before the search: after its first), then judges"
    print(f"process {writer} {ends if final else 'stops when what is at work is finished'}")


def inject(
    work_dir: WorkDir,
    formula: Annotated[str, typer.Argument(help="A distiller.")],
    primitive_set: SetName = None,
) -> None:
    """Let a formula join the next generation of a run."""
    from detkds_gp import results
    from detkds_gp.language import parse_distiller
    from detkds_gp.results.grammar import read_grammar
    from detkds_gp.steering import Inbox
    from detkds_gp.store import writer_of

    grammar = read_grammar(work_dir) if primitive_set is None else None
    if grammar is None:
        with results.opened(work_dir, primitive_set) as summary:
            grammar = summary.primitive_set
    text = parse_distiller(formula, grammar, bare=None).text
    Inbox(work_dir).inject(text)
    when = "" if writer_of(work_dir) else ", once the run goes on"
    print(f"joins the next generation{when}: {text}")


def verify(work_dir: WorkDir, primitive_set: SetName = None) -> None:
    """Replay a search from its store and compare every generation with the record."""
    from detkds_gp.run.verify import verify as replay

    found = replay(work_dir, primitive_set)
    what = f"{found.generations} generations, {found.distillers} distillers"
    complain(found.differences, f"{what} repeat, then the replay differs")
    print(f"{what}: all as recorded" + ("" if found.complete else "; the search has not come to its end"))


@store_app.command()
def check(work_dir: WorkDir) -> None:
    """Read a whole store, page by page and row by row."""
    from detkds_gp.store import check_store

    report = check_store(work_dir)
    rows = ", ".join(f"{count} {name}" for name, count in report.rows.items())
    complain(report.problems, f"{report.path}: {rows}")
    print(f"{report.path} is sound: {rows}")
