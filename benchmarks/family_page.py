"""The page docs/detectors.md, made of the rows of `families.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from family_list import FAMILIES, PAIRS

Row = Mapping[str, Any]
SOURCE = "https://github.com/open-mmlab/mmdetection/blob/v3.3.0/configs"

KNOWLEDGE = {
    "global": "global",
    "foreground_background": "fore- and background",
    "instance": "instance",
    "class_logits": "class logits",
    "localization": "localization",
    "objectness": "objectness",
    "proposals": "proposals",
    "mask_logits": "mask logits",
    "cross_head": "cross-head",
    "memory": "encoder memory",
    "queries": "queries",
    "predictions": "predictions",
}
"""By niche, the head of its column."""
INTRO = """# Detectors

Which knowledge which of mmdet's detectors offers. `benchmarks/families.py --page` writes this page of
`benchmarks/results/families.json`, and a test measures rows again. What the kinds of knowledge are:
[Knowledge](knowledge.md).

For every row, `gp_search check` looks at the pair, and the student trains for {steps} steps of the proxy with the
simplest formula of every knowledge that it offers. The detectors are mmdet's own configs, most of them a quarter as
wide, with random weights, on digit scenes of {size} pixels. {own_losses}

A tick says that the pair offers the knowledge and trains with it; "bins" that the head's distributions are offered
beside its boxes. A number is that of the reason below. `gp_search check CONFIG --random-weights` says the same of any
other pair.
"""


def page(rows: Mapping[str, Row], steps: int, size: int) -> str:
    """Return the page in Markdown."""
    notes: list[str] = []
    alike = [
        line(f"[{name}]({SOURCE}/{config})", rows[name], notes) for name, config in FAMILIES.items() if name in rows
    ]
    unlike = [line(f"{theirs} → {ours}", rows[name], notes) for name, (ours, theirs) in PAIRS.items() if name in rows]
    parts = (
        INTRO.format(steps=steps, size=size, own_losses=own_losses(rows)),
        f"## One detector as student and teacher\n\n{table('detector', alike)}\n",
        f"## Unlike pairs\n\n{table('teacher → student', unlike)}\n",
        "## Reasons\n\n" + "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1)) + "\n",
    )
    return "\n".join(parts)


def own_losses(rows: Mapping[str, Row]) -> str:
    """Say of how many pairs the student's own loss is mmdet's, and of which it is not."""
    compared = {name: row["own_loss"] for name, row in rows.items() if row["own_loss"] is not None}
    others = [name for name, plain in compared.items() if not plain]
    told = f", save for {', '.join(others)}" if others else ""
    count = len(compared)
    return f"In all {count} rows that train, the student's own loss on a batch is bitwise that of mmdet alone{told}."


def table(what: str, lines: Sequence[str]) -> str:
    """Return a table with a column for each knowledge."""
    head = [what, *KNOWLEDGE.values()]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines])


def line(title: str, row: Row, notes: list[str]) -> str:
    """Return the line of a pair; a row that ended with an error has its number everywhere else."""
    whole = note(row["error"], notes) if row["error"] else ""
    cells = [whole or cell(row["knowledge"].get(niche, ""), notes) for niche in KNOWLEDGE]
    return f"| {title} | {' | '.join(cells)} |"


def cell(found: Sequence[str] | str, notes: list[str]) -> str:
    """Return a tick for the inputs that are offered, or the number of the reason why none is."""
    if isinstance(found, str):
        return note(found, notes)
    return "✓ bins" if "box_bins" in found else "✓"


def note(reason: str, notes: list[str]) -> str:
    """Return the number of a reason; those that differ in the name of the detector alone share one."""
    plain = re.sub(
        r"; \w+ has no ", "; no ", re.sub(r"^(the (?:student|teacher)'s) \w+ has no ", r"\1 detector has no ", reason)
    )
    if plain not in notes:
        notes.append(plain)
    return str(notes.index(plain) + 1)
