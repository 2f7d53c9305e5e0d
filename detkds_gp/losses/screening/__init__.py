"""Screening before training: the checks of a formula, and fingerprints that tell the same loss again."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.losses.screening.checks import CHECK_NAMES, CHECKS, Check, Outcome
    from detkds_gp.losses.screening.evidence import Evidence
    from detkds_gp.losses.screening.fingerprint import Fingerprint, Fingerprints
    from detkds_gp.losses.screening.probes import BATCH, POOL, Probe, Probes, Step
    from detkds_gp.losses.screening.screen import Screen
    from detkds_gp.losses.screening.work import Work, work_of

__all__ = [
    "BATCH", "CHECKS", "CHECK_NAMES", "POOL", "Check", "Evidence", "Fingerprint", "Fingerprints", "Outcome", "Probe",
    "Probes", "Screen", "Step", "Work", "work_of",
]  # fmt: skip

import_lazily(__name__)
