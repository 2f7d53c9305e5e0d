"""How long a strategy takes to propose a distiller, by how many answers it knows: CPU time, without screening.

A search of a synthetic landscape (`landscapes.py`) whose generations have eight formulas of each of five knowledges.
What is timed is all that a strategy does between the answers of a generation and its next candidates: learning,
breeding and choosing.

    python benchmarks/proposal_time.py [--answers 10000] [--strategies belief evolution] [--save]

``--save`` writes ``benchmarks/results/proposal_time.json``. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

from landscapes import Landscape
from search_efficiency import GRAMMAR, KNOWLEDGE, NOISE

from detkds_gp.score import Score
from detkds_gp.search import SearchSettings, make_strategy

RESULTS = Path(__file__).parent / "results" / "proposal_time.json"
SIZE = 8
"""New formulas of each knowledge in a generation."""
NEAREST = 5
"""Generations that count for a number of answers: those that know about as many."""


def measured(name: str, answers: int) -> list[tuple[int, float]]:
    """Return, for every generation, the answers known before it and the CPU seconds a proposal took."""
    generations = answers // (SIZE * len(KNOWLEDGE))
    stage = {"population": SIZE, "offspring": SIZE, "generations": generations}
    landscape = Landscape(GRAMMAR, 0, NOISE)
    settings = SearchSettings(strategy=name, divide=stage)
    strategy = make_strategy(GRAMMAR, settings, 0, landscape.findings)
    known, found = 0, []
    candidates = strategy.ask()
    while candidates and known < answers:
        known += len(candidates)
        scores = [Score(landscape.score(one.distiller, 0)) for one in candidates]
        began = time.process_time()
        strategy.tell(scores)
        candidates = strategy.ask()
        found.append((known, (time.process_time() - began) / max(1, len(candidates))))
    return found


def near(found: list[tuple[int, float]], answers: int) -> float:
    """Return the median seconds a proposal of the generations that know about so many answers."""
    return median(seconds for _, seconds in sorted(found, key=lambda one: abs(one[0] - answers))[:NEAREST])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=10000)
    parser.add_argument("--strategies", nargs="+", default=["belief", "evolution"])
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    told: dict[str, Any] = {}
    for name in arguments.strategies:
        found = measured(name, arguments.answers)
        counts = [count for count in (100, 1000, 10000) if count <= arguments.answers]
        told[name] = {str(count): round(near(found, count), 4) for count in counts}
        print(name, told[name], flush=True)
    if arguments.save:
        RESULTS.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
