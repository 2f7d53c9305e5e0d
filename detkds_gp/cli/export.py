"""`gp_search export`, `weights`: distillers of runs, or formulas, as a file; a checkpoint's weights alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from detkds_gp.atomic import atomic_file
from detkds_gp.cli.formulas import DEFAULT_SET, DEFAULT_ZOO
from detkds_gp.cli.options import OPTIONS_FLAG, SetName, check_writable, read_config
from detkds_gp.errors import ConfigError

if TYPE_CHECKING:
    from detkds_gp.export import Panel
    from detkds_gp.language import Zoo


def export(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|NAME|FILE|FORMULA...",
            help="Work directories, names of the zoo, JSON files of distillers, formulas.",
        ),
    ],
    to: Annotated[str, typer.Option(help="json, text, latex, dot, svg, png, python, or mmdet with --config.")] = "text",
    output: Annotated[Path | None, typer.Option("-o", help="File; default: print.")] = None,
    rank: Annotated[
        list[int] | None,
        typer.Option(
            help="1 has the highest AP of the search; default: the winner of the final round. Repeat for several.",
            min=1,
        ),
    ] = None,
    primitive_set: SetName = None,
    zoo: Annotated[str | None, typer.Option(help="Zoo that names are of, module:NAME.")] = None,
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
    from detkds_gp.export import Look, export_panels, write_panels
    from detkds_gp.language import load_zoo

    ranks = rank or []
    if to == "mmdet":
        if primitive_set or zoo or diff:
            raise ConfigError("--to mmdet takes set and zoo from --config, and nothing for --set, --zoo and --diff")
        if len(sources) != 1 or len(ranks) > 1 or config is None or output is None or output.suffix != ".py":
            raise ConfigError(
                "--to mmdet takes one distiller (a work directory's with one --rank at most), --config of the search "
                "it is for, and -o FILE.py"
            )
        _write_mmdet_config(sources[0], ranks, config, cfg_options, output)
        return
    if config or cfg_options:
        raise ConfigError(f"--config and {OPTIONS_FLAG} are for --to mmdet; --set and --zoo name what formulas are of")
    published = load_zoo(zoo or DEFAULT_ZOO)
    _check_ranks(sources, ranks, published)
    panels = [panel for source in sources for panel in _panels(source, ranks, primitive_set, published)]
    look = Look(theme, layout, diff)
    if output is not None:
        write_panels(panels, output, to, look)
        return
    rendered = export_panels(panels, to, look)
    if isinstance(rendered, bytes):
        raise ConfigError(f"{to} is binary; give a file with -o")
    print(rendered.rstrip("\n"))


def _write_mmdet_config(
    source: str, ranks: Sequence[int], config: str, cfg_options: Sequence[str] | None, output: Path
) -> None:
    """Write a config that mmdet's own tools train; what has to be trained and measured for it is told on stderr."""
    settings = read_config(config, cfg_options)
    from detkds_gp.cli.live import PlainListener
    from detkds_gp.full_training import FullTraining, prepared_configs
    from detkds_gp.language import load_zoo
    from detkds_gp.naming import read_distiller

    if ranks:
        _check_ranks([source], ranks, load_zoo(settings.zoo))
        source = next(_ranked(Path(source), ranks, None)).text
    named = read_distiller(source, settings)
    check_writable(output)
    asked = FullTraining(settings, named, output.with_suffix(""))
    whole, _, _ = prepared_configs(asked, PlainListener(Console(stderr=True)))
    with atomic_file(output) as unfinished:
        unfinished.write_text(whole.pretty_text, encoding="utf-8")


def _check_ranks(sources: Sequence[str], ranks: Sequence[int], zoo: Zoo) -> None:
    """Refuse ranks where no source is a work directory."""
    from detkds_gp.naming import sort_of

    if ranks and all(sort_of(source, zoo) != "run" for source in sources):
        raise ConfigError(f"--rank is of a work directory, got {', '.join(map(repr, sources))}; leave it out")


def _panels(source: str, ranks: Sequence[int], primitive_set: str | None, zoo: Zoo) -> Iterator[Panel]:
    """Yield the ranked distillers of a work directory, or those that a name of the zoo, a file or a formula says."""
    from detkds_gp.export import Panel
    from detkds_gp.language import load_primitive_set
    from detkds_gp.naming import named_distillers, read_captions, sort_of

    sort = sort_of(source, zoo)
    if sort == "run":
        yield from _ranked(Path(source), ranks, primitive_set)
        return
    grammar = load_primitive_set(primitive_set or DEFAULT_SET)
    captions = read_captions(Path(source)) if sort == "file" else {}
    yield from (Panel(found, grammar, captions.get(found.text, "")) for found in named_distillers(source, grammar, zoo))


def _ranked(work_dir: Path, ranks: Sequence[int], primitive_set: str | None) -> Iterator[Panel]:
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


def weights(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of mmdet.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    prefix: Annotated[
        str, typer.Option(help="Keep only the weights whose names begin so, such as student., and take it away.")
    ] = "",
    classes: Annotated[str | None, typer.Option(help="Other names for its classes, in its order: a,b,c.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Open it even if it holds more than weights: runs code from it.")
    ] = False,
) -> None:
    """Write a checkpoint's weights and class names alone."""
    from detkds_gp.detectors import rewrite_weights

    named = None if classes is None else [name.strip() for name in classes.split(",")]
    rewrite_weights(checkpoint, output, prefix=prefix, classes=named, trusted=trust)
    print(f"{output}: plain weights; give it as teacher.checkpoint or student.checkpoint")
