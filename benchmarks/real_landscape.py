"""Landscapes that repeat a table of real scores (`recorded_table.py`), carried on to distillers that are not in it.

A forest of trees learns the gain on test images from what is known of the terms: knowledge, weight and the direction
that screening measures. What neither it nor the luck of seeds explains is drawn anew for every formula, once for each
landscape; a score has the luck that seeds have on selection images. A forest, since the search's own belief is a
Gaussian process and must not be its own judge.

    python benchmarks/real_landscape.py NAME CONFIG WORK_DIR [--cfg-options KEY=VALUE ...] [--save]

says how much of the gains of distillers that it has not seen the forest foretells; NAME, CONFIG, WORK_DIR and options
are those that the table was recorded with. With ``--save`` it stands in ``benchmarks/results/real_landscape.json``. The
last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

from detkds_gp.cli.options import parse_options
from detkds_gp.config import load_config
from detkds_gp.fitness import ProxyTraining, probes_of
from detkds_gp.language import NONE, Distiller, PrimitiveSet, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.score import Score
from detkds_gp.screening import DIRECTION, Finding, Fingerprint, Screen, Screener
from detkds_gp.setup.prepare import gather, prepare

RESULTS = Path(__file__).parent / "results"
AXES = 8
"""Of a direction, that the forest sees."""
FOLDS = 10
ABSENT = -3.0
"""Logarithm of the weight of a knowledge that takes no part."""


@dataclass
class Table:
    """A recorded table.

    Attributes:
        primitive_set: the grammar.
        distillers: what was trained, without the failures.
        gains: of each, on test images, its mean over the seeds less the student's alone.
        screen: gives directions.
        luck: standard deviation of an AP on selection over seeds.
        blur: of a gain, by the seeds that it is a mean of.
        alone: AP of the student alone on selection.
    """

    primitive_set: PrimitiveSet
    distillers: list[Distiller]
    gains: np.ndarray
    screen: Screener
    luck: float
    blur: float
    alone: float
    _directions: dict[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, config: str, work_dir: Path, options: Sequence[str]) -> Table:
        """Read ``results/table-NAME.json``; the other arguments are those that it was recorded with."""
        primitive_set, screen = screening(config, work_dir, options)
        rows = json.loads((RESULTS / f"table-{name}.json").read_text(encoding="utf-8"))["rows"]
        alone = next(row for row in rows if row["formula"] == NONE)
        whole = [row for row in rows if row is not alone and None not in row["selection"]]
        test, selection = (np.array([row[split] for row in whole]) for split in ("test", "selection"))
        return cls(
            primitive_set,
            [parse_distiller(row["formula"], primitive_set, bare=None) for row in whole],
            test.mean(axis=1) - np.mean(alone["test"]),
            screen,
            luck=_spread(selection),
            blur=_spread(test) / math.sqrt(test.shape[1]),
            alone=float(np.mean(alone["selection"])),
        )

    def rows(self, distillers: Sequence[Distiller]) -> np.ndarray:
        """Return what the forest sees of distillers, (n, knowledges * (2 + AXES))."""
        niches = self.primitive_set.niches
        rows = np.zeros((len(distillers), len(niches), 2 + AXES))
        rows[:, :, 1] = ABSENT
        for row, distiller in zip(rows, distillers, strict=True):
            for term in distiller.terms:
                place = niches.index(term.knowledge)
                row[place, :2] = 1, math.log10(term.weight)
                row[place, 2:] = self._axes.transform([self.direction(term.formula)])[0]
        return rows.reshape(len(distillers), -1)

    def direction(self, formula: str) -> Sequence[float]:
        """Return the direction of a formula; zeros where it has none."""
        if formula not in self._directions:
            found = self.screen([formula])[0].direction
            self._directions[formula] = (0.0,) * DIRECTION if found is None else found
        return self._directions[formula]

    @cached_property
    def _axes(self) -> PCA:
        formulas = sorted({term.formula for distiller in self.distillers for term in distiller.terms})
        return PCA(AXES, random_state=0).fit([self.direction(formula) for formula in formulas])

    @cached_property
    def foretold(self) -> np.ndarray:
        """What the forest expects of every gain, from the others."""
        with threadpool_limits(1):
            return cross_val_predict(
                _forest(0), self.rows(self.distillers), self.gains, cv=KFold(FOLDS, shuffle=True, random_state=0)
            )

    @cached_property
    def oddness(self) -> float:
        """Standard deviation of what neither forest nor luck explains."""
        unexplained = float(((self.gains - self.foretold) ** 2).mean())
        return math.sqrt(max(unexplained - self.blur**2, 0.0))

    def summary(self) -> dict[str, Any]:
        """Say how well the forest foretells."""
        mixes = np.array([len(distiller.terms) > 1 for distiller in self.distillers])
        told = {"luck": self.luck, "blur": self.blur, "oddness": self.oddness}
        for name, chosen in (("all", mixes | True), ("single", ~mixes), ("mixes", mixes)):
            gains, foretold = self.gains[chosen], self.foretold[chosen]
            told[name] = {
                "distillers": int(chosen.sum()),
                "spread": float(gains.std()),
                "best": float(gains.max()),
                "explained": 1 - float(((gains - foretold) ** 2).mean() / gains.var()),
                "tau": float(kendalltau(gains, foretold)[0]),
            }
        return told


@dataclass
class RealLandscape:
    """The gains of all distillers of a table's grammar; the same face as `landscapes.Landscape`.

    Attributes:
        table: what was recorded.
        seed: of what the table does not say.
    """

    table: Table
    seed: int
    _gains: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.primitive_set, self.noise = self.table.primitive_set, self.table.luck
        with threadpool_limits(1):
            self._forest = _forest(self.seed).fit(self.table.rows(self.table.distillers), self.table.gains)

    def score(self, distiller: Distiller, seed: int = 0) -> float:
        """Return the AP of one training: the true one and the luck of a seed."""
        return min(max(self.true(distiller) + self.noise * self._luck(f"{distiller.text}/{seed}"), 0.0), 1.0)

    def true(self, distiller: Distiller) -> float:
        """Return the AP without luck."""
        return self.table.alone + self.gain(distiller)

    def gain(self, distiller: Distiller) -> float:
        """Return what a distiller gains over the student alone."""
        if distiller.text not in self._gains:
            with threadpool_limits(1):
                expected = float(self._forest.predict(self.table.rows([distiller]))[0])
            odd = sum(self._luck(f"odd/{term.formula}") for term in distiller.terms) / math.sqrt(len(distiller.terms))
            self._gains[distiller.text] = expected + self.table.oddness * odd
        return self._gains[distiller.text]

    def findings(self, formulas: Sequence[str]) -> Sequence[Finding]:
        """Return what screening found of formulas on the real detectors."""
        return self.table.screen(formulas)

    def _luck(self, name: str) -> float:
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return float(np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal())


def screening(config: str, work_dir: Path, options: Sequence[str]) -> tuple[PrimitiveSet, Screener]:
    """Return the grammar of a table's pair, and what screens formulas on it; twins are not told."""
    loaded = load_config(config, parse_options(list(options)))
    task = prepare(loaded, gather(loaded), work_dir, Listener())
    proxy, known = ProxyTraining(task), dict[str, Finding]()
    if not task.probe.exists() or not proxy.prepare_teacher().ok:
        raise SystemExit(f"got no table in {work_dir}, wanted the work directory of recorded_table.py")
    screen = Screen(probes_of(proxy, 0), task.primitive_set)

    def found(formula: str) -> Finding:
        if formula not in known:
            told = screen(formula)
            rejection = Score.failed(told.failure, told.detail) if told.failure else None
            direction = Fingerprint.parse(told.fingerprint).direction(DIRECTION) if told.fingerprint else None
            known[formula] = Finding(rejection, None, direction)
        return known[formula]

    return task.primitive_set, lambda formulas: [found(formula) for formula in formulas]


def _forest(seed: int) -> ExtraTreesRegressor:
    return ExtraTreesRegressor(200, min_samples_leaf=2, random_state=seed, n_jobs=1)


def _spread(aps: np.ndarray) -> float:
    """Return the standard deviation over seeds, (n, seeds), of one AP."""
    return math.sqrt(float(aps.var(axis=1, ddof=1).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("config")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--cfg-options", nargs="*", default=[], metavar="k=v")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    table = Table.read(arguments.name, arguments.config, arguments.work_dir, arguments.cfg_options)
    told = table.summary() | {"command": "python " + shlex.join(["benchmarks/real_landscape.py", *sys.argv[1:]])}
    if arguments.save:
        path = RESULTS / "real_landscape.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**known, arguments.name: told}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
