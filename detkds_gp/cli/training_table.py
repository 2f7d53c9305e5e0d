"""What `gp_search train` prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from detkds_gp.experiment.full_training import share_of_gap
from detkds_gp.training import STUDENT_FILE

COMPARED = {"bbox": "box", "segm": "mask"}
"""What an AP compares, by the name of its metric."""


def print_training(
    console: Console, told: Mapping[str, Any], baseline: Mapping[str, Any] | None, work_dir: Path
) -> None:
    """Print the AP on the test split of teacher, student alone and distilled student, and where the student lies."""
    table = Table(title=f"{COMPARED[told['metric']]} AP on the test split (COCO, 0.50:0.95)")
    table.add_column("")
    table.add_column("AP", justify="right")
    teacher = told["teacher_ap"]
    if teacher is not None:
        table.add_row("teacher", f"{teacher:.3f}")
    if baseline is not None and told["formula"] != "none":
        table.add_row("student alone", f"{baseline['ap']:.3f}")
    table.add_row("student alone" if told["formula"] == "none" else "distilled student", f"{told['ap']:.3f}")
    console.print(table)
    if told["formula"] != "none":
        console.print(_gap(told, baseline), highlight=False, markup=False)
    console.print(f"student: {work_dir / STUDENT_FILE}", highlight=False, markup=False, soft_wrap=True)


def _gap(told: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    if baseline is None:
        return "to compare, train the student alone: the same command with --distiller none"
    share = share_of_gap(told["ap"], baseline["ap"], told["teacher_ap"])
    if share is None:
        return "the teacher is not better than the student alone: there is no gap to close"
    return f"share of the teacher-student gap closed: {share:.0%}"
