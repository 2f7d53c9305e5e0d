"""How early a full training's ranking can be seen: losses of a cell of the proof, scored on the way and in other ways.

    python benchmarks/proof_ranking.py DIR [--cell blood_cells-RetinaNet] [--length 480] [--seeds 2] [--save]

DIR is that of `proof.py`, where the cell has ended. Some of its losses are chosen by rule (`chosen`): of the search, of
the rivals of every sort, and the student alone. Each is trained on seeds that nothing was chosen on:

- to the length of the cell, and scored at a quarter and at half of it: averaged weights, AP on selection;
- with a falling rate (``proxy.decay=.5``) for a quarter of it;
- for a quarter of it from a student that was trained alone for half of it (``proxy.start="half_trained"``).

Kendall's tau against the full length, with 95% intervals by a bootstrap over losses: of the means over seeds (scored on
the way these are the same trainings, which share their luck), of single trainings against the full length of the
*other* seeds, and of the difference to a quarter of the length (``over_quarter``). ``chosen`` is the AP at full length
of what scores best. Most losses were chosen by their AP after a quarter on another seed, which narrows what a quarter
can rank.

``--save`` writes `results/proof_ranking.json`. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from proof_cells import SCALES, Cell
from proof_rivals import trainings_in
from scipy.stats import kendalltau

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig
from detkds_gp.language import NONE
from detkds_gp.score import TEACHER
from detkds_gp.store import Store

RESULTS = Path(__file__).parent / "results" / "proof_ranking.json"
FIRST_SEED = 7001
RESAMPLES = 2000
SINGLE = ("cross_logits", "standardize_channel", "binary_kl")
"""What the single terms of the search that are among the losses hold."""

Aps = list[list[float]]
"""By loss and seed."""


def best_of(
    folder: Path, length: int, count: int, seed: int, *, test: bool = False, like: Callable[[str], bool] | None = None
) -> list[str]:
    """Return the losses of a store with the highest AP on selection in one training, with their scales."""
    with Store.open(folder, readonly=True) as store:
        rows = [record for record in store.scores() if record.score.ok and record.trial.seed == seed]
        rows = [record for record in rows if (record.trial.iterations, record.trial.test) == (length, test)]
        rows = [record for record in rows if record.trial.distiller not in (NONE, TEACHER.distiller)]
        rows = [record for record in rows if like is None or like(record.trial.distiller)]
        rows.sort(key=lambda record: -(record.score.ap or 0.0))
        return [store.resolved(record.trial) or record.trial.distiller for record in rows[:count]]


def _single(part: str, text: str) -> bool:
    return text.count("calibrated") == 1 and part in text


def chosen(folder: Path, short: int, length: int) -> list[str]:
    """Return the losses whose ranking is looked at.

    They are the student alone, the search's best four and every second of the next, three single terms of it, the best
    three of the rivals by one short training, and whoever the cell judged.
    """
    search = best_of(folder / "search", short, 9, 0)
    singles = [best_of(folder / "search", short, 1, 0, like=partial(_single, part)) for part in SINGLE]
    rivals = best_of(folder / "rivals", short, 3, 0)
    judged = best_of(folder / "rivals", length, 9, 5001, test=True)
    every = [NONE, *search[:4], *search[4:9:2], *(text for found in singles for text in found), *rivals, *judged]
    return list(dict.fromkeys(every))


def trained(
    folder: Path, cell: Cell, texts: Sequence[str], lengths: Sequence[int], seeds: Sequence[int], **proxy: Any
) -> dict[int, Aps]:
    """Train all losses in one way; lengths but the last are looked at on the way."""
    base = cell.config(folder.resolve())
    name = "-".join(map(str, [*proxy.values(), lengths[-1]]))
    settings = {**base.proxy.model_dump(), "iterations": lengths[-1], "rungs": tuple(lengths[:-1]), **proxy}
    values = {
        **base.model_dump(),
        "proxy": settings,
        "baseline_seeds": (0, *seeds) if "start" in proxy else base.baseline_seeds,
    }
    with trainings_in(ExperimentConfig.model_validate(values), folder / "ranking" / cell.name / name) as trainings:
        losses = [trainings.read(text) for text in texts]
        return {
            n: [[one.ap or 0.0 for one in row] for row in trainings.scores(f"{name}, {n} steps", losses, n, seeds)]
            for n in lengths
        }


def taus(aps: Aps, truth: Aps) -> Any:
    """Return tau of the means and of single trainings: of all losses, then of every resample (1 + R, 2)."""
    ours, full = np.array(aps), np.array(truth)
    draws = np.random.default_rng(0).integers(0, len(ours), (RESAMPLES, len(ours)))

    def tau(places: Any) -> tuple[float, float]:
        means = kendalltau(ours[places].mean(1), full[places].mean(1)).statistic
        seeds = range(ours.shape[1])
        others = [kendalltau(ours[places, s], np.delete(full[places], s, axis=1).mean(1)).statistic for s in seeds]
        return means, float(np.mean(others))

    return np.array([tau(places) for places in (np.arange(len(ours)), *draws)])


def told(found: Any) -> dict[str, dict[str, float]]:
    """Return values with their intervals."""
    low, high = np.nanpercentile(found[1:], [2.5, 97.5], axis=0)
    rows = zip(("means", "single"), found[0], low, high, strict=True)
    return {name: {"tau": round(v, 2), "low": round(a, 2), "high": round(b, 2)} for name, v, a, b in rows}


def agreement(aps: Aps, quarter: Aps, truth: Aps) -> dict[str, Any]:
    """Return tau with its intervals, what it has over that after a quarter, and the truth of what scores best."""
    found, best = taus(aps, truth), np.array(aps).mean(1).argmax()
    over = {} if aps is quarter else {"over_quarter": told(found - taus(quarter, truth))}
    return {**told(found), **over, "chosen": round(float(np.array(truth).mean(1)[best]), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cell", default="blood_cells-RetinaNet")
    parser.add_argument("--length", type=int, default=480)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    cell = {one.name: one for one in SCALES["cpu"]}[arguments.cell]
    length, seeds = arguments.length, range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    quarter, half = length // 4, length // 2
    short = cell.config(arguments.folder.resolve()).proxy.iterations
    texts = chosen(arguments.folder / "proof" / cell.name, short, length)
    train = partial(trained, arguments.folder, cell, texts)
    on_the_way = train((quarter, half, length), seeds)
    aps = {
        f"{quarter} steps": on_the_way[quarter],
        f"{half} steps": on_the_way[half],
        f"{quarter} steps, falling rate": train((quarter,), seeds, decay=0.5)[quarter],
        f"{quarter} steps after {half} alone": train((quarter,), seeds, start="half_trained", start_iterations=half)[
            quarter
        ],
        f"{length} steps": on_the_way[length],
    }
    truth = aps[f"{length} steps"]
    figures = {
        "cell": cell.name,
        "losses": texts,
        "aps": aps,
        "agreement": {way: agreement(found, on_the_way[quarter], truth) for way, found in aps.items()},
        "best": round(float(np.array(truth).mean(1).max()), 4),
    }
    if arguments.save:
        with atomic_file(RESULTS) as draft:
            draft.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
