"""What `gp_search train` prints at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from detkds_gp.full_training import share_of_gap
from detkds_gp.language import NONE
from detkds_gp.training import STUDENT_FILE

COMPARED = {"bbox": "box", "segm": "mask"}
"""What an AP compares, by the name of its metric."""


def print_training(
    console: Console, told: Mapping[str, Any], others: Sequence[Mapping[str, Any]], work_dir: Path
) -> None:
    """Print the AP on the test split of teacher, student alone and distilled students, best first.

    Args:
        console: where.
        told: the training that has ended.
        others: the same training under other distillers, from `compared_with`.
        work_dir: of the training that has ended.
    """
    results = sorted((told, *others), key=lambda one: -one["ap"])
    alone = next((one["ap"] for one in results if one["formula"] == NONE), None)
    teacher = next((one["teacher_ap"] for one in results if one["teacher_ap"] is not None), None)
    table = Table(title=f"{COMPARED[told['metric']]} AP on the test split (COCO, 0.50:0.95)")
    table.add_column("")
    table.add_column("AP", justify="right")
    table.add_column("gap closed", justify="right")
    if teacher is not None:
        table.add_row("teacher", f"{teacher:.3f}", "")
    for one in results:
        if one["formula"] == NONE:
            table.add_row("student alone", f"{one['ap']:.3f}", "")
        else:
            table.add_row(f"student under {one['distiller']}", f"{one['ap']:.3f}", _gap(one["ap"], alone, teacher))
    console.print(table)
    if alone is None:
        console.print("to compare, train the student alone: the same command with --distiller none")
    elif teacher is not None and teacher <= alone:
        console.print("the teacher is not better than the student alone: there is no gap to close")
    if alone is not None and len(results) > 1:
        console.print(
            "one training each: seeds may differ by as much; repeat all with --seed 1, --seed 2 ... for an interval",
            soft_wrap=True,
        )
    console.print(f"student: {work_dir / STUDENT_FILE}", highlight=False, markup=False, soft_wrap=True)


def _gap(ap: float, alone: float | None, teacher: float | None) -> str:
    share = None if alone is None or teacher is None else share_of_gap(ap, alone, teacher)
    return "" if share is None else f"{share:.0%}"
