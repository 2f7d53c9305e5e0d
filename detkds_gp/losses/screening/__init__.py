"""Screening before training: the checks of a formula, and fingerprints that tell the same loss again."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.losses.screening.checks import CHECK_NAMES, CHECKS, Check, Outcome
    from detkds_gp.losses.screening.evidence import Evidence
    from detkds_gp.losses.screening.fingerprint import Fingerprint, Fingerprints
    from detkds_gp.losses.screening.probes import POOL, Probe, Probes
    from detkds_gp.losses.screening.screen import Screen

__all__ = [
    "CHECKS", "CHECK_NAMES", "POOL", "Check", "Evidence", "Fingerprint", "Fingerprints", "Outcome", "Probe", "Probes",
    "Screen",
]  # fmt: skip

import_lazily(__name__)
