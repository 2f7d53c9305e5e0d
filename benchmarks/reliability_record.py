"""The scores of single trainings that `reliability.py` has saved, and what they depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig
from detkds_gp.setup.fingerprints import hash_of
from detkds_gp.setup.prepare import gather

SCORES = Path(__file__).parent / "results" / "reliability_scores.json"


def bound_of(config: ExperimentConfig) -> str:
    """Return a name for all that a training depends on but its length; how formulas are searched is no part of it."""
    fingerprint = gather(config).fingerprint(config)
    names = ("student", "teacher", "proxy", "threads", "init_student_from_teacher")
    return hash_of({**fingerprint, "config": {name: fingerprint["config"][name] for name in names}})


def recorded(cell: str, bound: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Return by distiller and seed the rows of a cell that were recorded under the same bound."""
    found = _all().get(cell, {})
    rows = found["rows"] if found.get("bound") == bound else []
    return {(row["distiller"], row["seed"]): row for row in rows}


def record(cell: str, bound: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record rows of a cell beside those of the same bound, in place of those of another; APs have five digits."""
    known = recorded(cell, bound) | {(row["distiller"], row["seed"]): _rounded(row) for row in rows}
    if not known:
        return
    cells = {**_all(), cell: {"bound": bound, "rows": list(known.values())}}
    with atomic_file(SCORES) as draft:
        draft.write_text(json.dumps(cells, indent=0) + "\n", encoding="utf-8")


def _all() -> dict[str, Any]:
    return json.loads(SCORES.read_text(encoding="utf-8")) if SCORES.is_file() else {}


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    scores: Mapping[str, Mapping[str, float]] | None = row["scores"]
    told = scores and {length: {kind: round(ap, 5) for kind, ap in aps.items()} for length, aps in scores.items()}
    return {**row, "scores": told}
