"""How well a belief foretells the AP of formulas that it has not seen, on real scores.

The 309 formulas of `budget_value.py`'s table, trained once each on the quickstart's pair, are screened anew; of every
tenth the AP is foretold by a belief that has learned the others': with the directions that screening finds, and with
the primitives of the trees alone.

    python benchmarks/belief_fit.py [--save]

``--save`` writes ``benchmarks/results/belief_fit.json``. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from screening import task_of

from detkds_gp.fitness import ProxyTraining, probes_of
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.screening import DIRECTION, Fingerprint, Screen
from detkds_gp.search.belief import Belief, Directions

RESULTS = Path(__file__).parent / "results"
FOLDS = 10


def table() -> dict[str, float]:
    """Return the AP of every formula after its whole training."""
    rows = json.loads((RESULTS / "budget_value_scores.json").read_text())["rows"]
    whole = max(row["iterations"] for row in rows)
    scored = [row for row in rows if row["iterations"] == whole and row["failure"] is None and row["formula"] != NONE]
    return {row["formula"]: row["ap"] for row in scored}


def foretold(aps: dict[str, float], grammar: Any, direction: Directions) -> dict[str, Any]:
    """Foretell every AP from the others; say how much of their variance that explains."""
    distillers, known = [parse_distiller(text, grammar, bare=None) for text in aps], np.array(list(aps.values()))
    fold, told = np.random.default_rng(0).permutation(len(known)) % FOLDS, np.zeros(len(known))
    inside = np.zeros(len(known), bool)
    for held in range(FOLDS):
        belief, (rest,), (out,) = Belief(grammar, direction), np.nonzero(fold != held), np.nonzero(fold == held)
        belief.learn([distillers[i] for i in rest], known[rest].tolist())
        told[out], deviation = belief.expected([distillers[i] for i in out])
        inside[out] = np.abs(told[out] - known[out]) < 1.96 * np.sqrt(deviation**2 + belief.noise)
    explained = 1 - float(((known - told) ** 2).mean() / known.var())
    tau = float(kendalltau(told, known)[0])
    return {"explained": round(explained, 2), "tau": round(tau, 2), "inside_95": round(float(inside.mean()), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    aps, told = table(), dict[str, str]()
    with tempfile.TemporaryDirectory() as folder:
        task = task_of("quickstart", "DETKDS", {}, Path(folder))
        grammar, screen = task.primitive_set, Screen(probes_of(ProxyTraining(task), 0), task.primitive_set)
        for text in aps:
            formula = parse_distiller(text, grammar).terms[0].formula
            told[formula] = screen(formula).fingerprint
    directions = {formula: Fingerprint.parse(text).direction(DIRECTION) for formula, text in told.items() if text}
    outcome = {
        "formulas": len(aps),
        "with_a_direction": len(directions),
        "directions_and_parts": foretold(aps, grammar, directions.get),
        "parts_alone": foretold(aps, grammar, lambda formula: None),
        "command": "python " + shlex.join(["benchmarks/belief_fit.py", *sys.argv[1:]]),
    }
    if arguments.save:
        (RESULTS / "belief_fit.json").write_text(json.dumps(outcome, indent=1) + "\n")
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
