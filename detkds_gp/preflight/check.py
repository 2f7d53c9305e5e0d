"""Checks a pair before anything is trained: what it shares, on which levels, at which cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from detkds_gp.config import ExperimentConfig
from detkds_gp.data.summary import DataSummary, summarize
from detkds_gp.detectors import inherit, predict
from detkds_gp.fitness import Evaluation, SplitImages
from detkds_gp.language import NONE, Distance, Distiller, Input, PrimitiveSet, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.preflight.batch import batch_scales, distilled, first_batch, trying
from detkds_gp.setup.prepare import Materials, gather
from detkds_gp.setup.wiring import Wired, check_masks, inheritance, wire, without_weights
from detkds_gp.training import DistilledDetector

STEPS = 3
"""Steps that are timed; the fastest counts."""

PARTS = ("backbone", "neck", "bbox_head", "rpn_head", "roi_head.bbox_head", "roi_head.mask_head")


@dataclass(frozen=True)
class Offer:
    """One input of the grammar, as the pair has it.

    Attributes:
        knowledge: its niche; empty for fields.
        name: the input.
        reason: why the pair does not share it; empty where it does.
        student: shapes of the student's levels on one image.
        teacher: shapes of the teacher's.
        strides: input pixels between two locations of each level; empty for regions.
        notes: what was left out or brought together.
        formula: the simplest loss on it; empty for fields.
        scale: calibrated on the first batch, on the untrained student; None for fields, or where no gradient arrives.
    """

    knowledge: str
    name: str
    reason: str = ""
    student: tuple[tuple[int, ...], ...] = ()
    teacher: tuple[tuple[int, ...], ...] = ()
    strides: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    formula: str = ""
    scale: float | None = None


@dataclass(frozen=True)
class StepCost:
    """What a training step takes.

    Attributes:
        loss_ms: milliseconds for forward, losses and backward, the fastest of some steps.
        saved_mib: MiB that are held for the backward pass.
        passes: how often each part ran.
    """

    loss_ms: float
    saved_mib: float
    passes: dict[str, int]


@dataclass(frozen=True)
class PairReport:
    """What `check_experiment` found.

    Attributes:
        offers: one for each input of the grammar.
        alone: a step of the student alone.
        distilled: a step with the simplest loss on every knowledge at once.
        ap: the AP on the selection split of student and teacher, where their checkpoints are given.
        said: news of the preparation, such as what the student inherits.
        data: what the splits hold, and what looks wrong.
    """

    offers: tuple[Offer, ...]
    alone: StepCost
    distilled: StepCost
    ap: dict[str, float]
    said: tuple[str, ...]
    data: DataSummary

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(replace(self, data=None)), "data": self.data.to_json()}  # type: ignore[arg-type]


def check_experiment(
    config: ExperimentConfig, *, random_weights: bool = False, listener: Listener | None = None
) -> PairReport:
    """Build the pair and run one real batch; nothing is trained, and nothing but missing digit scenes is written.

    Args:
        config: the experiment.
        random_weights: neither load checkpoints nor initialise, so that nothing has to be downloaded.
        listener: hears how far the reading of many images' headers is.

    Raises:
        UserError: a mistake in config, data or detectors, in one line.
    """
    if random_weights:
        config = without_weights(config)
    materials = gather(config, listener=listener)
    summary = summarize(materials.splits)
    for niche in config.knowledge or ():
        materials.primitive_set.niche(niche)
    wired = wire(config, materials.splits["train"], materials.primitive_set, random_weights=random_weights)
    check_masks(config, wired, materials.splits)
    batch = first_batch(config, wired, materials.splits["train"])
    for who, detector in (("student", wired.student), ("teacher", wired.teacher)):
        with trying(detector, who, "predict"), suppress(RuntimeError):  # which weights that are trained may mend
            predict(detector, batch)
    ap = _aps(config, wired, materials)  # before steps in train mode move batch norm's statistics
    if config.init_student_from_teacher:
        inherit(wired.student, wired.teacher, wired.pair)
    offers, mix = _offers(wired, materials.primitive_set, batch)
    alone = step_cost(DistilledDetector(wired.student).to(config.proxy.device), wired, batch)
    distilled_cost = step_cost(distilled(wired, mix, materials.primitive_set), wired, batch)
    said = tuple(inheritance(wired)) if config.init_student_from_teacher else ()
    return PairReport(tuple(offers), alone, distilled_cost, ap, said, summary)


def knowledge_not_shared(config: ExperimentConfig, report: PairReport) -> dict[str, str]:
    """Return the knowledge that the config asks for and the pair does not have, and why."""
    have = {offer.knowledge for offer in report.offers if not offer.reason}
    reasons: dict[str, str] = {}
    for offer in report.offers:  # the first input of a knowledge is the one that it is about
        if offer.reason:
            reasons.setdefault(offer.knowledge, offer.reason)
    return {niche: reasons[niche] for niche in config.knowledge or () if niche not in have}


def simplest_formula(declaration: Input, primitive_set: PrimitiveSet) -> str:
    """Return the text of the first distance of a set that takes an input as it is; empty if there is none."""
    for candidate in primitive_set.declarations.values():
        kinds = candidate.arguments
        if isinstance(candidate, Distance) and len(kinds) == 1 and issubclass(declaration.result, kinds[0]):
            return f"{candidate.name}({declaration.name})"
    return ""


def _offers(wired: Wired, primitive_set: PrimitiveSet, batch: dict[str, Any]) -> tuple[list[Offer], Distiller]:
    """Return one row an input, and the mix of the first formula of every knowledge at its scale."""
    inputs = primitive_set.inputs
    formulas = {d.name: simplest_formula(d, primitive_set) for d in inputs if d.result.sided}
    shared = {d.name: formulas[d.name] for d in inputs if d.source in wired.pair.shared and formulas.get(d.name)}
    scales, faults = batch_scales(wired, shared, primitive_set, batch)
    offers, terms = [], dict[str, str]()
    for d in inputs:
        reason = wired.pair.refused.get(d.source) or faults.get(d.name, "")
        known = None if reason else wired.pair.shared.get(d.source)
        if known is None:
            offers.append(Offer(d.niche, d.name, reason))
            continue
        sides, strides = (known.student, known.teacher), tuple(level.stride for level in known.levels)
        formula, scale = formulas.get(d.name, ""), scales.get(d.name)
        offers.append(Offer(d.niche, d.name, "", *sides, strides, known.notes, formula, scale))
        if scale is not None:
            terms.setdefault(d.niche, f"{scale} * {formula}")
    return offers, parse_distiller(" + ".join(terms.values()) or NONE, primitive_set)


def _aps(config: ExperimentConfig, wired: Wired, materials: Materials) -> dict[str, float]:
    """Return the AP on the selection split of those detectors whose checkpoint is given."""
    images = SplitImages(materials.splits["selection"], config.proxy.image_size, 0)
    evaluation = Evaluation(images, config.proxy.metric)
    given = {
        "student": (config.student.checkpoint, wired.student, wired.pair.classes[0]),
        "teacher": (config.teacher.checkpoint, wired.teacher, wired.pair.classes[1]),
    }
    return {
        role: evaluation(detector, classes)
        for role, (checkpoint, detector, classes) in given.items()
        if checkpoint is not None
    }


def step_cost(model: DistilledDetector, wired: Wired, batch: dict[str, Any]) -> StepCost:
    """Time a step, count what it holds for the backward pass and how often each part runs."""
    model.train()
    with _counting(wired) as passes, _saving() as saved:
        total, _ = model.parse_losses(model.losses(batch))
    total.backward()
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        total, _ = model.parse_losses(model.losses(batch))
        total.backward()
        total.item()  # a GPU works behind the clock's back
        seconds.append(time.perf_counter() - started)
    model.zero_grad()
    return StepCost(round(1000 * min(seconds), 2), round(sum(saved.values()) / 2**20, 2), dict(passes))


@contextmanager
def _counting(wired: Wired) -> Iterator[Counter[str]]:
    """Count the forward passes of the parts of both detectors; the stages of a cascade count one by one."""
    passes: Counter[str] = Counter()
    with ExitStack() as hooks:
        for role, detector in (("student", wired.student), ("teacher", wired.teacher)):
            modules = dict(detector.named_modules())
            for part in [part for part in PARTS if part in modules]:
                passes[f"{role}.{part}"] = 0
                count = partial(_count, passes, f"{role}.{part}")
                stages = modules[part]
                for module in stages.children() if isinstance(stages, nn.ModuleList) else [stages]:
                    hooks.enter_context(module.register_forward_hook(count))
        yield passes


def _count(passes: Counter[str], key: str, *_: object) -> None:
    passes[key] += 1


@contextmanager
def _saving() -> Iterator[dict[int, int]]:
    """Collect the bytes of every storage that is kept for the backward pass, each once."""
    saved: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        yield saved
