"""`gp_search check`: a pair before any training, or its learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detkds_gp.cli.options import AsJson, CfgOptions, ConfigFile, RandomWeights, read_config
from detkds_gp.cli.output import number_table, print_json, say
from detkds_gp.errors import ConfigError

if TYPE_CHECKING:
    from detkds_gp.preflight import Curves, Offer, PairReport

_CAPTION = (
    "stride: shape on one image, student > teacher where they differ\n"
    "scale: a plain loss times it pulls as hard as the untrained student's own loss"
)


def check(
    config: ConfigFile,
    cfg_options: CfgOptions = None,
    random_weights: RandomWeights = False,
    curves: Annotated[
        bool, typer.Option("--curves", help="Train both alone: where they end, what is to gain.")
    ] = False,
    iterations: Annotated[int | None, typer.Option(help="Of the student's curve; default: 6 x the proxy's.")] = None,
    json: AsJson = False,
) -> None:
    """Check a pair before training: what it shares, level by level, and what a step costs; or where it ends."""
    settings = read_config(config, cfg_options)
    from detkds_gp.cli.live import PlainListener, watching
    from detkds_gp.preflight import check_experiment, knowledge_not_shared, learning_curves

    if curves and random_weights:
        raise ConfigError("--curves trains both detectors, so it needs their weights; leave --random-weights out")
    if iterations is not None and not curves:
        raise ConfigError("--iterations is the length of --curves; give both")
    errors = Console(stderr=True)
    if curves:
        with watching(errors, quiet=json) as listener:
            found = learning_curves(settings, iterations, listener)
        if json:
            print_json(found.to_json())
        else:
            print_curves(Console(), found)
        return
    report = check_experiment(settings, random_weights=random_weights, listener=PlainListener(errors))
    if json:
        print_json(report.to_json())
    else:
        print_pair(Console(), report)
    missing = knowledge_not_shared(settings, report)
    for niche, reason in missing.items():
        say(errors, f"error: the config asks for {niche!r}: {reason}; leave it out of 'knowledge'")
    if missing:
        raise typer.Exit(2)


def print_pair(console: Console, report: PairReport) -> None:
    """Print the data in short, what a pair shares, level by level, and what a step costs."""
    say(console, *report.data.lines())
    console.print(_offers(report.offers))
    held_back: dict[str, list[str]] = {}
    for offer in report.offers:
        if offer.reason:
            held_back.setdefault(offer.reason, []).append(offer.name)
    say(console, *(f"not shared: {', '.join(inputs)}: {reason}" for reason, inputs in held_back.items()))
    console.print(_steps(report))
    say(console, *report.said)
    if report.ap:
        aps = ", ".join(f"{role} {ap:.3f}" for role, ap in report.ap.items())
        console.print(f"AP on selection: {aps}", highlight=False)


def print_curves(console: Console, curves: Curves) -> None:
    """Print where student and teacher stand on the way, and what follows."""
    found = {"student alone": curves.student, "teacher": curves.teacher}
    rows = [(who, str(iterations), f"{ap:.3f}") for who, points in found.items() for iterations, ap in points]
    console.print(number_table("learning curves: AP on selection", ("", "iterations", "AP"), rows))
    say(console, *curves.said)


def _offers(offers: Sequence[Offer]) -> Table:
    table = Table(title="shared knowledge", caption=_CAPTION)
    table.add_column("knowledge", no_wrap=True)
    table.add_column("input", no_wrap=True)
    table.add_column("levels")
    table.add_column("scale", justify="right", no_wrap=True)
    for offer in offers:
        if not offer.reason:
            scale = "" if offer.scale is None else f"{offer.scale:g}"
            table.add_row(offer.knowledge or "[dim](field)[/dim]", offer.name, _levels(offer), scale)
    return table


def _levels(offer: Offer) -> str:
    by_level = len(offer.strides) == len(offer.student)  # instances of all levels are one
    strides = [f"{stride}: " if by_level else "" for stride in offer.strides] or [""] * len(offer.student)
    pairs = zip(strides, offer.student, offer.teacher, strict=False)
    levels = "\n".join(stride + _sides(s, t) for stride, s, t in pairs)
    silent = ["no gradient reaches the student's maps"] if offer.formula and offer.scale is None else []
    notes = "; ".join([*offer.notes, *silent])
    return escape(levels) + (f"\n[dim]{escape(notes)}[/dim]" if notes else "")


def _sides(student: Sequence[int], teacher: Sequence[int]) -> str:
    ours, theirs = ("x".join(map(str, shape)) for shape in (student, teacher))
    return ours if ours == theirs else f"{ours} > {theirs}"


def _steps(report: PairReport) -> Table:
    costs = report.alone, report.distilled
    rows = [
        ("milliseconds", *(f"{cost.loss_ms:.1f}" for cost in costs)),
        ("MiB held for backward", *(f"{cost.saved_mib:.1f}" for cost in costs)),
        *((f"{part} ran", *(str(cost.passes[part]) for cost in costs)) for part in report.distilled.passes),
    ]
    return number_table("one training step", ("", "student alone", "with every knowledge at once"), rows)
