"""Screening: which formulas are worth a training, and which are the same loss, decided before anything is trained.

A search asks a `Screener` and remembers (`findings`). In a run that one looks into the store (`recorded`) and has
workers run the checks (`screen`) for what is missing, on probes of the pair that `detkds_gp.fitness.probing` makes.
"""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.screening.checks import CHECK_NAMES, CHECKS, Check, Outcome
    from detkds_gp.screening.findings import DIRECTION, Finding, Screener, ScreeningCache, pass_all
    from detkds_gp.screening.fingerprint import Fingerprint
    from detkds_gp.screening.lint import LintReport, lint
    from detkds_gp.screening.probes import POOL, Probe, Probes, Step
    from detkds_gp.screening.recorded import NotRecordedError, RecordedScreener
    from detkds_gp.screening.screen import Screen
    from detkds_gp.screening.settings import ScreeningSettings

__all__ = [
    "CHECKS", "CHECK_NAMES", "DIRECTION", "POOL", "Check", "Finding", "Fingerprint", "LintReport", "NotRecordedError",
    "Outcome", "Probe", "Probes", "RecordedScreener", "Screen", "Screener", "ScreeningCache", "ScreeningSettings",
    "Step", "lint", "pass_all",
]  # fmt: skip

import_lazily(__name__)
