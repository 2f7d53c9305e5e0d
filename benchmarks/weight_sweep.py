"""How far from 1 the best weight of each published loss lies, in units of two scales: of maps, and of parameters.

On every pair each loss is trained at a grid of weights and a few seeds, as a search trains its candidates, and the
student alone beside it. The best weight has the highest mean AP on the selection split; its gain over the student alone
is told with a 95% interval, on the seeds that it was picked on, which flatters it. A good scale has it near 1,
for feature, class and box losses alike: then a search need not look far.

    python benchmarks/weight_sweep.py --data DIR [--quick] [--pairs retinanet gfl fcos] [--losses pkd cwd ...]
        [--weights 0.1 1 10 100 ...] [--seeds 3] [--iterations 240] [--workers 2] [--options KEY=VALUE ...]
        [--work-dir work_dirs/weight_sweep] [--save]

DIR holds BCCD in COCO format: train.json, val.json, test.json, images. Losses are distillers of the zoo of one term,
and those of `OTHERS`; by default all that a pair can be trained with. ``--options`` change the config, such as
how weights are averaged. What is trained in the work directory is not trained again: a stopped sweep goes on, with more
losses, weights or seeds too. With ``--save`` each pair is written to ``benchmarks/results/weight_sweep.json`` when it
is done. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from importlib.metadata import version
from itertools import islice
from math import log10
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from narrow_bccd import FAMILIES, search_config

from detkds_gp.atomic import atomic_file
from detkds_gp.config import ExperimentConfig, parse_config
from detkds_gp.detectors import Taps, scene_of
from detkds_gp.evaluation import EvaluationService, Interrupt, Question
from detkds_gp.fitness import ProxyTraining
from detkds_gp.fitness.calibration import measure_scale, probe_model
from detkds_gp.gain import complete_gain
from detkds_gp.language import NONE, Term, load_zoo, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.naming import reason_against
from detkds_gp.operators import active_operators
from detkds_gp.score import Trial
from detkds_gp.setup.context import RunContext
from detkds_gp.setup.prepare import gather
from detkds_gp.training import seed_all

RESULTS = Path(__file__).parent / "results" / "weight_sweep.json"
OTHERS = {"logits": "binary_kl(units(class_logits, 1))", "giou": "weighted_giou(boxes, box_score)"}
"""Losses without a published coefficient."""
KINDS = {"class_logits": "logits", "cross_logits": "logits", "localization": "boxes"}
"""By knowledge, the kind of loss it makes; features are all others."""
WEIGHTS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class Aloud(Listener):
    """Prints what a run says."""

    def say(self, message: str) -> None:
        """Print a line."""
        print(message, flush=True)

    def phase(self, name: str, total: int, known: int, besides: int = 0) -> None:
        """Print what comes next."""
        print(f"{name}: {total} trainings, {known} known", flush=True)


def pair_config(name: str, arguments: argparse.Namespace) -> ExperimentConfig:
    """Return the config of a pair; nothing of its search is used."""
    values = search_config(name, arguments.data, 1, arguments.workers, quick=arguments.quick)
    values["proxy"] = {**values["proxy"], "iterations": 2 if arguments.quick else arguments.iterations}
    values |= {"knowledge": None, "baseline_seeds": tuple(range(max(3, arguments.seeds)))}
    values["search"] = {**values["search"], "warm_start": ()}
    values["verdict"] = {"rivals": {}}
    for option in arguments.options:
        key, _, text = option.partition("=")
        *groups, last = key.split(".")
        inner = values
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = json.loads(text)
    return parse_config(values)


def losses_of(context: RunContext, wanted: list[str] | None) -> dict[str, Term]:
    """Return the losses of one term that the pair can be trained with, by name."""
    grammar, pair = context.task.primitive_set, context.task.pair
    zoo = load_zoo(context.config.zoo)
    found = {name: entry.distiller(grammar) for name, entry in zoo.items() if not reason_against(entry, grammar, pair)}
    shared = {d.name for d in grammar.inputs}
    for name, text in OTHERS.items():
        if all(word in shared for word in ("class_logits", "boxes", "box_score") if word in text):
            found[name] = parse_distiller(text, grammar, bare=None)
    single = {name: distiller.terms[0] for name, distiller in found.items() if len(distiller.terms) == 1}
    return {name: term for name, term in single.items() if wanted is None or name in wanted}


def map_scale(proxy: ProxyTraining, formula: str, seed: int) -> float:
    """Return |task gradient| / |distillation gradient| on the neck's maps: medians over the calibration batches."""
    model = probe_model(proxy, formula, seed)
    assert model.pairing is not None
    task, distilled = [], []
    for iteration, (batch, teacher) in enumerate(
        islice(proxy.batches(seed, model), proxy.task.settings.calibration_batches)
    ):
        seed_all(seed, iteration)
        data = model.student.data_preprocessor(batch, True)
        with Taps(model.student, [*model.pairing.student_outputs, "global"]) as taps:
            losses = model.student.loss(data["inputs"], data["data_samples"])
        student = taps.outputs()
        assert teacher is not None
        terms = model.distill(student, teacher, scene_of(data))
        extra = torch.stack([levels.mean() for levels in terms.values()]).sum()
        for norms, loss in ((task, model.student.parse_losses(losses)[0]), (distilled, extra)):
            found = torch.autograd.grad(loss, student["global"], retain_graph=True, allow_unused=True)
            norms.append(sum(float(g.square().sum()) for g in found if g is not None) ** 0.5)
    return median(task) / median(distilled)


def sweep(name: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train every loss of a pair at every weight; return what was found."""
    config = pair_config(name, arguments)
    context = RunContext.prepared(config, gather(config), folder, Aloud())
    interrupt, seeds = Interrupt(config.execution.grace_seconds), range(arguments.seeds)
    with interrupt.handling_signals(), context.open(interrupt) as (store, evaluations):
        context.train_baselines(store, evaluations)
        losses = losses_of(context, arguments.losses)
        proxy = ProxyTraining(context.task)
        table = {
            loss: measured(loss, term, context, evaluations, proxy, arguments) | {"knowledge": term.knowledge}
            for loss, term in losses.items()
        }
        found = [store.score(Trial(NONE, config.proxy.iterations, seed)) for seed in seeds]
    alone = [score.ap if score is not None else None for score in found]
    for loss in table.values():
        if loss.get("best"):
            gain = complete_gain(loss["aps"][loss["best"]["parameters"]], alone)
            loss["gain"] = None if gain is None else gain.to_json()
    return {
        "alone": alone,
        "iterations": config.proxy.iterations,
        "proxy": config.proxy.model_dump(mode="json"),
        "losses": table,
    }


def measured(
    name: str,
    term: Term,
    context: RunContext,
    evaluations: EvaluationService,
    proxy: ProxyTraining,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Train one loss at every weight and seed, and find its best weight in units of both scales."""
    config = context.config
    ours = measure_scale(proxy, term.formula, config.baseline_seeds[0])
    if ours.value is None:
        return {"formula": term.formula, "failure": ours.failure}
    on_maps = map_scale(proxy, term.formula, config.baseline_seeds[0])
    texts = {weight: f"{weight:g} * {ours.value:g} * {term.formula}" for weight in arguments.weights}
    distillers = {weight: parse_distiller(text, context.task.primitive_set) for weight, text in texts.items()}
    keys = [(weight, seed) for weight in texts for seed in range(arguments.seeds)]
    asked = [
        Question(Trial(distillers[weight].text, config.proxy.iterations, seed), distillers[weight], term.knowledge)
        for weight, seed in keys
    ]
    scores = dict(zip(keys, evaluations.scores(name, asked), strict=True))
    aps = {weight: [scores[weight, seed].ap for seed in range(arguments.seeds)] for weight in texts}
    means = {weight: fmean(known) for weight, found in aps.items() if (known := [ap for ap in found if ap is not None])}
    best = max(means, key=lambda weight: means[weight], default=None)
    shift = ours.value / on_maps
    paper = None if term.scale is None else term.weight * term.scale
    return {
        "formula": term.formula,
        "aps": aps,
        "scale": {"parameters": ours.value, "maps": float(f"{on_maps:.3g}")},
        "scale_seconds": round(ours.wall_seconds, 3),
        "paper": None if paper is None else rounded(paper / ours.value, paper / on_maps),
        "best": None if best is None else rounded(best, best * shift),
        "at_the_end_of_the_grid": best in (min(texts), max(texts)),
    }


def rounded(on_parameters: float, on_maps: float) -> dict[str, float]:
    """Return a weight in units of both scales."""
    return {"parameters": float(f"{on_parameters:.3g}"), "maps": float(f"{on_maps:.3g}")}


def summary(pairs: dict[str, Any]) -> dict[str, Any]:
    """Return by kind of loss how many decades the best weights lie from 1, and how many within one."""
    told: dict[str, Any] = {}
    found = [
        (KINDS.get(loss["knowledge"], "features"), loss["best"])
        for pair in pairs.values()
        for loss in pair["losses"].values()
        if loss.get("best")
    ]
    for kind in ("features", "logits", "boxes"):
        for scale in ("parameters", "maps"):
            decades = [log10(best[scale]) for k, best in found if k == kind]
            if decades:
                told.setdefault(kind, {})[scale] = {
                    "losses": len(decades),
                    "within_a_decade": sum(abs(d) <= 1 for d in decades),
                    "median": round(median(decades), 2),
                    "farthest": round(max(decades, key=abs), 2),
                }
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of BCCD in COCO format")
    parser.add_argument("--quick", action="store_true", help="two steps on a tenth of the data: whether it works")
    parser.add_argument("--pairs", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--losses", nargs="+")
    parser.add_argument("--weights", nargs="+", type=float, default=WEIGHTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=240)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--options", nargs="*", default=[], metavar="KEY=JSON")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/weight_sweep"))
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    told: dict[str, Any] = json.loads(RESULTS.read_text()) if arguments.save and RESULTS.exists() else {"pairs": {}}
    for name in arguments.pairs:
        told["pairs"][name] = sweep(name, arguments, arguments.work_dir / name)
        told |= {
            "summary": summary(told["pairs"]),
            "versions": {key: version(key) for key in ("torch", "mmdet")} | {"operators": active_operators()},
            "machine": f"{platform.machine()}, {arguments.workers} workers of 1 thread",
            "command": "python " + shlex.join(["benchmarks/weight_sweep.py", *sys.argv[1:]]),
        }
        if arguments.save:
            with atomic_file(RESULTS) as draft:
                draft.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(name, json.dumps(told["summary"]), flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
