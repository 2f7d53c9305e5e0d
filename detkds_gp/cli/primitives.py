"""`gp_search primitives`: what a set holds, and whether each of it keeps its contract."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from detkds_gp.cli.export import DEFAULT_SET


def primitives(
    primitive_set: Annotated[str | None, typer.Option("--set", help="Primitive set, module:NAME.")] = DEFAULT_SET,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Try each on small tensors, whatever is known of it.")] = False,
) -> None:
    """List the primitives of a set, or check that each keeps its contract."""
    from detkds_gp.cli.tables import print_json, print_primitives
    from detkds_gp.language import describe, load_primitive_set

    reference = primitive_set or DEFAULT_SET
    declarations = load_primitive_set(reference).declarations
    if check:
        _check(reference)
    elif json:
        print_json(describe(declarations))
    else:
        print_primitives(Console(), describe(declarations))


def _check(reference: str) -> None:
    """Try every primitive of a set, say what is broken, and end with 2 if anything is."""
    from detkds_gp.errors import DeclarationError
    from detkds_gp.language import load_primitive_set
    from detkds_gp.language.contract import check_contract

    tried = [d for d in load_primitive_set(reference).declarations.values() if d.computes]
    broken = 0
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for declaration in tried:
        try:
            check_contract(declaration)
        except DeclarationError as error:
            broken += 1
            errors.print(f"problem: {error}")
    if broken:
        raise typer.Exit(2)
    print(f"{len(tried)} primitives of {reference} keep their contracts")
