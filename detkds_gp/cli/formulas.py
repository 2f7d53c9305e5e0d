"""`gp_search primitives`, `zoo`, `lint`: what formulas are made of, the published ones, and one under all checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from detkds_gp.cli.options import OPTIONS_FLAG, AsJson, CfgOptions, RandomWeights, SearchDir, SetName, read_config
from detkds_gp.cli.output import complain, print_json, say, text_table
from detkds_gp.errors import ConfigError, DeclarationError

if TYPE_CHECKING:
    from detkds_gp.preflight import Entry
    from detkds_gp.screening import LintReport

DEFAULT_SET = "detkds_gp.primitives:OMNI"
DEFAULT_ZOO = "detkds_gp.primitives.zoo:ZOO"


def primitives(
    primitive_set: SetName = DEFAULT_SET,
    json: AsJson = False,
    check: Annotated[bool, typer.Option("--check", help="Try each on small tensors, whatever is known of it.")] = False,
) -> None:
    """List the primitives of a set, or check that each keeps its contract."""
    from detkds_gp.language import describe, load_primitive_set

    reference = primitive_set or DEFAULT_SET
    declarations = load_primitive_set(reference).declarations
    if check:
        tried = [declaration for declaration in declarations.values() if declaration.computes]
        complain(_broken(tried))
        print(f"{len(tried)} primitives of {reference} keep their contracts")
    elif json:
        print_json(describe(declarations))
    else:
        print_primitives(Console(), describe(declarations))


def _broken(declarations: Sequence[Any]) -> Iterator[DeclarationError]:
    from detkds_gp.language.contract import check_contract

    for declaration in declarations:
        try:
            check_contract(declaration)
        except DeclarationError as error:
            yield error


def print_primitives(console: Console, described: Sequence[Mapping[str, Any]]) -> None:
    """List primitives with their kinds and effect."""
    rows = []
    for one in described:
        kinds = f"{', '.join(one['arguments'])} -> {one['result']}" if one["arguments"] else one["result"]
        rows.append((one["name"], one["role"].replace("_", " "), kinds, escape(one["doc"])))
    console.print(text_table(("name", "role", "kinds", "effect"), rows))


def zoo(
    config: Annotated[str | None, typer.Argument(help="Config file: its zoo, for its pair.")] = None,
    cfg_options: CfgOptions = None,
    random_weights: RandomWeights = False,
    json: AsJson = False,
) -> None:
    """List published distillers; with a config, which apply to its pair and what their weights come to."""
    from detkds_gp import preflight

    if config is not None:
        entries = preflight.check_zoo(read_config(config, cfg_options), random_weights=random_weights)
    elif cfg_options or random_weights:
        raise ConfigError(f"{OPTIONS_FLAG} and --random-weights are for a config's pair; name the config before them")
    else:
        entries = preflight.list_zoo()
    if json:
        print_json([entry.to_json() for entry in entries])
    else:
        print_zoo(Console(), entries, paired=config is not None)


def print_zoo(console: Console, entries: Sequence[Entry], *, paired: bool) -> None:
    """List published distillers with their formulas; of a pair also their weights, or why one does not apply."""
    rows = ((e.name, escape(e.paper), escape(e.weights), *((_here(e),) if paired else ())) for e in entries)
    table = text_table(("name", "published", "weights", *(("weight here",) if paired else ())), rows)
    table.show_lines, table.columns[0].no_wrap = True, True
    console.print(table)
    for entry in entries:
        say(console, f"{entry.name}: {entry.formula}", *([f"  {entry.note}"] if entry.note else []))
    if paired:
        console.print("weight here: the paper's weight in units of the scale measured on this pair's first batch")
        say(console, *(f"{entry.name} does not apply: {entry.reason}" for entry in entries if entry.reason))


def _here(entry: Entry) -> str:
    if entry.reason:
        return "[dim]does not apply[/dim]"
    return "\n".join(f"{knowledge} {weight:.3g}" for knowledge, weight in entry.here.items())


def lint(
    formula: Annotated[str, typer.Argument(help="A distiller, or a name of the zoo.")],
    primitive_set: SetName = None,
    config: Annotated[str | None, typer.Option(help="Check on real features of this config's pair.")] = None,
    work_dir: SearchDir = None,
    cfg_options: CfgOptions = None,
) -> None:
    """Check a formula before training: kinds and shapes, and all that a search asks of it."""
    from detkds_gp.language import load_primitive_set, load_zoo

    def spelled_out(zoo: str) -> str:
        named = load_zoo(zoo).named
        return named[formula].formula if formula in named else formula

    notes: list[str] = []
    if config is None:
        if cfg_options or work_dir is not None:
            raise ConfigError(f"{OPTIONS_FLAG} and --work-dir are for a config's pair; give --config too")
        from detkds_gp.screening import lint as check

        report = check(spelled_out(DEFAULT_ZOO), load_primitive_set(primitive_set or DEFAULT_SET))
    else:
        settings = read_config(config, cfg_options, {"primitive_set": primitive_set})
        from detkds_gp.preflight import lint_experiment

        folder = work_dir or Path("work_dirs") / Path(config).stem
        report, notes = lint_experiment(settings, spelled_out(settings.zoo), folder)
    print_lint(Console(), report, notes)
    if report.problems:
        raise typer.Exit(2)


def print_lint(console: Console, report: LintReport, notes: Sequence[str]) -> None:
    """Print the steps of a formula with kinds and shapes, then every check with its numbers."""
    steps = ((step.text, step.kind, str(tuple(step.shape))) for step in report.steps)
    console.print(text_table(("step", "kind", "shape on the first level"), steps, report.distiller.text))
    if report.findings:
        checks = (
            (knowledge, check.name, "passed" if outcome.passed else "FAILED", outcome.numbers)
            for knowledge, check, outcome in report.findings
        )
        console.print(text_table(("knowledge", "check", "", "numbers"), checks))
    say(console, *(f"note: {note}" for note in notes), *(f"problem: {problem}" for problem in report.problems))
    if not report.problems:
        console.print("no problem found")
