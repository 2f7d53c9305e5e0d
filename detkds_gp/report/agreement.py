"""How well budgets rank formulas, against what they cost, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.figure import Figure

from detkds_gp.ranking import Agreement, ceiling

COLOURS = ("#0072b2", "#d55e00", "#009e73")
"""Okabe and Ito's, told apart by everyone."""


def draw_agreement(agreements: Sequence[Agreement], path: Path) -> None:
    """Draw Kendall's tau with its interval over the cost of a training, one line a way.

    Args:
        agreements: ways in their order, budgets rising.
        path: a PNG or SVG file.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for way, colour in zip(dict.fromkeys(a.way for a in agreements), cycle(COLOURS), strict=False):
        mine = [a for a in agreements if a.way == way]
        x, y = [a.seconds for a in mine], [a.tau for a in mine]
        spread = [[a.tau - a.low for a in mine], [a.high - a.tau for a in mine]]
        axes.errorbar(x, y, yerr=spread, color=colour, marker="o", capsize=3, label=str(way))
        for a in mine:
            axes.annotate(f"{a.iterations}", (a.seconds, a.tau), textcoords="offset points", xytext=(6, 6))
    axes.axhline(0, color="#888888", linewidth=0.8)
    most = ceiling(agreements)
    axes.axhline(most.tau, color="#888888", linewidth=0.8, linestyle="--", label=f"{most.iterations} with themselves")
    axes.set(xlabel="seconds of one candidate", ylabel="Kendall's tau [95% interval]")
    axes.margins(x=0.1, y=0.2)
    axes.set_title(f"ranking of formulas by iterations, against {most.iterations} on other seeds")
    axes.legend()
    figure.savefig(path, dpi=150)
