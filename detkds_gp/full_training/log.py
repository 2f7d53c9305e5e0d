"""What mmengine logged of a training: losses and APs on the selection split, over all its sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

LOG = "*/vis_data/scalars.json"
"""Where mmengine's local visualizer writes, in a folder for each session named by its time."""

POINTS = 120
"""Rows of losses at most."""


def losses_of(folder: Path) -> list[tuple[int, float, float]]:
    """Return (steps, the student's own loss, the distillation loss) as logged; empty where nothing was."""
    rows = {row["step"]: row for row in _rows(folder) if "loss" in row and "step" in row and isfinite(row["loss"])}
    found = [(step, *_split(row)) for step, row in sorted(rows.items())]
    return found[:: max(1, -(-len(found) // POINTS))]


def curve_of(folder: Path, metric: str) -> list[tuple[int, float]]:
    """Return (steps, AP on the selection split) as logged; a training by epochs counts the steps that it logged."""
    found: dict[int, float] = {}
    steps = 0
    for row in _rows(folder):
        if f"coco/{metric}_mAP" in row:
            found[max(steps, row.get("step", 0))] = row[f"coco/{metric}_mAP"]
        elif "loss" in row:
            steps = row.get("step", steps)
    return sorted(found.items())


def _split(row: dict[str, Any]) -> tuple[float, float]:
    distilled = sum(value for name, value in row.items() if name.startswith("loss_distill_"))
    return row["loss"] - distilled, distilled


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(LOG)):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):  # a line that a kill has cut off
                yield json.loads(line)
