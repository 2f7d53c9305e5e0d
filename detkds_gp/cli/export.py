"""`gp_search export`: distillers of runs, or formulas, as a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from detkds_gp.export import Panel

DEFAULT_SET = "detkds_gp.primitives:OMNI"
DEFAULT_ZOO = "detkds_gp.primitives.zoo:ZOO"


def export(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|NAME|FORMULA...", help="Work directories, names of the zoo, formulas.", show_default=False
        ),
    ],
    to: Annotated[str, typer.Option(help="json, text, latex, dot, svg, png, python, or mmdet with --config.")] = "text",
    output: Annotated[Path | None, typer.Option("-o", help="File; default: print.", show_default=False)] = None,
    rank: Annotated[
        list[int] | None,
        typer.Option(
            help="1 has the highest AP of the search; default: the winner of the final round. Repeat for several.",
            min=1,
            show_default=False,
        ),
    ] = None,
    primitive_set: Annotated[str | None, typer.Option("--set", help="Primitive set, module:NAME.")] = None,
    theme: Annotated[str, typer.Option(help="Of a drawing: light, dark, auto (an SVG follows its reader).")] = "light",
    layout: Annotated[str, typer.Option(help="Of a drawing: layered, or graphviz if installed.")] = "layered",
    diff: Annotated[bool, typer.Option("--diff", help="Mark what two distillers do not share.")] = False,
    config: Annotated[
        str | None, typer.Option(help="For mmdet: the search's config, which names student, teacher and data.")
    ] = None,
) -> None:
    """Write distillers as a file; drawings show several side by side."""
    from detkds_gp.errors import ConfigError
    from detkds_gp.export import Look, export_panels, write_panels

    if to == "mmdet":
        write_mmdet_config(sources, config, output)
        return
    look = Look(theme, layout, diff)
    panels = [panel for source in sources for panel in _panels(source, rank or [], primitive_set)]
    if output is not None:
        write_panels(panels, output, to, look)
        return
    rendered = export_panels(panels, to, look)
    if isinstance(rendered, bytes):
        raise ConfigError(f"{to} is binary; give a file with -o")
    print(rendered.rstrip("\n"))


def write_mmdet_config(sources: Sequence[str], config: str | None, output: Path | None) -> None:
    """Write a config that mmdet's own tools train; it needs student, teacher and data beside the distiller."""
    from detkds_gp.environment import check_environment
    from detkds_gp.errors import ConfigError

    if len(sources) != 1 or config is None or output is None:
        raise ConfigError("--to mmdet takes one distiller, --config of the search it is for, and -o FILE.py")
    check_environment()
    from detkds_gp.experiment import Listener, load_config
    from detkds_gp.experiment.distiller_source import read_distiller
    from detkds_gp.experiment.full_training import FullTraining
    from detkds_gp.experiment.training_recipe import prepared_configs

    settings = load_config(config)
    asked = FullTraining(settings, read_distiller(sources[0], settings), output.with_suffix(""))
    whole, _, _ = prepared_configs(asked, Listener())
    output.parent.mkdir(parents=True, exist_ok=True)
    whole.dump(output)


def _panels(source: str, ranks: Sequence[int], primitive_set: str | None) -> Iterator[Panel]:
    """Yield the ranked distillers of a work directory, or the one that a name of the zoo or a formula says."""
    from detkds_gp.experiment.named import named_distiller
    from detkds_gp.export import Panel
    from detkds_gp.language import NONE, load_primitive_set, load_zoo

    zoo = load_zoo(DEFAULT_ZOO)
    if os.path.isdir(source) or ("(" not in source and source != NONE and source not in zoo):
        yield from _ranked(Path(source), ranks, primitive_set)
        return
    grammar = load_primitive_set(primitive_set or DEFAULT_SET)
    yield Panel(named_distiller(source, grammar, zoo), grammar)


def _ranked(work_dir: Path, ranks: Sequence[int], primitive_set: str | None) -> Iterator[Panel]:
    from detkds_gp.errors import ConfigError
    from detkds_gp.experiment.summary import opened
    from detkds_gp.export import Panel

    with opened(work_dir, primitive_set) as summary:
        ranking, grammar = summary.ranking(), summary.primitive_set
        winner = summary.winner(ranking)
    name = work_dir.resolve().name
    if not ranks:
        if winner is None:
            raise ConfigError(f"{work_dir} has no scored distiller yet")
        yield Panel(winner.distiller, grammar, f"{name}, winner, AP {winner.score.ap:.3f}")
    for rank in ranks:
        if rank > len(ranking):
            raise ConfigError(f"--rank {rank}: the run has {len(ranking)} scored distillers")
        found = ranking[rank - 1]
        yield Panel(found.distiller, grammar, f"{name}, rank {rank}, AP {found.score.ap:.3f}")
