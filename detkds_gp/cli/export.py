"""`gp_search export`: distillers of runs, or formulas, as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from detkds_gp.atomic import atomic_file
from detkds_gp.cli.options import OPTIONS_FLAG, parse_options
from detkds_gp.cli.output import check_writable

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
            metavar="DIR|NAME|FILE|FORMULA...",
            help="Work directories, names of the zoo, JSON files of distillers, formulas.",
            show_default=False,
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
        write_mmdet_config(sources, rank or [], config, parse_options(cfg_options or []), output)
        return
    if config or cfg_options:
        raise ConfigError(f"--config and {OPTIONS_FLAG} are for --to mmdet; --set and --zoo name what formulas are of")
    look = Look(theme, layout, diff)
    grammar = Grammar(primitive_set, zoo or DEFAULT_ZOO)
    if rank:
        _check_ranks(sources, grammar.zoo)
    panels = [panel for source in sources for panel in _panels(source, rank or [], grammar)]
    if output is not None:
        write_panels(panels, output, to, look)
        return
    rendered = export_panels(panels, to, look)
    if isinstance(rendered, bytes):
        raise ConfigError(f"{to} is binary; give a file with -o")
    print(rendered.rstrip("\n"))


def write_mmdet_config(
    sources: Sequence[str], ranks: Sequence[int], config: str | None, options: Mapping[str, Any], output: Path | None
) -> None:
    """Write a config that mmdet's own tools train; it needs student, teacher and data beside the distiller.

    What has to be trained and measured for it is told on stderr.
    """
    from detkds_gp.environment import check_environment
    from detkds_gp.errors import ConfigError

    if len(sources) != 1 or len(ranks) > 1 or config is None or output is None or output.suffix != ".py":
        raise ConfigError(MMDET_TAKES)
    check_environment()
    from detkds_gp.cli.live import PlainListener
    from detkds_gp.config import load_config
    from detkds_gp.full_training import FullTraining, prepared_configs
    from detkds_gp.naming import read_distiller

    settings = load_config(config, options)
    named = read_distiller(_one(sources[0], ranks, settings.zoo), settings)
    check_writable(output)
    asked = FullTraining(settings, named, output.with_suffix(""))
    whole, _, _ = prepared_configs(asked, PlainListener(Console(stderr=True, soft_wrap=True)))
    with atomic_file(output) as unfinished:
        unfinished.write_text(whole.pretty_text, encoding="utf-8")


def _one(source: str, ranks: Sequence[int], zoo: str) -> str:
    """Return what a single distiller is asked for by, the formula where it is a rank of a run."""
    if not ranks:
        return source
    _check_ranks([source], zoo)
    (panel,) = _ranked(Path(source), ranks, None)
    return panel.text


def _check_ranks(sources: Sequence[str], zoo: str) -> None:
    """Refuse ranks where no source is a work directory."""
    from detkds_gp.errors import ConfigError
    from detkds_gp.language import load_zoo
    from detkds_gp.naming import sort_of

    published = load_zoo(zoo)
    if all(sort_of(source, published) != "run" for source in sources):
        raise ConfigError(f"--rank is of a work directory, got {', '.join(map(repr, sources))}; leave it out")


def _panels(source: str, ranks: Sequence[int], names: Grammar) -> Iterator[Panel]:
    """Yield the ranked distillers of a work directory, or those that a name of the zoo, a file or a formula says."""
    from detkds_gp.export import Panel
    from detkds_gp.language import load_primitive_set, load_zoo
    from detkds_gp.naming import named_distillers, read_captions, sort_of

    zoo = load_zoo(names.zoo)
    sort = sort_of(source, zoo)
    if sort == "run":
        yield from _ranked(Path(source), ranks, names.primitive_set)
        return
    grammar = load_primitive_set(names.primitive_set or DEFAULT_SET)
    captions = read_captions(Path(source)) if sort == "file" else {}
    yield from (Panel(found, grammar, captions.get(found.text, "")) for found in named_distillers(source, grammar, zoo))


def _ranked(work_dir: Path, ranks: Sequence[int], primitive_set: str | None) -> Iterator[Panel]:
    from detkds_gp.errors import ConfigError
    from detkds_gp.export import Panel
    from detkds_gp.results import opened

    with opened(work_dir, primitive_set) as summary:
        ranking, grammar = summary.ranking(), summary.primitive_set
        winner = summary.winner(ranking)
        captions = {one.text: summary.caption(one) for one in (*ranking, *([winner] if winner else []))}
    name = work_dir.resolve().name
    if not ranks:
        if winner is None:
            raise ConfigError(f"{work_dir} has no scored distiller yet; go on with its search by gp_search run")
        yield Panel(winner.distiller, grammar, f"{name}, winner: {captions[winner.text]}")
    for rank in ranks:
        if rank > len(ranking):
            raise ConfigError(f"--rank {rank}: the run has {len(ranking)} scored distillers")
        found = ranking[rank - 1]
        yield Panel(found.distiller, grammar, f"{name}, rank {rank}: {captions[found.text]}")
