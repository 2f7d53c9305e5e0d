"""What a race saves in the final round, and whether its intervals hold, by simulation.

Finalists have a true worth; a training adds luck, which selection and test share in part. Both rounds take the same
number of trainings: everyone on every seed, and the race of `detkds_gp.final_round.race`.

    python benchmarks/final_round.py [--rounds 4000] [--luck .006] [--shared .7] [--save]

prints one line of JSON: ``{"rounds", "luck", "shared", "cells": {"spread 13": {"plain": {...}, "race": {...}}}}``; of
either round ``regret`` (true AP of the best finalist less that of the winner), ``coverage`` of the winner's 95%
interval, its median ``half_width``, ``better`` (how often it lies above 0; where nobody gains this is the error, .025
is wanted), ``beats_rival`` (how often the winner's interval over the best of the other side lies above 0) and the
``seeds`` of the interval. Worths are drawn with a standard deviation of .011 (``spread``), are the best of 60 that
differ by .013 after a search with luck of .008 (``top``), or all 0 (``equal``). Luck, spread and what selection and
test share of luck are near those of the final rounds in ``results/gain-*.json``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkds_gp.final_round import Race, kept, plan_race
from detkds_gp.gain import paired_gain
from detkds_gp.results import Finalist
from detkds_gp.results.finalist import LEFT

RESULTS = Path(__file__).parent / "results" / "final_round.json"
SEEDS = 4
PLACES = (8, 10, 13)
MOST = 12
"""Seeds that are drawn for everyone: more than any race takes."""

Worths = NDArray[np.float64]
"""True AP of every finalist over the student alone."""


@dataclass(frozen=True)
class Noise:
    """What a training adds.

    Attributes:
        luck: its standard deviation on either split, in AP.
        shared: the correlation of what it adds on selection and on test.
    """

    luck: float
    shared: float


def spread(rng: np.random.Generator, places: int) -> Worths:
    """Draw finalists that differ as those of measured final rounds."""
    return 0.011 * rng.standard_normal(places)


def top(rng: np.random.Generator, places: int) -> Worths:
    """Draw the best of a search by its scores."""
    worth = 0.013 * rng.standard_normal(60)
    return worth[np.argsort(-(worth + 0.008 * rng.standard_normal(60)))[:places]]


def equal(rng: np.random.Generator, places: int) -> Worths:
    """Draw finalists of which none gains anything."""
    return np.zeros(places)


KINDS: dict[str, Callable[[np.random.Generator, int], Worths]] = {"spread": spread, "top": top, "equal": equal}


def simulate(kind: str, places: int, rounds: int, noise: Noise) -> dict[str, dict[str, float]]:
    """Hold final rounds both ways on the same draws; return what came out of either."""
    rng, race = np.random.default_rng(places), plan_race(places, range(SEEDS))
    assert race is not None
    told: dict[str, list[dict[str, float]]] = {"plain": [], "race": []}
    for _ in range(rounds):
        worth = np.append(KINDS[kind](rng, places), 0.0)  # the student alone comes last
        common, apart = rng.standard_normal((2, 2, places + 1, MOST))
        selection = worth[:, None] + noise.luck * common[0]
        test = worth[:, None] + noise.luck * (noise.shared * common[0] + np.sqrt(1 - noise.shared**2) * apart[0])
        sides = [str(number) if number % 2 else "" for number in range(places)]
        finalists = [Finalist(str(number), "", side) for number, side in enumerate(sides)]
        for way, held in (("plain", plain(finalists, selection)), ("race", raced(race, finalists, selection))):
            told[way].append(judged(worth, test, *held))
    return {way: summed(rows) for way, rows in told.items()}


def plain(finalists: Sequence[Finalist], selection: Worths) -> tuple[list[int], slice]:
    """Return winner and best of the other side where everyone is trained on every seed, and the seeds that judge."""
    aps = {one.text: selection[int(one.text), :SEEDS].tolist() for one in finalists}
    return [int(one.text) for one in kept(finalists, aps, LEFT)], slice(0, SEEDS)


def raced(race: Race, finalists: Sequence[Finalist], selection: Worths) -> tuple[list[int], slice]:
    """Return winner and best of the other side of a race, and the seeds that judge."""
    left, aps = list(finalists), {one.text: list[float | None]() for one in finalists}
    for number, (_, _, stay) in enumerate(race.rounds):
        for one in left:
            aps[one.text].append(float(selection[int(one.text), number]))
        left = kept(left, aps, stay)
    return [int(one.text) for one in left], slice(len(race.seeds), len(race.seeds) + len(race.judging))


def judged(worth: Worths, test: Worths, left: Sequence[int], seeds: slice) -> dict[str, float]:
    """Return what is reported of a winner, and whether it is true."""
    winner, other = left
    gain = paired_gain(test[winner, seeds].tolist(), test[-1, seeds].tolist())
    lead = paired_gain(test[winner, seeds].tolist(), test[other, seeds].tolist())
    return {
        "regret": float(worth[:-1].max() - worth[winner]),
        "coverage": float(gain.low <= worth[winner] <= gain.high),
        "half_width": (gain.high - gain.low) / 2,
        "better": float(gain.low > 0),
        "beats_rival": float(lead.low > 0),
        "seeds": float(seeds.stop - seeds.start),
    }


def summed(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return means over rounds; the median of widths."""
    means = {name: round(fmean(row[name] for row in rows), 5) for name in rows[0]}
    return {**means, "half_width": round(median(row["half_width"] for row in rows), 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--luck", type=float, default=0.006)
    parser.add_argument("--shared", type=float, default=0.7)
    parser.add_argument("--save", action="store_true", help="write results/final_round.json")
    arguments = parser.parse_args()
    noise = Noise(arguments.luck, arguments.shared)
    cells = {f"{kind} {n}": simulate(kind, n, arguments.rounds, noise) for kind in KINDS for n in PLACES}
    result: dict[str, Any] = {**vars(arguments), "cells": cells}
    del result["save"]
    result["command"] = "python " + shlex.join(["benchmarks/final_round.py", *sys.argv[1:]])
    if arguments.save:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
