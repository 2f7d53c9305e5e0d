"""`gp_search zoo`: the published distillers, and which of them a pair can be trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detkds_gp.cli.options import OPTIONS_FLAG, parse_options

if TYPE_CHECKING:
    from detkds_gp.preflight import Entry


def zoo(
    config: Annotated[
        str | None, typer.Argument(help="Config file: its zoo, for its pair.", show_default=False)
    ] = None,
    cfg_options: Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")] = None,
    random_weights: Annotated[bool, typer.Option(help="Load no weights; nothing is downloaded.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List published distillers; with a config, which apply to its pair and what their weights come to."""
    from detkds_gp.cli.tables import print_json
    from detkds_gp.errors import ConfigError
    from detkds_gp.preflight import list_zoo

    if config is None and (cfg_options or random_weights):
        raise ConfigError(f"{OPTIONS_FLAG} and --random-weights are for a config's pair; name the config before them")
    entries = list_zoo()
    if config is not None:
        from detkds_gp.environment import check_environment

        check_environment()
        from detkds_gp.config import load_config
        from detkds_gp.preflight import check_zoo

        entries = check_zoo(load_config(config, parse_options(cfg_options or [])), random_weights=random_weights)
    if json:
        print_json([entry.to_json() for entry in entries])
    else:
        _print(Console(), entries, paired=config is not None)


def _print(console: Console, entries: Sequence[Entry], *, paired: bool) -> None:
    table = Table(show_lines=True)
    columns = ("name", "published", "weights", *(("weight here",) if paired else ()))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for entry in entries:
        here = [_here(entry)] if paired else []
        table.add_row(entry.name, escape(entry.paper), escape(entry.weights), *here)
    console.print(table)
    for entry in entries:
        console.print(f"{entry.name}: {entry.formula}", **_PLAIN)
        if entry.note:
            console.print(f"  {entry.note}", **_PLAIN)
    if paired:
        console.print("weight here: the paper's weight in units of the scale measured on this pair's first batch")
        for entry in entries:
            if entry.reason:
                console.print(f"{entry.name} does not apply: {entry.reason}", **_PLAIN)


_PLAIN: dict[str, Any] = {"soft_wrap": True, "highlight": False, "markup": False}


def _here(entry: Entry) -> str:
    if entry.reason:
        return "[dim]does not apply[/dim]"
    return "\n".join(f"{knowledge} {weight:.3g}" for knowledge, weight in entry.here.items())
