"""What `gp_search data check` prints of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detkds_gp.data.summary import QUANTILES, REASONS, DataSummary

COLOURS = {"mended": "green", "warning": "yellow", "refused": "red"}


def print_data(console: Console, summary: DataSummary) -> None:
    """Print what each split holds, how large its objects and images are, and what was found."""
    console.print(_counts(summary))
    console.print(_classes(summary))
    console.print(_sizes(summary))
    print_findings(console, summary)


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print what was taken, cut and converted of a folder, a line each."""
    for note in notes:
        console.print(note, soft_wrap=True, highlight=False, markup=False)


def print_findings(console: Console, summary: DataSummary) -> None:
    """Print one line for each thing that was mended, looks wrong or is refused."""
    for names, finding in summary.told():
        place = f" in {names}" if names else ""
        head = f"[{COLOURS[finding.level]}]{finding.level}{place}:[/]"
        console.print(f"{head} {escape(str(finding))}", soft_wrap=True, highlight=False)


def _counts(summary: DataSummary) -> Table:
    table = Table(title="annotations")
    table.add_column("")
    reasons = [reason for reason in REASONS if any(reason in split.not_learned for split in summary.splits.values())]
    for column in ("images", "without an object", "annotations", "learned", *(REASONS[reason] for reason in reasons)):
        table.add_column(column, justify="right")
    for name, split in summary.splits.items():
        left = [split.not_learned.get(reason, 0) for reason in reasons]
        table.add_row(
            name, *(f"{n:,}" for n in (split.images, split.background, split.annotations, split.learned, *left))
        )
    return table


def _classes(summary: DataSummary) -> Table:
    table = Table(title="objects to learn, by class")
    table.add_column("class")
    for name in summary.splits:
        table.add_column(name, justify="right")
    for name in summary.classes:
        table.add_row(escape(name), *(f"{split.by_class[name]:,}" for split in summary.splits.values()))
    return table


def _sizes(summary: DataSummary) -> Table:
    table = Table(title="sizes in pixels", caption="of objects: the square root of width x height")
    for column in ("", "of", *QUANTILES):
        table.add_column(column, justify="right" if column in QUANTILES else "left")
    for name, split in summary.splits.items():
        parts = {"objects": split.object_sizes, "width": split.image_widths, "height": split.image_heights}
        for part, values in parts.items():
            table.add_row(name, part, *(f"{values[q]:g}" if values else "" for q in QUANTILES))
    return table
