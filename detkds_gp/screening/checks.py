"""The checks a formula has to pass before it is trained, each small and with a name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from detkds_gp.losses.program import Pair
from detkds_gp.screening.evidence import Evidence
from detkds_gp.screening.probes import Probe

TOLERANCE = 1e-6
ROUNDING = 1e-8
"""A difference of losses that may come from the order of additions."""

SAME_ORDER, SAME_DOUBLED = 1e-4, 1e-3
BALANCE = 1e4
LONGEST = 1.0
"""What a formula may add to a training step, in times the student's own."""

TRIES = 6
"""Evaluations of the convergence simulation."""


@dataclass(frozen=True)
class Outcome:
    """What one check says of one formula: passed or not, and the numbers behind it."""

    passed: bool
    numbers: str


@dataclass(frozen=True)
class Check:
    """One thing that every formula worth training has.

    Attributes:
        name: how a config switches it off, and what a rejection is called.
        reason: why a formula without it is not trained.
        test: looks at the evidence.
    """

    name: str
    reason: str
    test: Callable[[Evidence], Outcome]


def _step(evidence: Evidence) -> Outcome:
    if evidence.added is None:
        return Outcome(True, "not asked without a student")
    return Outcome(evidence.added <= LONGEST, f"adds {evidence.added:.3g} times the student's own")


def _finite(evidence: Evidence) -> Outcome:
    passes = [evidence.at(probe) for probe in (evidence.probes.far, evidence.probes.other)]
    return Outcome(all(p.finite for p in passes), "loss " + " and ".join(f"{p.value:.3g}" for p in passes))


def _never_negative(evidence: Evidence) -> Outcome:
    values = [evidence.at(probe).value for probe in evidence.probes.points()]
    lowest = min((value for value in values if not math.isnan(value)), default=0.0)
    return Outcome(lowest >= -TOLERANCE * evidence.scale, f"lowest {lowest:.3g}")


def _zero(evidence: Evidence) -> Outcome:
    if not evidence.determined:
        return Outcome(True, "not asked of random or learned parts")
    far = evidence.probes.far.knowledge
    value = evidence.value({name: [(t, t) for _, t in levels] for name, levels in far.items()})
    return Outcome(abs(value) <= TOLERANCE * evidence.scale, f"{value:.3g} where student equals teacher")


def _shared(evidence: Evidence) -> Outcome:
    culprit = evidence.unshared() if evidence.draws else None
    if culprit is None:
        return Outcome(True, "one draw for both sides" if evidence.draws else "nothing is drawn")
    return Outcome(False, f"{culprit.name!r} draws for each side by itself")


def _gradient(evidence: Evidence) -> Outcome:
    felt = evidence.at(evidence.probes.far)
    counted = evidence.counted(evidence.probes.far)
    if felt.teacher:
        return Outcome(False, "a gradient reaches the teacher")
    silent = [level for level, norm in enumerate(felt.levels) if counted[level] and not norm > 0]
    sizes = "sizes by level " + ", ".join(f"{norm:.2g}" for norm in felt.levels)
    return Outcome(not silent, sizes + (f"; none on level {silent[0]}" if silent else ""))


def _descent(evidence: Evidence) -> Outcome:
    probe = evidence.probes.far
    if not evidence.at(probe).value > ROUNDING or not any(evidence.at(probe).levels):
        return Outcome(True, "nothing to lower")
    first, last = _descended(evidence, probe)
    return Outcome(last < first, f"{first:.3g} -> {last:.3g} in {TRIES} tries")


def _descended(evidence: Evidence, probe: Probe) -> tuple[float, float]:
    """Move the student's tensors down the gradient, half-way to zero if the loss were linear, else less."""
    knowledge: dict[str, list[Pair]] = dict(probe.knowledge)
    for name in evidence.sided:
        knowledge[name] = [(s.detach().clone().requires_grad_(), t) for s, t in knowledge[name]]
    students = [s for name in evidence.sided for s, _ in knowledge[name]]
    value, share = evidence.at(probe).value, 0.5
    first, slopes = value, list[torch.Tensor]()
    for _ in range(TRIES):
        if not slopes:
            total = evidence.total(knowledge)
            found = torch.autograd.grad(total, students, allow_unused=True)
            slopes = [torch.zeros_like(s) if g is None else g for s, g in zip(students, found, strict=True)]
        square = sum(float(g.double().square().sum()) for g in slopes)
        if not 0 < square < math.inf:
            break
        step = share * value / square
        before = [s.detach().clone() for s in students]
        with torch.no_grad():
            for s, slope in zip(students, slopes, strict=True):
                s.add_(slope, alpha=-step)
        reached = evidence.value(knowledge)
        if reached < value:
            value, slopes = reached, []
        else:
            share /= 8
            for s, old in zip(students, before, strict=True):
                s.data.copy_(old)
    return first, value


def _same(evidence: Evidence, probe: Probe, tolerance: float) -> Outcome:
    if evidence.draws:
        return Outcome(True, "not asked of random parts")
    once, again = evidence.at(evidence.probes.far).value, evidence.value(probe.knowledge)
    return Outcome(abs(again - once) <= tolerance * abs(once) + ROUNDING, f"{once:.4g} and {again:.4g}")


def _order(evidence: Evidence) -> Outcome:
    return _same(evidence, evidence.probes.reordered, SAME_ORDER)


def _doubled(evidence: Evidence) -> Outcome:
    return _same(evidence, evidence.probes.doubled, SAME_DOUBLED)


def _one_image(evidence: Evidence) -> Outcome:
    felt, counted = evidence.at(evidence.probes.one), evidence.counted(evidence.probes.one)
    size = math.hypot(*felt.levels)
    alive = size > 0 or not any(counted)
    return Outcome(felt.finite and alive, f"loss {felt.value:.3g}, gradient {size:.2g}")


def _balance(evidence: Evidence) -> Outcome:
    worst = 1.0
    for probe in (evidence.probes.far, evidence.probes.other):
        felt, counted = evidence.at(probe), evidence.counted(probe)
        for norms in ([n for n, c in zip(felt.levels, counted, strict=True) if c], felt.images):
            alive = [norm for norm in norms if norm > 0]
            worst = max(worst, max(alive) / min(alive)) if alive else worst
    return Outcome(worst <= BALANCE, f"largest ratio {worst:.2g}")


CHECKS = (
    Check("step", f"a training step takes more than {1 + LONGEST:g} times as long with it", _step),
    Check("finite", "the loss or its gradient is not a finite number on real features", _finite),
    Check("zero", "the loss is not zero where the student equals the teacher, so it never ends", _zero),
    Check("negative", "the loss is negative somewhere, so equal sides are not its lowest point", _never_negative),
    Check("shared", "what is drawn at random differs between the two sides, so it compares noise", _shared),
    Check("gradient", "the student gets no gradient on a level where it has something to learn", _gradient),
    Check("descent", "going down the gradient does not lower the loss", _descent),
    Check("order", "the loss depends on the order of the images in a batch", _order),
    Check("doubled", "the loss changes when every image comes twice: it mixes images", _doubled),
    Check("single", "the loss is dead or not finite on a batch of one image", _one_image),
    Check("balance", "one level or image gets a gradient 10,000 times that of another", _balance),
)
"""In the order they are asked; the first that fails names the rejection."""

CHECK_NAMES = tuple(check.name for check in CHECKS)
"""What a config switches checks off by."""
