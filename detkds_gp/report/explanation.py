"""What `gp_search explain` left in a store and beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.gain import Interval, paired_gain
from detkds_gp.report.album import jpeg
from detkds_gp.report.run import Ablated, Explanation, JudgedCandidate, Pictures
from detkds_gp.store import Event
from detkds_gp.store.events import EXPLAINED

FOLDER = "explain"

Aps = Sequence[float | None]


def explanation(
    events: Sequence[Event], winner: JudgedCandidate, test_aps: Callable[[str], Aps], work_dir: Path
) -> Explanation | None:
    """Return what explains a winner; None if nothing does.

    Args:
        events: of the run.
        winner: on the verdict's seeds.
        test_aps: gives a distiller's test APs by the verdict's seeds, from its text.
        work_dir: pictures are read from its folder ``explain``.
    """
    told = [e.detail for e in events if e.kind == EXPLAINED and e.detail["winner"] == winner.candidate.text]
    if not told:
        return None
    rows = [_ablated(values, winner.test_aps, test_aps(values["distiller"])) for values in told[-1]["ablations"]]
    rows.sort(key=lambda row: row.change.mean if row.change else 1.0)
    painted = told[-1]["pictures"]
    pictures = [_pictures(values, work_dir / FOLDER) for values in painted.get("images", ())]
    return Explanation(tuple(rows), tuple(pictures), tuple(painted.get("classes", ())))


def _ablated(values: Mapping[str, str], winner: Aps, without: Aps) -> Ablated:
    pairs = [(a, b) for a, b in zip(without, winner, strict=False) if a is not None and b is not None]
    change = None
    if len(pairs) > 1:
        change = paired_gain(*map(list, zip(*pairs, strict=True)))
    elif pairs:
        difference = pairs[0][0] - pairs[0][1]
        change = Interval(difference, difference, difference)
    return Ablated(values["kind"], values["removed"], values["left"], len(pairs), change)


def _pictures(values: Mapping[str, Any], folder: Path) -> Pictures:
    detections = {who: jpeg(folder, name) for who, name in values["detections"].items()}
    pulls = {knowledge: tuple(jpeg(folder, n) for n in names) for knowledge, names in values["pulls"].items()}
    return Pictures(values["name"], detections, pulls)
