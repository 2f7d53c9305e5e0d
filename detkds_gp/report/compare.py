"""Runs side by side, and how a formula found on one pair does on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from detkds_gp.errors import ConfigError
from detkds_gp.gain import Interval
from detkds_gp.report.page import render
from detkds_gp.report.run import Run
from detkds_gp.report.verdict import verdict


@dataclass(frozen=True)
class Transfer:
    """How a formula did in a run.

    Attributes:
        gain: on the test split, over the student alone; None where it was not judged there.
        over_alone: its AP on the selection split less the mean of students alone; None where the search did not
            score it.
        own: whether it won there.
    """

    gain: Interval | None
    over_alone: float | None
    own: bool

    @property
    def missing(self) -> bool:
        """Whether nothing is known of it there."""
        return self.gain is None and self.over_alone is None


def render_comparison(runs: Sequence[Run]) -> str:
    """Return the page that shows runs side by side.

    Raises:
        ConfigError: fewer than two runs.
    """
    if len(runs) < 2:
        raise ConfigError(f"got {len(runs)} work directory, wanted 2 or more to compare")
    tested = [run.fingerprint.get("data", {}).get("test") for run in runs]
    same_data = tested[0] is not None and all(images == tested[0] for images in tested)
    formulas = dict.fromkeys(run.winner.candidate.text for run in runs if run.winner)
    rows = [(formula, [transfer(formula, run) for run in runs]) for formula in formulas]
    missing = sum(cell.missing for _, cells in rows for cell in cells)
    found = [(run, verdict(run)) for run in runs]
    return render("compare.html.j2", {}, served="", beside=found, same_data=same_data, rows=rows, missing=missing)


def transfer(formula: str, run: Run) -> Transfer:
    """Look up how a formula did in a run; only what is stored there counts."""
    known = next((candidate for candidate in run.ranking if candidate.text == formula), None)
    alone = run.references.alone_selection
    over = known.ap - fmean(alone) if known is not None and known.ap is not None and alone else None
    everyone = [*run.finalists, *run.dropped, *run.champions.values(), *([run.winner] if run.winner else [])]
    gain = next((judged.gain for judged in everyone if judged.candidate.text == formula and judged.gain), None)
    return Transfer(gain, over, run.won and run.winner is not None and run.winner.candidate.text == formula)
