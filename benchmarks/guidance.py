"""What a run says about DetKDS's findings: agrees, disagrees or cannot say, with intervals.

Reads a finished run and prints a table in Markdown; nothing is trained.

    python benchmarks/guidance.py WORK_DIR [--save]

``--save`` writes ``benchmarks/results/guidance-<name of WORK_DIR>.json``. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from detkds_gp.report import collect
from detkds_gp.report.guidance import Guidance, guide
from detkds_gp.results import opened

RESULTS = Path(__file__).parent / "results"
ORDER = ("global", "instance", "foreground background", "localization", "class logits")
NORMS = ("unit_channel", "unit_space", "unit_row", "standardize_channel", "standardize_row")
SIMPLE = ("l1", "l2", "smooth_l1")


@dataclass(frozen=True)
class Claim:
    """A finding: the first names are worth more than the others, or more than nothing where there are none."""

    text: str
    group: str
    more: tuple[str, ...]
    less: tuple[str, ...] = ()


def claims(guidance: Guidance) -> list[Claim]:
    """Return the findings of the paper (Li et al., ICML 2024) that a run can be asked about."""
    distances = tuple(f.name for f in guidance.features if f.group == "distance" and f.name not in SIMPLE)
    return [
        *(Claim(f"{one} > {other}", "knowledge", (one,), (other,)) for one, other in pairwise(ORDER)),
        Claim("channel attention > spatial attention", "transform", ("channel_attention",), ("spatial_attention",)),
        Claim("channel attention helps", "transform", ("channel_attention",)),
        Claim("normalisation helps", "transform", NORMS),
        Claim("simple distances > the others", "distance", SIMPLE, distances),
    ]


def answered(claim: Claim, guidance: Guidance, tests: int) -> dict[str, Any]:
    """Hold a claim against a run; with so many claims at once every interval is wider."""
    columns = {f.name: index for index, f in enumerate(guidance.features) if f.group == claim.group}
    more, less = ([columns[name] for name in names if name in columns] for names in (claim.more, claim.less))
    if guidance.model is None or not more or (claim.less and not less):
        return {"claim": claim.text, "difference": None, "verdict": "cannot say: too few candidates have it"}
    found = guidance.model.contrast(more, less, tests)
    verdict = "agrees" if found.low > 0 else "disagrees" if found.high < 0 else "cannot say"
    if not guidance.trusted:
        verdict = "cannot say: unseen candidates are not predicted"
    return {"claim": claim.text, "difference": found.to_json(), "verdict": verdict}


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| DetKDS finds | difference of AP in this run [interval] | this run |", "|---|---|---|"]
    for row in rows:
        told = row["difference"]
        cell = f"{told['mean']:+.4f} [{told['low']:+.4f}, {told['high']:+.4f}]" if told else "–"
        lines.append(f"| {row['claim']} | {cell} | {row['verdict']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    with opened(arguments.work_dir) as summary:
        guidance = guide(collect(arguments.work_dir), summary.primitive_set.declarations)
    asked = claims(guidance)
    rows = [answered(claim, guidance, len(asked)) for claim in asked]
    print(markdown(rows))
    r2 = guidance.model.r2.to_json() if guidance.model else None
    told = {"candidates": guidance.candidates, "held_out_r2": r2, "claims": rows, "sentences": guidance.sentences}
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"guidance-{arguments.work_dir.resolve().name}.json"
        path.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
