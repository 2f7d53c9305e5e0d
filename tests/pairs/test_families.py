"""Every family, and pairs unlike each other, through one mechanism: passes counted, gradients, published formulas."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import pytest
import torch
from mmdet.models.dense_heads import RPNHead
from torch import Tensor, nn

from detkds_gp.fitness import ProxyTraining
from detkds_gp.language import make_distiller, make_term, parse_distiller, ramped_half_and_half
from detkds_gp.preflight.check import simplest_formula
from detkds_gp.training import DistilledDetector, train

from .conftest import FAMILIES, OF_PREDICTIONS, QUERIES, UNLIKE

ProxyOf = Callable[..., ProxyTraining]
LATER = (
    "fcos", "atss", "reppoints", "tood", "vfnet", "faster_rcnn", "cascade_rcnn", "cascade_mask_rcnn", "sparse_rcnn",
    "retinanet34_to_fcos18", "cascade_mask_to_faster", "dino_to_rtmdet", "faster_rcnn_to_fcos", "cascade_mask_to_fcos",
)  # fmt: skip
"""Of kinds that other quick rows stand for; their feature maps come from the backbones and necks of these."""
NAMES = (*FAMILIES, *QUERIES, *UNLIKE, *OF_PREDICTIONS)


def marked(names: Iterable[str]) -> list[Any]:
    """Return parameters, of which those of LATER are slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in LATER else name for name in names]


ANY = {"global", "foreground", "background", "instance", "predicted_logits", "predicted_boxes"}
DENSE = ANY | {"class_logits", "class_map", "boxes", "cross_logits", "cross_map"}
TWO_STAGE = ANY | {"class_logits", "boxes", "objectness", "objectness_map", "proposals"}
OFFERED = {
    **dict.fromkeys(("retinanet", "fcos", "atss", "reppoints", "gfl_to_retinanet", "retinanet34_to_fcos18"), DENSE),
    **dict.fromkeys(("tood", "vfnet", "yolox", "rtmdet"), DENSE),
    "gfl": DENSE | {"box_bins"},
    **dict.fromkeys(("faster_rcnn", "cascade_rcnn", "cascade_mask_to_faster"), TWO_STAGE),
    **dict.fromkeys(("mask_rcnn", "cascade_mask_rcnn"), TWO_STAGE | {"mask_logits"}),
    **dict.fromkeys(("detr", "dino"), ANY | {"query_logits", "query_boxes", "memory"}),
    "sparse_rcnn": ANY | {"query_logits", "query_boxes"},
    **dict.fromkeys(OF_PREDICTIONS, ANY),
}
STAGES = {"cascade_rcnn": 3, "cascade_mask_rcnn": 3, "sparse_rcnn": 6}
"""Of the student's box head, where there is more than one."""


def sided_inputs(proxy: ProxyTraining) -> dict[str, str]:
    """Return the simplest formula of every sided input that the pair shares."""
    grammar = proxy.task.primitive_set
    sided = [d for d in grammar.inputs if d.result.sided]
    return {d.name: simplest_formula(d, grammar) for d in sided}


def model_of(proxy: ProxyTraining, text: str) -> DistilledDetector:
    model = proxy.model(parse_distiller(text, proxy.task.primitive_set), seed=0)
    model.train()
    return model


def step(proxy: ProxyTraining, model: DistilledDetector) -> dict[str, Any]:
    ((batch, outputs),) = islice(proxy.batches(0, model), 1)
    return model.losses(batch, outputs)


@pytest.mark.parametrize("name", marked(NAMES))
def test_a_pair_offers_the_knowledge_of_its_family(name: str, proxy_of: ProxyOf) -> None:
    assert set(sided_inputs(proxy_of(name))) == OFFERED[name]


@pytest.mark.parametrize("name", marked(NAMES))
def test_every_knowledge_gives_a_finite_loss_that_reaches_the_student(name: str, proxy_of: ProxyOf) -> None:
    proxy = proxy_of(name)
    for source, formula in sided_inputs(proxy).items():
        model = model_of(proxy, formula)
        for branch in getattr(getattr(model.student, "bbox_head", None), "reg_branches", ()):
            nn.init.normal_(branch[-1].weight, std=0.01)  # they begin at zero, and pass no gradient
        (term,) = [value for key, value in step(proxy, model).items() if "distill" in key]
        assert torch.isfinite(term).all(), source
        assert term.detach().sum() > 0, source
        term.mean().backward()
        reached = [n for n, p in model.student.named_parameters() if p.grad is not None and p.grad.any()]
        assert any(n.startswith("backbone") for n in reached), source
        assert not any(p.grad is not None for p in proxy.teacher.parameters()), source


MATCHED = {
    **dict.fromkeys(QUERIES, "add(l2(query_logits), weighted_giou(query_boxes, query_score))"),
    **dict.fromkeys(OF_PREDICTIONS, "add(l2(predicted_logits), weighted_giou(predicted_boxes, predicted_score))"),
}


@pytest.mark.parametrize("name", marked(MATCHED))
def test_a_student_trains_on_what_is_matched_and_its_teacher_stays(name: str, proxy_of: ProxyOf) -> None:
    proxy = proxy_of(name)
    model = model_of(proxy, f"0.1 * 1 * {MATCHED[name]}")
    states = [{k: v.clone() for k, v in d.state_dict().items()} for d in (model.student, proxy.teacher)]
    train(model, proxy.batches(0, model), proxy.task.settings, 4, seed=0)
    trained = model.student.state_dict()
    assert all(x.isfinite().all() for x in trained.values() if x.is_floating_point())
    assert any(not torch.equal(x, states[0][key]) for key, x in trained.items() if key.startswith("backbone"))
    assert all(torch.equal(x, states[1][key]) for key, x in proxy.teacher.state_dict().items())


def counted(model: nn.Module, side: str) -> Counter[str]:
    """Count forwards by replacing them, independently of hooks."""
    counts: Counter[str] = Counter()
    for path in ("backbone", "neck", "bbox_head", "rpn_head", "roi_head.bbox_head", "roi_head.mask_head"):
        part: Any = model
        for piece in path.split("."):
            part = getattr(part, piece, None) if part is not None else None
        parts = list(part) if isinstance(part, nn.ModuleList) else [part] if part is not None else []
        for one in parts:
            one.forward = _counting(one.forward, counts, f"{side}.{path}")
    return counts


def proposing(detector: Any) -> dict[str, int]:
    """Return the forward of a region proposal network; Sparse R-CNN's first regions are weights."""
    return {"rpn_head": 1} if isinstance(detector.rpn_head, RPNHead) else {}


def _counting(forward: Any, counts: Counter[str], key: str) -> Any:
    def run(*arguments: Any, **keywords: Any) -> Any:
        counts[key] += 1
        return forward(*arguments, **keywords)

    return run


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("name", marked(NAMES))
def test_both_run_no_more_than_they_must(name: str, kept: bool, proxy_of: ProxyOf) -> None:
    proxy = proxy_of(name, **({} if kept else {"proxy.teacher_limit_mb": 0}))
    grammar = proxy.task.primitive_set
    first = {}
    for source, formula in sided_inputs(proxy).items():
        first.setdefault(grammar.declarations[source].niche, formula)
    model = model_of(proxy, " + ".join(first.values()))
    student = counted(model.student, "student")
    teacher = counted(proxy.teacher, "teacher")
    try:
        step(proxy, model)
    finally:
        for module in proxy.teacher.modules():
            module.__dict__.pop("forward", None)
    stages = STAGES.get(name, 1)
    expected = {"student.backbone": 1, "student.neck": 1}
    two = hasattr(model.student, "rpn_head")
    heads = {**proposing(model.student), "roi_head.bbox_head": stages} if two else {"bbox_head": 1}
    if "mask_logits" in OFFERED[name]:
        heads["roi_head.mask_head"] = stages
    assert student == expected | {f"student.{part}": count for part, count in heads.items()}
    regions = {"roi_head.bbox_head": STAGES.get(name, 3 if "cascade" in name else 1)}
    live = {} if kept else {"backbone": 1, "neck": 1}
    if not kept:  # of two stages, predictions take both
        live |= {**proposing(proxy.teacher), **regions} if hasattr(proxy.teacher, "rpn_head") else {"bbox_head": 1}
    asked = {"bbox_head": 1} if "cross_logits" in OFFERED[name] else regions if "objectness" in OFFERED[name] else {}
    if "mask_logits" in OFFERED[name]:
        asked["roi_head.mask_head"] = 3 if "cascade" in name else 1
    assert teacher == {f"teacher.{part}": count for part, count in (Counter(live) + Counter(asked)).items()}


def features(proxy: ProxyTraining, model: DistilledDetector) -> list[tuple[Tensor, Tensor]]:
    """Return the matched maps of the first batch, each detector run by itself; adapters by hand."""
    ((batch, _),) = islice(proxy.batches(0, model), 1)
    ours = model.student.extract_feat(model.student.data_preprocessor(batch, True)["inputs"])
    with torch.no_grad():
        theirs = proxy.teacher.extract_feat(proxy.teacher.data_preprocessor(batch, False)["inputs"])
    levels, adapters = proxy.task.pair.shared["global"].levels, model.pairing.adapters
    layers = adapters["global"] if "global" in adapters else [nn.Identity()] * len(levels)
    return [(layer(ours[x.student]), theirs[x.teacher]) for layer, x in zip(layers, levels, strict=True)]


def detkds(s: Tensor, t: Tensor) -> Tensor:
    """l1 of unit channel vectors of the 2x2-pooled, channel-attended maps, T = 0.5."""
    sides = []
    for x in (s, t):
        attention = x.abs().mean(dim=(2, 3)) / 0.5
        x = x * (x.shape[1] * attention.exp() / attention.exp().sum(1, keepdim=True)).sqrt()[:, :, None, None]
        x = torch.nn.functional.max_pool2d(x, 2)
        sides.append(x / x.pow(2).sum(1, keepdim=True).sqrt().clamp_min(1e-6))
    return (sides[0] - sides[1]).abs().mean()


def pkd(s: Tensor, t: Tensor) -> Tensor:
    """Mean square of maps brought to mean 0 and variance 1 channel by channel, over the batch."""
    sides = []
    for x in (s, t):
        flat = x.transpose(0, 1).flatten(1).double()
        sides.append((flat - flat.mean(1, keepdim=True)) / (flat.var(1, keepdim=True, unbiased=False) + 1e-12).sqrt())
    return (sides[0] - sides[1]).square().mean()


def cwd(s: Tensor, t: Tensor) -> Tensor:
    """KL of every channel's distribution over space, averaged over images and channels."""
    p, q = (x.flatten(2).double().softmax(dim=2) for x in (t, s))
    return (p * (p / q).log()).sum(dim=2).mean()


PUBLISHED = {
    "l1(unit_channel(max_pool_2(channel_attention(global, 0.5))))": detkds,
    "l2(standardize_channel(global))": pkd,
    "kl(softmax_space(global, 1))": cwd,
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LATER])
def test_published_formulas_agree_on_the_same_features(name: str, proxy_of: ProxyOf) -> None:
    proxy = proxy_of(name)
    for formula, level_loss in PUBLISHED.items():
        model = model_of(proxy, formula)
        term = step(proxy, model)["loss_distill_global"]
        expected = [float(level_loss(s, t)) for s, t in features(proxy, model_of(proxy, formula))]
        assert term.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-7), formula


def random_distiller(proxy: ProxyTraining, rng: random.Random) -> str:
    """Return the text of a distiller with one random tree for every knowledge that the pair has."""
    grammar, terms = proxy.task.primitive_set, []
    for niche in grammar.niches:
        tree = ramped_half_and_half(grammar.niche(niche), rng, 1, 5)
        terms.append(make_term(tree, grammar))
    return make_distiller(terms, grammar).text.replace("calibrated", "1")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_random_distillers_on_every_knowledge_train(name: str, proxy_of: ProxyOf) -> None:
    """Four for each family, each of a tree for every knowledge: about 800 trees in all."""
    proxy, rng = proxy_of(name), random.Random(name)
    grammar = proxy.task.primitive_set
    for _ in range(4):
        distiller = parse_distiller(random_distiller(proxy, rng), grammar)
        assert len(distiller.terms) == len(grammar.niches)
        scaled = distiller.with_scales({})
        model = proxy.model(scaled, seed=0)
        before = {key: value.clone() for key, value in model.student.state_dict().items()}
        losses = step(proxy, model.train())
        terms = {key: value for key, value in losses.items() if "distill" in key}
        assert len(terms) == len(grammar.niches)
        total = sum(value.mean() for value in terms.values())
        assert math.isfinite(float(total.detach()))
        total.backward()
        assert any(p.grad is not None and p.grad.any() for p in model.student.parameters()), scaled.text
        model.zero_grad()
        train(model, proxy.batches(0, model), proxy.task.settings, 5, seed=0)
        after = model.student.state_dict()
        assert all(torch.isfinite(value).all() for value in after.values() if value.is_floating_point()), scaled.text
        assert any(not torch.equal(after[key], value) for key, value in before.items())
