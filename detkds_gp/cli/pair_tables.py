"""What `gp_search check` prints of a pair."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detkds_gp.preflight import Curves, Offer, PairReport

_CAPTION = (
    "stride: shape on one image, student > teacher where they differ\n"
    "scale: a plain loss times it pulls as hard as the untrained student's own loss"
)


def print_pair(console: Console, report: PairReport) -> None:
    """Print the data in short, what a pair shares, level by level, and what a step costs."""
    for line in report.data.lines():
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(_offers(report.offers))
    for line in _refused(report.offers):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(_steps(report))
    for line in report.said:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if report.ap:
        aps = ", ".join(f"{role} {ap:.3f}" for role, ap in report.ap.items())
        console.print(f"AP on selection: {aps}", highlight=False)


def print_curves(console: Console, curves: Curves) -> None:
    """Print where student and teacher stand on the way, and what follows."""
    table = Table(title="learning curves: AP on selection")
    for column in ("", "iterations", "AP"):
        table.add_column(column, justify="left" if not column else "right")
    for who, points in (("student alone", curves.student), ("teacher", curves.teacher)):
        for iterations, ap in points:
            table.add_row(who, str(iterations), f"{ap:.3f}")
    console.print(table)
    for line in curves.said:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


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


def _refused(offers: Sequence[Offer]) -> list[str]:
    """Return one line for each reason, with the inputs that it holds back."""
    names: dict[str, list[str]] = {}
    for offer in offers:
        if offer.reason:
            names.setdefault(offer.reason, []).append(offer.name)
    return [f"not shared: {', '.join(inputs)}: {reason}" for reason, inputs in names.items()]


def _steps(report: PairReport) -> Table:
    table = Table(title="one training step")
    for column in ("", "student alone", "with every knowledge at once"):
        table.add_column(column, justify="right" if column else "left")
    costs = report.alone, report.distilled
    table.add_row("milliseconds", *(f"{cost.loss_ms:.1f}" for cost in costs))
    table.add_row("MiB held for backward", *(f"{cost.saved_mib:.1f}" for cost in costs))
    for part in report.distilled.passes:
        table.add_row(f"{part} ran", *(str(cost.passes[part]) for cost in costs))
    return table
