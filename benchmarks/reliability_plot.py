"""The picture of `reliability.py`: reliability and tau over the length of a training, last and averaged weights.

    python benchmarks/reliability_plot.py [results/reliability.json] [--out docs/images/reliability.png]

draws one row for each cell of the file, with 95% intervals; the last line printed is the picture's path.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parent
KINDS = {"before": ("last weights", "#d55e00"), "now": ("averaged weights", "#0072b2")}
"""Title and colour (Okabe and Ito's) by the name that the file has."""
SIDES = {"reliability": "share of a score that is formula", "tau": "Kendall's tau against the truth"}
CELLS = {
    "bccd_retinanet": "blood cells, RetinaNet",
    "bccd_gfl": "blood cells, GFL",
    "raccoon_retinanet": "raccoons, RetinaNet",
    "bccd_narrow": "narrow pair, to the end",
}


def draw(cells: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw cells, as `reliability.told_of` returns them, to a PNG or SVG file."""
    figure = Figure(figsize=(9, 0.6 + 2.8 * len(cells)), layout="constrained")
    grid = figure.subplots(len(cells), len(SIDES), squeeze=False)
    for row, (name, cell) in zip(grid, cells.items(), strict=True):
        for axes, (side, title) in zip(row, SIDES.items(), strict=True):
            _panel(axes, cell["lengths"], side)
            axes.set_title(f"{CELLS.get(name, name)}: {title}", fontsize=9)
            axes.set_xticks([int(length) for length in cell["lengths"]])
        row[1].axhline(0, color="#888888", linewidth=0.8)
    grid[0][0].legend(fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("iterations of a training")
    figure.savefig(path, dpi=150)


def _panel(axes: Axes, lengths: Mapping[str, Mapping[str, Any]], side: str) -> None:
    """Draw one number of last and of averaged weights over the lengths; what is not known is left out."""
    for place, (kind, (title, colour)) in enumerate(KINDS.items()):
        told = {int(n): kinds[kind] for n, kinds in lengths.items() if kinds[kind][side] is not None}
        x = [n * (1 + 0.01 * place) for n in told]
        y = [kinds[side] for kinds in told.values()]
        ends = [kinds[f"{side}_interval"] or [kinds[side]] * 2 for kinds in told.values()]
        spread = [[max(0.0, at - low) for at, (low, _) in zip(y, ends, strict=True)],
                  [max(0.0, high - at) for at, (_, high) in zip(y, ends, strict=True)]]  # fmt: skip
        axes.errorbar(x, y, yerr=spread, color=colour, marker="o", capsize=3, label=title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=ROOT / "results" / "reliability.json")
    parser.add_argument("--out", type=Path, default=ROOT.parent / "docs" / "images" / "reliability.png")
    arguments = parser.parse_args()
    draw(json.loads(arguments.results.read_text(encoding="utf-8"))["cells"], arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
