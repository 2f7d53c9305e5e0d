"""What `gp_search` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detkds_gp.experiment.results import Ranked
from detkds_gp.gain import paired_gain


def print_json(value: Any) -> None:
    """Print plain values as JSON, undecorated."""
    print(json.dumps(value, indent=2))


def print_result(console: Console, summary: Mapping[str, Any], work_dir: Path) -> None:
    """Print teacher, baseline, best of each knowledge and the winner, with the gain on the test split."""
    table = Table(title="AP (COCO, 0.50:0.95)")
    for column in ("", "selection", "test", "gain on test [95% interval]"):
        table.add_column(column, justify="left" if not column else "right")
    baseline = summary["baseline"]
    table.add_row("teacher", _ap([summary["teacher"]["selection_ap"]]), _ap([summary["teacher"]["test_ap"]]), "")
    table.add_row("student alone", _ap(baseline["selection_ap"]), _ap(baseline["test_ap"]), "")
    for niche, found in summary["niches"].items():
        table.add_row(
            f"best of {niche}",
            _ap([found["selection_ap"]]),
            _ap(found["test_ap"]),
            _gain(found["test_ap"], baseline["test_ap"]),
        )
    best, final = summary["best"], summary["final"]
    if best is not None:
        table.add_row(
            "[bold]winner[/bold]",
            _ap([best["selection_ap"]]),
            _ap(best["test_ap"]),
            _gain(best["test_ap"], baseline["test_ap"]),
        )
    console.print(table)
    if final is not None:
        _print_final(console, final, baseline)
    if best is not None:
        console.print(f"winner: {best['formula']}", soft_wrap=True, markup=False, highlight=False)
        console.print(verdict(best["gain"]), highlight=False)
        if best["optimism"] is not None:
            said = f"its gain is {best['optimism']:+.3f} AP larger on selection, where it was chosen, than on test"
            console.print(said, highlight=False)
    counts = ", ".join(f"{number} {name}" for name, number in summary["counts"].items())
    for line in (screening_line(summary["screening"]), f"{counts}; everything is in {work_dir}"):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def screening_line(told: Mapping[str, Any]) -> str:
    """Say in words what screening found."""
    rejected = ", ".join(f"{number} {name}" for name, number in told["rejected"].items()) or "none"
    return f"{told['screened']} formulas screened: rejected {rejected}; {told['same']} the same loss as another"


def print_rejections(console: Console, rejections: Mapping[str, str], most: int) -> None:
    """List formulas that were not trained, and why."""
    for formula, why in list(rejections.items())[:most]:
        console.print(f"not trained: {formula}: {why}", soft_wrap=True, highlight=False, markup=False, emoji=False)


def _print_final(console: Console, final: Mapping[str, Any], baseline: Mapping[str, Any]) -> None:
    """Print everyone who was judged, the best on selection first."""
    title = f"final round: {final['iterations']} iterations, {len(final['seeds'])} seeds"
    table = Table(title=title, caption=final["reduced"] or None)
    for column in ("", "selection", "test", "gain on test [95% interval]"):
        table.add_column(column, justify="left" if not column else "right")
    rows = sorted(final["finalists"], key=lambda row: -fmean(row["selection_ap"] or [0.0]))
    for row in rows:
        gain = _gain(row["test_ap"], baseline["test_ap"])
        table.add_row(row["role"], _ap(row["selection_ap"]), _ap(row["test_ap"]), gain)
    console.print(table)


def verdict(gain: Mapping[str, float] | None) -> str:
    """Say in words what the interval of the gain allows to say."""
    if gain is None:
        return "no verdict: the run is not finished, or a training on one of the verdict's seeds failed"
    if gain["low"] > 0:
        return "better than the student alone: the interval of the gain is above 0"
    if gain["high"] < 0:
        return "worse than the student alone: the interval of the gain is below 0"
    return "not distinguishable from the student alone: the interval of the gain holds 0"


def _ap(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3f}" if known else ""


def _gain(treated: Sequence[float | None], baseline: Sequence[float | None]) -> str:
    pairs = [(a, b) for a, b in zip(treated, baseline, strict=False) if a is not None and b is not None]
    if len(pairs) < 2 or len(pairs) < max(len(treated), len(baseline)):
        return ""
    return escape(str(paired_gain(*zip(*pairs, strict=True))))


def print_ranking(console: Console, ranking: Sequence[Ranked]) -> None:
    """List distillers, best first."""
    for number, ranked in enumerate(ranking, start=1):
        console.print(
            f"{number:3d}  {ranked.score.ap:.4f}  {ranked.distiller.text}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


def print_primitives(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """List primitives with their kinds and effect."""
    table = Table()
    for column in ("name", "role", "kinds", "effect"):
        table.add_column(column, overflow="fold")
    for row in rows:
        kinds = f"{', '.join(row['arguments'])} -> {row['result']}" if row["arguments"] else row["result"]
        table.add_row(row["name"], row["role"].replace("_", " "), kinds, escape(row["doc"]))
    console.print(table)
