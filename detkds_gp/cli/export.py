"""`gp_search export`: distillers of runs, or formulas, as a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detkds_gp.cli.options import OPTIONS_FLAG, parse_options

if TYPE_CHECKING:
    from detkds_gp.export import Panel

DEFAULT_SET = "detkds_gp.primitives:OMNI"
DEFAULT_ZOO = "detkds_gp.primitives.zoo:ZOO"
MMDET_TAKES = (
    "--to mmdet takes one distiller (a work directory's with one --rank at most), --config of the search it is for, "
    "and -o FILE.py"
)


@dataclass(frozen=True)
class Grammar:
    """What formulas and names are read with.

    Attributes:
        primitive_set: ``module:NAME``; None: a run's own, OMNI for formulas.
        zoo: ``module:NAME``.
    """

    primitive_set: str | None
    zoo: str


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
    zoo: Annotated[str | None, typer.Option(help="Zoo that names are of, module:NAME.", show_default=False)] = None,
    theme: Annotated[str, typer.Option(help="Of a drawing: light, dark, auto (an SVG follows its reader).")] = "light",
    layout: Annotated[str, typer.Option(help="Of a drawing: layered, or graphviz if installed.")] = "layered",
    diff: Annotated[bool, typer.Option("--diff", help="Mark what two distillers do not share.")] = False,
    config: Annotated[
        str | None, typer.Option(help="For mmdet: the search's config, which names student, teacher and data.")
    ] = None,
    cfg_options: Annotated[
        list[str] | None, typer.Option(OPTIONS_FLAG, help="For mmdet: values of that config, k=v ...")
    ] = None,
) -> None:
    """Write distillers as a file; drawings show several side by side."""
    from detkds_gp.errors import ConfigError
    from detkds_gp.export import Look, export_panels, write_panels

    if to == "mmdet":
        if primitive_set or zoo or diff:
            raise ConfigError("--to mmdet takes set and zoo from --config, and nothing for --set, --zoo and --diff")
        write_mmdet_config(_one(sources, rank or []), config, parse_options(cfg_options or []), output)
        return
    if config or cfg_options:
        raise ConfigError(f"--config and {OPTIONS_FLAG} are for --to mmdet; --set and --zoo name what formulas are of")
    look = Look(theme, layout, diff)
    grammar = Grammar(primitive_set, zoo or DEFAULT_ZOO)
    panels = [panel for source in sources for panel in _panels(source, rank or [], grammar)]
    if output is not None:
        write_panels(panels, output, to, look)
        return
    rendered = export_panels(panels, to, look)
    if isinstance(rendered, bytes):
        raise ConfigError(f"{to} is binary; give a file with -o")
    print(rendered.rstrip("\n"))


def _one(sources: Sequence[str], ranks: Sequence[int]) -> str:
    """Return what a single distiller is asked for by, the formula where it is a rank of a run."""
    from detkds_gp.errors import ConfigError

    if len(sources) != 1 or len(ranks) > 1:
        raise ConfigError(MMDET_TAKES)
    if not ranks:
        return sources[0]
    (panel,) = _ranked(Path(sources[0]), ranks, None)
    return panel.text


def write_mmdet_config(source: str, config: str | None, options: Mapping[str, Any], output: Path | None) -> None:
    """Write a config that mmdet's own tools train; it needs student, teacher and data beside the distiller."""
    from detkds_gp.environment import check_environment
    from detkds_gp.errors import ConfigError

    if config is None or output is None or output.suffix != ".py":
        raise ConfigError(MMDET_TAKES)
    check_environment()
    from detkds_gp.experiment import Listener, load_config
    from detkds_gp.experiment.full_training import FullTraining, prepared_configs
    from detkds_gp.experiment.naming import read_distiller

    settings = load_config(config, options)
    asked = FullTraining(settings, read_distiller(source, settings), output.with_suffix(""))
    whole, _, _ = prepared_configs(asked, Listener())
    output.parent.mkdir(parents=True, exist_ok=True)
    whole.dump(output)


def _panels(source: str, ranks: Sequence[int], names: Grammar) -> Iterator[Panel]:
    """Yield the ranked distillers of a work directory, or the one that a name of the zoo or a formula says."""
    from detkds_gp.experiment.naming import named_distiller
    from detkds_gp.export import Panel
    from detkds_gp.language import NONE, load_primitive_set, load_zoo

    zoo = load_zoo(names.zoo)
    if os.path.isdir(source) or ("(" not in source and source != NONE and source not in zoo):
        yield from _ranked(Path(source), ranks, names.primitive_set)
        return
    grammar = load_primitive_set(names.primitive_set or DEFAULT_SET)
    yield Panel(named_distiller(source, grammar, zoo), grammar)


def _ranked(work_dir: Path, ranks: Sequence[int], primitive_set: str | None) -> Iterator[Panel]:
    from detkds_gp.errors import ConfigError
    from detkds_gp.experiment.results import opened
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
