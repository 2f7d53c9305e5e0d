"""Which knowledge helps which detector family, each alone, as a published formula at one calibrated weight.

For each of the tiny families the student is trained alone and with one formula for each knowledge that the pair has,
on the same seeds; the gain is the paired difference of AP on the test split. Nothing is searched or chosen, so the
table says what the kinds of knowledge are worth by themselves at this budget, not what a search makes of them.

    python benchmarks/knowledge.py [--quick] [--families retinanet gfl ...] [--iterations 300] [--seeds 4] [--save]

With ``--save`` each family is written to ``benchmarks/results/knowledge.json`` when it is done; of those that
stand there already with the same options only knowledge that they lack is measured. The last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from detkds_gp.config import load_config
from detkds_gp.execution import LocalExecutor, run_tasks
from detkds_gp.fitness import ProbeRequest, ProxyTask, ProxyWorker, ScaleRequest, TeacherRequest
from detkds_gp.gain import paired_gain
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.operators import active_operators
from detkds_gp.score import Trial
from detkds_gp.setup.prepare import gather, prepare

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "knowledge.json"
FAMILIES = (
    "retinanet", "fcos", "atss", "gfl", "reppoints", "faster_rcnn", "cascade_rcnn", "mask_rcnn", "cascade_mask_rcnn",
    "rtmdet", "yolox", "dino", "dino_to_retinanet",
)  # fmt: skip
FORMULAS: dict[str, tuple[str, ...]] = {
    "global": ("l2(standardize_channel(global))",),
    "foreground_background": ("add(l2_sum(foreground), l2_sum(background))",),
    "instance": ("l2(instance)",),
    "class_logits": ("binary_kl(units(class_logits, 1))",),
    "localization": ("weighted_kl(softmax_row(box_bins, 10), box_score)", "weighted_giou(boxes, box_score)"),
    "objectness": ("binary_kl(objectness)",),
    "proposals": ("weighted_giou(proposals, proposal_score)",),
    "mask_logits": ("binary_kl(units(flatten_space(mask_logits), 1))",),
    "cross_head": ("binary_kl(units(cross_logits, 1))",),
    "memory": ("l2(standardize_channel(memory))",),
    "queries": ("weighted_giou(query_boxes, query_score)",),
    "predictions": ("weighted_giou(predicted_boxes, predicted_score)",),
}
"""By knowledge, the formulas tried; the first whose inputs the pair shares counts."""
SOFTMAX = "kl(softmax_row(class_logits, 1))"
"""Class logits of a second stage, which has a softmax."""


def formula_of(niche: str, task: ProxyTask) -> str:
    """Return the formula of a knowledge that the pair can compute."""
    if niche == "class_logits" and "class_map" not in task.primitive_set.declarations:
        return SOFTMAX
    known = task.primitive_set.declarations
    return next(f for f in FORMULAS[niche] if "box_bins" not in f or "box_bins" in known)


def measure(
    family: str, iterations: int, seeds: int, weight: float, folder: Path, known: dict[str, Any]
) -> dict[str, Any]:
    """Train under every knowledge of a family that is not known yet, and add what it brings.

    Raises:
        ValueError: the student alone does not score as it did when the rest was measured.
    """
    options = {
        "primitive_set": "detkds_gp.primitives:OMNI",
        "data.digits": {"root": str(folder / "digits"), "train": 240, "selection": 40, "test": 150, "size": 64,
                        "digits": (0, 1, 4, 7)},
        "cache_dir": str(folder / "cache"),
        "proxy.iterations": iterations,
        "proxy.batch_size": 8,
        "proxy.warmup": 20,
        "proxy.decay": 0.5,
        "proxy.calibration_iterations": max(iterations // 4, 1),
        "proxy.calibration_batches": 4,
        "teacher.train.iterations": 3 * iterations,
        "teacher.train.batch_size": 8,
        "teacher.train.warmup": 20,
    }  # fmt: skip
    config = load_config(ROOT / "configs" / "tiny" / f"{family}.py", options)
    work_dir = folder / family
    work_dir.mkdir()
    task = prepare(config, gather(config), work_dir, Listener())
    missing = [niche for niche in task.primitive_set.niches if niche not in known.get("knowledge", ())]
    if not missing:
        return known
    started = time.perf_counter()
    executor = LocalExecutor(ProxyWorker(task), 2, 3600.0, 1)
    try:
        (teacher,) = (answer for _, answer in run_tasks(executor, [TeacherRequest()], limited=False))
        list(run_tasks(executor, [ProbeRequest(0)], limited=False))
        formulas = {niche: formula_of(niche, task) for niche in missing}
        asked = [ScaleRequest(formula, 0) for formula in formulas.values()]
        scales = {asked[index].formula: scale.value for index, scale in run_tasks(executor, asked)}
        distillers = {
            niche: parse_distiller(formula, task.primitive_set).text.replace(
                "1 * 1 *", f"{weight:g} * {scales[formula]} *"
            )
            for niche, formula in formulas.items()
        }
        trials = [
            Trial(text, iterations, 1000 + seed, test=True)
            for text in (NONE, *distillers.values())
            for seed in range(seeds)
        ]
        scores = {trials[index]: score for index, score in run_tasks(executor, trials)}
    finally:
        executor.close()
    aps = {text: [scores[Trial(text, iterations, 1000 + s, test=True)].test_ap for s in range(seeds)]
           for text in (NONE, *distillers.values())}  # fmt: skip
    alone, gains = [round(ap, 4) for ap in aps[NONE]], {n: told(t, aps[t], aps[NONE]) for n, t in distillers.items()}
    if known and known["student"] != alone:
        raise ValueError(f"{family} alone scores {alone}, and {known['student']} before: measure all of it again")
    return made_with() | {
        "metric": config.proxy.metric,
        "iterations": iterations,
        "teacher": round(teacher.test_ap, 4),
        "student": alone,
        "knowledge": known.get("knowledge", {}) | gains,
        "minutes": round((time.perf_counter() - started) / 60 + known.get("minutes", 0), 1),
    }


def told(text: str, treated: list[float | None], baseline: list[float]) -> dict[str, Any]:
    if None in treated:
        return {"distiller": text, "gain": None}
    gain = paired_gain([ap or 0.0 for ap in treated], baseline)
    return {"distiller": text, "gain": {key: round(value, 4) for key, value in gain.to_json().items()}}


def table(figures: dict[str, Any]) -> str:
    """Return the Markdown table of all families."""
    niches = [n for n in FORMULAS if any(n in family["knowledge"] for family in figures.values())]
    lines = [
        "| family | teacher | student | " + " | ".join(niches) + " |",
        "|---|---|---|" + "---|" * len(niches),
    ]
    for name, family in figures.items():
        cells = [cell(family["knowledge"].get(niche)) for niche in niches]
        lines.append(
            f"| {name} | {family['teacher']:.3f} | {fmean(family['student']):.3f} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    gain = found["gain"]
    if gain is None:
        return "failed"
    text = f"{gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
    return f"**{text}**" if gain["low"] > 0 or gain["high"] < 0 else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="check that it works; measures nothing")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--iterations", type=int, default=300, help="of a student; a teacher has three times as many")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--weight", type=float, default=2.0, help="times the calibrated scale")
    parser.add_argument("--save", action="store_true", help="write to benchmarks/results")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.families, arguments.iterations, arguments.seeds = ["retinanet"], 3, 2
    known = json.loads(RESULTS.read_text())["families"] if arguments.save and RESULTS.exists() else {}
    figures: dict[str, Any] = {}
    for family in arguments.families:
        with tempfile.TemporaryDirectory() as folder:
            there = known.get(family, {})
            there = there if there.get("iterations") == arguments.iterations else {}
            found = measure(family, arguments.iterations, arguments.seeds, arguments.weight, Path(folder), there)
        figures[family] = found
        print(table({family: found}), flush=True)
        if arguments.save:
            save(known | figures, arguments)
    print(table(figures))
    print(json.dumps(figures))


def made_with() -> dict[str, Any]:
    """Return what a family was measured with: families are not all measured at once."""
    versions = {name: version(name) for name in ("torch", "mmdet", "detkds_gp")} | {"operators": active_operators()}
    return {"versions": versions, "command": shlex.join(["python", *sys.argv])}


def save(families: dict[str, Any], arguments: argparse.Namespace) -> None:
    content = {
        "families": {name: families[name] for name in FAMILIES if name in families},
        "weight": arguments.weight,
        "seeds": arguments.seeds,
        "machine": f"{platform.machine()}, 2 workers of 1 thread",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
