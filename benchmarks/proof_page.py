"""The results of `proof.py` as Markdown: a row a cell, and what all cells say together.

    python benchmarks/proof_page.py [FILE]

prints it, of ``results/proof.json`` where no file is given. Over cells: how often the searched loss is above, a sign
test, and the mean difference with its 95% interval, for which every cell counts once, whatever its seeds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from proof import ALONE, HANDED_OVER, RESULTS, SEARCHED
from proof_rivals import AS_PUBLISHED, COMBINED, TUNED
from scipy.stats import binomtest

from detkds_gp.gain import paired_gain, signed

SHORT = {TUNED: "tuned", COMBINED: "TPE", AS_PUBLISHED: "as published", HANDED_OVER: "handed over"}
"""What stands in a table for a sort of rival."""


def row(cell: Mapping[str, Any]) -> str:
    """Return the row of a cell."""
    steps = f"{cell['iterations']}" + (" (end)" if cell["gap"] and cell["gap"]["curve"] else "")
    if not cell["used"]:
        gap = cell["gap"]
        why = f"not used: the gap on selection is {gap['gap']:.3f}, seeds differ by {gap['seeds_differ_by']:.3f}"
        return f"| {cell['data']} | {cell['pair']} | {steps} | {why} | | | | | | |"
    rivals = "; ".join(
        f"{SHORT.get(name, name)} {fmean(one['test_ap']):.3f}"
        for name, one in cell["judged"].items()
        if name not in (ALONE, SEARCHED) and None not in one["test_ap"]
    )
    best = SHORT.get(cell["best_rival"]["name"], cell["best_rival"]["name"])
    figures = (f"{cell[key]:.3f}" for key in ("teacher", "alone", "searched"))
    told = (cell["data"], cell["pair"], steps, *figures, _interval(cell["gain"]), rivals, best)
    return f"| {' | '.join(told)} | {_interval(cell['over_rival'])} |"


def together(cells: Sequence[Mapping[str, Any]], key: str, over: str) -> str:
    """Return what all used cells say of the searched loss against something."""
    means = [cell[key]["mean"] for cell in cells if cell["used"] and cell[key]]
    above = sum(mean > 0 for mean in means)
    said = f"over {over} in {above} of {len(means)} cells (sign test, p = {binomtest(above, len(means)).pvalue:.2f})"
    if len(means) < 2:
        return said
    gain = paired_gain(means, [0.0] * len(means))
    return f"{said}, by {_interval(vars(gain))} in the mean"


def _interval(gain: Mapping[str, float] | None) -> str:
    if gain is None:
        return "a training failed"
    text = f"{signed(gain['mean'])} [{signed(gain['low'])}, {signed(gain['high'])}]"
    return f"**{text}**" if gain["low"] > 0 or gain["high"] < 0 else text


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    cells = list(json.loads(path.read_text(encoding="utf-8"))["cells"].values())
    head = ("data", "pair", "steps", "teacher", "alone", "searched", "over alone", "rivals", "best rival", "over it")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    print("\n".join(map(row, cells)))
    if any(cell["used"] for cell in cells):
        against = (("gain", "the student alone"), ("over_rival", "the best rival"))
        print("\nThe searched loss is " + "; ".join(together(cells, *one) for one in against) + ".")


if __name__ == "__main__":
    main()
