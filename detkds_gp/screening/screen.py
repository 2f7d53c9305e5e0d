"""The screen: what one formula is told before it is trained, a rejection or a fingerprint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from detkds_gp.errors import first_line
from detkds_gp.language import Distiller, PrimitiveSet, Term, parse_distiller
from detkds_gp.losses import MACHINE_FAULTS, DistillationLoss, shapes_of
from detkds_gp.score import Screening
from detkds_gp.screening.checks import CHECKS, Check, Outcome
from detkds_gp.screening.evidence import SEED, Evidence
from detkds_gp.screening.fingerprint import Fingerprint
from detkds_gp.screening.probes import Probes


class Screen:
    """Runs the checks on frozen probes.

    Args:
        probes: real features of a pair, or sample features.
        primitive_set: of the formulas.
        off: names of checks that are left out.
        identity: whether sound formulas get a fingerprint.
    """

    def __init__(
        self, probes: Probes, primitive_set: PrimitiveSet, off: Sequence[str] = (), identity: bool = True
    ) -> None:
        self.probes = probes
        self.checks = tuple(check for check in CHECKS if check.name not in off)
        self._primitive_set = primitive_set
        self._identity = identity

    def __call__(self, formula: str) -> Screening:
        """Screen a formula of one tree; the first check that fails ends it.

        Torch's global generator is seeded.

        Raises:
            FormulaError: the formula cannot be read.
        """
        started = time.perf_counter()
        (term,) = parse_distiller(formula, self._primitive_set).terms
        return replace(self._screened(term), wall_seconds=time.perf_counter() - started)

    def _screened(self, term: Term) -> Screening:
        try:
            evidence = self.evidence(term)
            for check, outcome in self.outcomes(evidence):
                if not outcome.passed:
                    return Screening(f"rejected:{check.name}", f"{check.reason} ({outcome.numbers})")
            found = Fingerprint.of(evidence) if self._identity else None
        except (RuntimeError, ValueError, TypeError, LookupError) as error:
            if any(word in str(error) for word in MACHINE_FAULTS):
                raise
            return Screening("shape", first_line(error))
        return Screening(fingerprint=found.text if found else "")

    def evidence(self, term: Term) -> Evidence:
        """Return what the checks look at."""
        plain = Distiller((replace(term, weight=1.0, scale=1.0),))
        loss = DistillationLoss(plain, self._primitive_set)
        loss.build(shapes_of(self.probes.far.knowledge), SEED).to(self.probes.device)
        return Evidence(loss, self.probes)

    def outcomes(self, evidence: Evidence) -> Iterator[tuple[Check, Outcome]]:
        """Yield what every check says, one after the other."""
        for check in self.checks:
            yield check, check.test(evidence)
