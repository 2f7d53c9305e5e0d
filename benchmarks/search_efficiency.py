"""What a strategy finds with few noisy trainings: the true gain of what it returns, on synthetic landscapes.

Every landscape (`landscapes.py`) is searched by every strategy with the same sizes, screening and noise. What is
returned is the best of the five that a strategy puts first, by their mean over six further seeds, as a final round
would choose. ``belief`` is also measured with one part left out at a time; Optuna's samplers (`optuna_peers.py`) draw
whole distillers from the same grammar and get as many trainings.

    python benchmarks/search_efficiency.py [--landscapes 30] [--trainings 50 100 200 300] [--noise 0.01 ...]
        [--strategies evolution ...] [--table NAME CONFIG WORK_DIR [--cfg-options KEY=VALUE ...]] [--save]

``--table`` takes landscapes that repeat a table of real scores in their place (`real_landscape.py`, with the luck that
seeds have there). ``--save`` adds rows to ``benchmarks/results/search_efficiency.json``. The last line printed is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from landscapes import Landscape
from optuna_peers import SAMPLERS, optimised
from real_landscape import RealLandscape, Table
from second_seeds import RepeatingSearch

from detkds_gp.gain import paired_gain
from detkds_gp.language import Distiller
from detkds_gp.primitives import DETKDS
from detkds_gp.score import Score
from detkds_gp.screening import Finding
from detkds_gp.search import (
    BeliefSearch,
    Candidate,
    DivideAndConquer,
    RandomSearch,
    RegularizedEvolution,
    SearchSettings,
    run_search,
)

RESULTS = Path(__file__).parent / "results" / "search_efficiency.json"
KNOWLEDGE = ("global", "foreground_background", "instance", "class_logits", "localization")
GRAMMAR = DETKDS.without(*[d.name for d in DETKDS.inputs if d.niches and not set(d.niches) & set(KNOWLEDGE)])
SIZES = {50: (2, 3, 5, 3), 100: (3, 4, 5, 4), 200: (5, 4, 15, 4), 300: (8, 4, 20, 4)}
"""By about how many trainings: formulas of a knowledge, generations of them, mixes, generations of them."""
NOISE = 0.01
"""Standard deviation of a score over seeds, where none is asked for."""
PLACES, SEEDS = 5, 6
"""Of the final round."""
SECOND = 5000
"""Before the first of the further seeds that a search may ask for."""

Findings = Callable[[Sequence[str]], Sequence[Finding]]
AnyLandscape = Landscape | RealLandscape


class NoBrood(BeliefSearch):
    """The belief chooses parents and champions; all that is bred is trained."""

    def _made_guide(self, rng: Any) -> Any:
        guide = super()._made_guide(rng)
        guide.offered, guide.fresh = 1, 0.0
        return guide


STRATEGIES: dict[str, type[DivideAndConquer]] = {
    "evolution": DivideAndConquer,
    "regularized": RegularizedEvolution,
    "random": RandomSearch,
    "belief": BeliefSearch,
    "belief without directions": BeliefSearch,
    "belief without a brood": NoBrood,
    "belief with second seeds": RepeatingSearch,
    "belief, 1 ahead": BeliefSearch,
    "belief, 2 ahead": BeliefSearch,
    "belief, halves": BeliefSearch,
    "belief, halves, 1 ahead": BeliefSearch,
    "belief, quarters, 3 ahead": BeliefSearch,
}
AHEAD = {"1 ahead": 1, "2 ahead": 2, "3 ahead": 3}
"""By the end of a name: generations that a strategy is asked besides the one that it is told next."""
PIECES = {"halves": 2, "quarters": 4}
"""By a part of a name: in how many pieces, each a generation of its own, a generation is cut; of 300 trainings."""


def undirected(screen: Findings) -> Findings:
    """Screen without telling directions."""
    return lambda formulas: [replace(finding, direction=None) for finding in screen(formulas)]


def searched(name: str, landscape: AnyLandscape, trainings: int, seed: int) -> dict[str, float]:
    """Search a landscape; return the true gains of the leader and of what a final round chooses."""
    began = time.process_time()
    look = optimised_first if name in SAMPLERS else evolved_first
    trained, first = look(name, landscape, trainings, seed)
    seconds = time.process_time() - began
    best = max(first, key=lambda one: fmean(landscape.score(one, 1000 + number) for number in range(SEEDS)))
    return {"trainings": trained, "leader": landscape.gain(first[0]), "gain": landscape.gain(best), "seconds": seconds}


def evolved_first(name: str, landscape: AnyLandscape, trainings: int, seed: int) -> tuple[int, list[Distiller]]:
    """Return how many trainings a strategy asked for, and what it puts first."""
    parts = name.split(", ")
    pieces = next((PIECES[part] for part in parts if part in PIECES), 1)
    size, generations, mixes, mixed = SIZES[trainings]
    if size % pieces or mixes % pieces:
        raise SystemExit(f"{name}: generations of {size} and {mixes} cannot be cut into {pieces}; take 300 trainings")
    size, generations = size // pieces, pieces * (generations + 1) - 1
    mixes, mixed = mixes // pieces, pieces * (mixed + 1) - 1
    settings = SearchSettings(
        divide={"population": size, "offspring": size, "generations": generations},
        conquer={"population": mixes, "offspring": mixes, "generations": mixed},
    )
    screen = undirected(landscape.findings) if "directions" in name else landscape.findings
    search = STRATEGIES[name](landscape.primitive_set, settings, seed, screen=screen)

    def scored(candidates: Sequence[Candidate]) -> list[Score]:
        return [Score(landscape.score(candidate.distiller, seed)) for candidate in candidates]

    if isinstance(search, RepeatingSearch):
        search.repeating.score = lambda distiller, number: landscape.score(distiller, SECOND + number)
    run_search(search, scored, ahead=AHEAD.get(parts[-1], 0))
    further = search.repeating.spent if isinstance(search, RepeatingSearch) else 0
    return search.counts["trained"] + further, [individual.distiller for individual in search.hall_of_fame[:PLACES]]


def optimised_first(name: str, landscape: AnyLandscape, trainings: int, seed: int) -> tuple[int, list[Distiller]]:
    """Return the same of one of Optuna's samplers, which gets as many trainings as the strategies do."""
    size, generations, mixes, mixed = SIZES[trainings]
    grammar, niches = landscape.primitive_set, len(landscape.primitive_set.niches)
    asked = niches * size * (1 + generations) + mixes * (1 + mixed) - niches
    found = optimised(name, grammar, lambda distiller: landscape.score(distiller, seed), asked, seed)
    return asked, found[:PLACES]


def row(found: Sequence[dict[str, float]], runs: Mapping[str, Sequence[dict[str, float]]]) -> dict[str, Any]:
    """Sum up the runs of a strategy: means with an interval, its gain over evolution, and belief's gain over it."""
    gains = [one["gain"] for one in found]
    means = {key: fmean(one[key] for one in found) for key in ("gain", "leader", "trainings", "seconds")}
    whole = paired_gain(gains, [0.0] * len(gains))
    evolved, believed = ([one["gain"] for one in runs.get(name, ())] for name in ("evolution", "belief"))
    told = rounded_values({**means, "low": whole.low, "high": whole.high})
    told |= {"over_evolution": rounded_values(vars(paired_gain(gains, evolved)))} if evolved else {}
    return told | ({"belief_over_it": rounded_values(vars(paired_gain(believed, gains)))} if believed else {})


def rounded_values(values: Mapping[str, float]) -> dict[str, Any]:
    """Round to four places."""
    return {key: round(value, 4) for key, value in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--landscapes", type=int, default=30)
    parser.add_argument("--trainings", type=int, nargs="+", default=sorted(SIZES), choices=sorted(SIZES))
    parser.add_argument("--noise", type=float, nargs="+", default=[NOISE])
    everyone = [*STRATEGIES, *SAMPLERS]
    parser.add_argument("--strategies", nargs="+", default=everyone, choices=everyone)
    parser.add_argument("--table", nargs=3, metavar=("NAME", "CONFIG", "WORK_DIR"))
    parser.add_argument("--cfg-options", nargs="*", default=[], metavar="k=v")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    told: dict[str, dict[str, Any]] = {}
    table, noises = None, arguments.noise
    if arguments.table:
        name, config, work_dir = arguments.table
        table, noises = Table.read(name, config, Path(work_dir), arguments.cfg_options), [NOISE]
    for noise, trainings in product(noises, arguments.trainings):
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.strategies}
        for seed in range(arguments.landscapes):
            landscape = RealLandscape(table, seed) if table else Landscape(GRAMMAR, seed, noise)
            for name in runs:
                runs[name].append(searched(name, landscape, trainings, seed))
        place = str(trainings) if noise == NOISE else f"{trainings}, noise {noise:g}"
        told[place] = {name: row(found, runs) for name, found in runs.items()}
        for name, one in told[place].items():
            print(f"{place:>16s}  {name:28s} {one}", flush=True)
    command = "python " + shlex.join(["benchmarks/search_efficiency.py", *sys.argv[1:]])
    where = f"table {arguments.table[0]}" if table else "landscapes"
    outcome = {"runs": arguments.landscapes, where: told, "command": command} | ({} if table else {"noise": NOISE})
    if arguments.save:
        saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        known = saved.get(where, {})
        told = known | {place: known.get(place, {}) | rows for place, rows in told.items()}
        outcome = saved | outcome | {where: told}
        RESULTS.write_text(json.dumps(outcome, indent=1) + "\n")
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
