"""Painted images of a folder, and what `gp_search explain` left in a store and beside it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from detkds_gp.report.run import Ablated, Explanation, JudgedCandidate, Pictures
from detkds_gp.report.students import both_known, mean_gain
from detkds_gp.results import Judged
from detkds_gp.store import Event
from detkds_gp.store.events import EXPLAINED


def album(folder: Path, **about: Any) -> tuple[Pictures, ...]:
    """Return the pictures of an album; none where there is no album, it is broken, or is about something else.

    Args:
        folder: only files of it are read.
        about: what its index has to tell.
    """
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        told = json.loads((folder / "album.json").read_text(encoding="utf-8"))
        if all(told.get(key) == value for key, value in about.items()):
            return tuple(_pictures(image["name"], image["files"], {}, folder) for image in told["images"])
    return ()


def explanation(
    events: Sequence[Event], winner: JudgedCandidate, judged: Callable[[str], Judged], work_dir: Path
) -> Explanation | None:
    """Return what explains a winner; None if nothing does.

    Args:
        events: of the run.
        winner: on the verdict's seeds.
        judged: says of a distiller's text how it did on the verdict's seeds.
        work_dir: pictures are read from its folder ``explain``.
    """
    told = [e.detail for e in events if e.kind == EXPLAINED and e.detail["winner"] == winner.candidate.text]
    if not told:
        return None
    rows = []
    for part in told[-1]["ablations"]:
        pairs = both_known(judged(part["distiller"]).test_aps, winner.test_aps)
        rows.append(Ablated(part["removed"], part["left"], len(pairs), mean_gain(pairs)))
    rows.sort(key=lambda row: row.change.mean if row.change else 1.0)
    painted = told[-1]["pictures"]
    folder = work_dir / "explain"
    pictures = (_pictures(one["name"], one["detections"], one["pulls"], folder) for one in painted.get("images", ()))
    return Explanation(tuple(rows), tuple(pictures), tuple(painted.get("classes", ())))


def _pictures(name: str, detections: Mapping[str, str], pulls: Mapping[str, Sequence[str]], folder: Path) -> Pictures:
    found = {who: _jpeg(folder, file) for who, file in detections.items()}
    return Pictures(name, found, {term: tuple(_jpeg(folder, file) for file in files) for term, files in pulls.items()})


def _jpeg(folder: Path, name: str) -> str:
    """Return a picture as base64; empty if it is gone. Only files of the folder itself are read."""
    path = folder / Path(name).name
    return b64encode(path.read_bytes()).decode("ascii") if path.suffix == ".jpg" and path.is_file() else ""
