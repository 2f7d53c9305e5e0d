"""What commands print with: lines as they are, tables, JSON, problems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table


def say(console: Console, *lines: str) -> None:
    """Print lines as they are: whole, without markup and colours."""
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)


def complain(problems: Iterable[object], summary: str = "") -> None:
    """Print problems on stderr, then what they come to, and end the command with 2; none is no problem."""
    if lines := [f"problem: {problem}" for problem in problems]:
        say(Console(stderr=True), *lines, *([summary] if summary else []))
        raise typer.Exit(2)


def print_json(value: Any) -> None:
    """Print plain values as JSON, undecorated."""
    print(json.dumps(value, indent=2))


def number_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]] = (), *, left: Sequence[str] = ("",)
) -> Table:
    """Return a table whose columns stand to the right, but for those named in ``left``."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    for row in rows:
        table.add_row(*row)
    return table


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """Return a table of texts, which are folded where they are long."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
