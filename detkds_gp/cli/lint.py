"""``gp_search lint``: one formula under all checks, before any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from detkds_gp.cli.export import DEFAULT_SET, DEFAULT_ZOO
from detkds_gp.cli.options import OPTIONS_FLAG, parse_options
from detkds_gp.errors import ConfigError

if TYPE_CHECKING:
    from detkds_gp.screening import LintReport


def lint(
    formula: Annotated[str, typer.Argument(help="A distiller, or a name of the zoo.", show_default=False)],
    primitive_set: Annotated[str | None, typer.Option("--set", help="Primitive set, module:NAME.")] = None,
    config: Annotated[
        str | None, typer.Option(help="Check on real features of this config's pair.", show_default=False)
    ] = None,
    work_dir: Annotated[Path | None, typer.Option(help="Default: work_dirs/<config name>.", show_default=False)] = None,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
) -> None:
    """Check a formula before training: kinds and shapes, and all that a search asks of it."""
    notes: list[str] = []
    if config is None:
        if cfg_options or work_dir is not None:
            raise ConfigError(f"{OPTIONS_FLAG} and --work-dir are for a config's pair; give --config too")
        from detkds_gp.language import load_primitive_set
        from detkds_gp.screening import lint as check

        report = check(_spelled_out(formula, DEFAULT_ZOO), load_primitive_set(primitive_set or DEFAULT_SET))
    else:
        report, notes = _on_a_pair(formula, primitive_set, config, work_dir, cfg_options or [])
    print_lint(Console(), report, notes)
    if report.problems:
        raise typer.Exit(2)


def _on_a_pair(
    formula: str, primitive_set: str | None, config: str, work_dir: Path | None, cfg_options: list[str]
) -> tuple[LintReport, list[str]]:
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.config import load_config
    from detkds_gp.preflight import lint_experiment

    named = {} if primitive_set is None else {"primitive_set": primitive_set}
    settings = load_config(config, parse_options(cfg_options) | named)
    folder = work_dir or Path("work_dirs") / Path(config).stem
    return lint_experiment(settings, _spelled_out(formula, settings.zoo), folder)


def _spelled_out(text: str, zoo: str) -> str:
    """Return the formula of a published distiller, or what is a formula already."""
    from detkds_gp.language import load_zoo

    published = load_zoo(zoo)
    return published[text].formula if text in published else text


def print_lint(console: Console, report: LintReport, notes: list[str]) -> None:
    """Print the steps of a formula with kinds and shapes, then every check with its numbers."""
    steps = Table(title=report.distiller.text)
    for column in ("step", "kind", "shape on the first level"):
        steps.add_column(column, overflow="fold")
    for step in report.steps:
        steps.add_row(step.text, step.kind, str(tuple(step.shape)))
    console.print(steps)
    checks = Table()
    for column in ("knowledge", "check", "", "numbers"):
        checks.add_column(column, overflow="fold")
    for knowledge, check, outcome in report.findings:
        checks.add_row(knowledge, check.name, "passed" if outcome.passed else "FAILED", outcome.numbers)
    if report.findings:
        console.print(checks)
    for line in [*(f"note: {note}" for note in notes), *(f"problem: {problem}" for problem in report.problems)]:
        console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
    if not report.problems:
        console.print("no problem found")
