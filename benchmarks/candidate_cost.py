"""What a candidate costs: a student trained under a formula and scored, against the bare student and the usual loop.

Three ways take turns in one run, on the tiny RetinaNet pair, with the same student, images, iterations and AP:

- bare: a plain loop without distillation, its images in memory;
- ours: one candidate of the proxy, global features and logits distilled, the teacher's outputs kept;
- published: the loop of published distillers: both detectors built anew, images decoded at every step by mmdet's own
  pipeline, the student run once for its loss and once for its features, the teacher run at every step.

Each habit of the published loop is also added to the bare one alone, for the breakdown.

    python benchmarks/candidate_cost.py [--quick] [--iterations 60] [--rounds 7] [--save]

The last line printed is one JSON object: median ratios of neighbours with their quartiles. Wanted:
``candidate_over_bare`` at most 1.2, ``published_over_ours`` at least 1.8.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from mmdet.datasets import CocoDataset
from mmengine.dataset import pseudo_collate
from torch import Tensor

from detkds_gp.config import load_config
from detkds_gp.detectors import BaseDetector, build_detector, make_batch, scene_of
from detkds_gp.detectors.taps import Taps, outputs_of
from detkds_gp.fitness import Evaluation, ProxyTask, ProxyTraining, SplitImages
from detkds_gp.fitness.calibration import measure_scale, write_probe
from detkds_gp.fitness.images import plan
from detkds_gp.listener import Listener
from detkds_gp.losses import DistillationLoss
from detkds_gp.operators import active_operators
from detkds_gp.score import Trial
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.training import DistilledDetector, seed_all

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "candidate_cost.json"
TREES = ("l2(standardize_channel(global))", "binary_kl(units(class_logits, 1))")
HABITS = ("build", "decode", "twice", "teacher")
"""Of the published loop: detectors built anew, images decoded at every step, the student run twice, the teacher too."""
WANTED = {"candidate_over_bare": 1.2, "published_over_ours": 1.8}


class Ways:
    """The loops that are compared.

    Args:
        task: with its teacher trained and its outputs kept.
        iterations: training steps.
        annotations: the file of the training images.
    """

    def __init__(self, task: ProxyTask, iterations: int, annotations: Path) -> None:
        self.task = task
        self.annotations = annotations
        self.iterations = iterations
        self.proxy = ProxyTraining(task)
        write_probe(self.proxy, seed=0)
        scales = [measure_scale(self.proxy, tree, seed=0).value for tree in TREES]
        self.formula = " + ".join(f"1 * {scale} * {tree}" for scale, tree in zip(scales, TREES, strict=True))
        self.evaluation = Evaluation(self.proxy.images["selection"])
        self.initial = self.proxy.initial(0)

    def ours(self) -> float:
        """Score one candidate."""
        score = self.proxy(Trial(self.formula, self.iterations, 0))
        assert score.ap is not None, score
        return score.ap

    def loop(self, *habits: str, distil: bool = False) -> float:
        """Train and score a student with some of the published habits."""
        if "build" in habits:
            seed_all(0)
            student, teacher = self._student(), self._teacher()
        else:
            student, teacher = copy.deepcopy(self.initial), self.proxy.teacher
        loss = DistillationLoss(self.formula, self.task.primitive_set) if distil else None
        model = DistilledDetector(student, loss, self.task.pair, None).train()
        settings = dict(self.task.settings.optimizer)
        del settings["type"]
        optimizer = torch.optim.AdamW(model.parameters(), **settings)
        for batch in islice(self._batches("decode" in habits), self.iterations):
            total = self._total(model, teacher, batch, habits)
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
        return self._decoded()(student) if "decode" in habits else self.evaluation(student)

    def _total(self, model: DistilledDetector, teacher: BaseDetector, batch: Any, habits: tuple[str, ...]) -> Tensor:
        data = model.student.data_preprocessor(batch, True)
        total, _ = model.student.parse_losses(model.student.loss(data["inputs"], data["data_samples"]))
        names = ["global", "class_map"]
        outputs = outputs_of(teacher, data["inputs"], names) if "teacher" in habits else None
        if "twice" in habits:
            with Taps(model.student, names) as taps:
                model.student.bbox_head(model.student.extract_feat(data["inputs"]))
            if model.pairing is not None and outputs is not None:
                terms = model.distill(taps.outputs(), outputs, scene_of(data))
                total = total + torch.stack([levels.mean() for levels in terms.values()]).sum()
        return total

    def _batches(self, decode: bool) -> Iterator[dict[str, Any]]:
        images, read = self.proxy.images["train"], self._pipeline() if decode else None
        for indices, flips in plan(len(images), self.task.settings.batch_size, 0):
            if read is None:
                yield make_batch([images[index] for index in indices], flips)
            else:
                yield pseudo_collate([read[index] for index in indices])

    def _pipeline(self) -> CocoDataset:
        """Return the training images as mmdet's configs read them."""
        height, width = self.task.settings.image_size
        return CocoDataset(
            ann_file=str(self.annotations),
            data_prefix={"img": str(self.task.splits["train"].images[0].path.parent)},
            metainfo={"classes": self.task.splits["train"].classes},
            pipeline=[
                {"type": "LoadImageFromFile"},
                {"type": "LoadAnnotations", "with_bbox": True},
                {"type": "Resize", "scale": (width, height), "keep_ratio": True},
                {"type": "RandomFlip", "prob": 0.5},
                {"type": "PackDetInputs"},
            ],
        )

    def _decoded(self) -> Evaluation:
        return Evaluation(self._undecoded("selection"))

    def _undecoded(self, split: str) -> SplitImages:
        """Return a split that holds nothing in memory."""
        return SplitImages(self.task.splits[split], self.task.settings.image_size, 0)

    def _student(self) -> BaseDetector:
        return build_detector(self.task.student, self.task.splits["train"].classes)

    def _teacher(self) -> BaseDetector:
        return build_detector(self.task.teacher, self.task.teacher_classes).requires_grad_(False).eval()


def timed(way: Callable[[], float]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def measured(ways: Ways, rounds: int) -> dict[str, list[float]]:
    """Time all ways in turns; the first round only warms up."""
    asked: dict[str, Callable[[], float]] = {
        "bare": ways.loop,
        "ours": ways.ours,
        "published": lambda: ways.loop(*HABITS, distil=True),
        **{habit: (lambda habit=habit: ways.loop(habit)) for habit in HABITS},
    }
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(rounds + 1):
        for name, way in asked.items():
            took = timed(way)
            if turn:
                seconds[name].append(took)
    return seconds


def spread(numerators: list[float], denominators: list[float]) -> list[float]:
    """Return lower quartile, median and upper quartile of the ratios of neighbours."""
    ratios = [a / b for a, b in zip(numerators, denominators, strict=True)]
    return [round(q, 3) for q in (quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3)]


def report(seconds: dict[str, list[float]], iterations: int) -> dict[str, Any]:
    candidate, published = spread(seconds["ours"], seconds["bare"]), spread(seconds["published"], seconds["ours"])
    return {
        "candidate_over_bare": candidate[1],
        "published_over_ours": published[1],
        "quartiles": {"candidate_over_bare": candidate, "published_over_ours": published},
        "breakdown_over_bare": {habit: spread(seconds[habit], seconds["bare"])[1] for habit in HABITS},
        "seconds": {name: round(sorted(values)[len(values) // 2], 3) for name, values in seconds.items()},
        "iterations": iterations,
        "held": candidate[1] <= WANTED["candidate_over_bare"] and published[1] >= WANTED["published_over_ours"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps: whether it works")
    parser.add_argument("--config", default=str(ROOT / "configs" / "tiny" / "retinanet.py"))
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="write results/candidate_cost.json")
    arguments = parser.parse_args()
    iterations, rounds = (4, 1) if arguments.quick else (arguments.iterations, arguments.rounds)
    torch.set_num_threads(1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = load_config(arguments.config, {"cache_dir": str(folder), "data.digits.root": str(folder / "digits")})
        task = prepare(config, gather(config), folder, Listener())
        assert ProxyTraining(task).prepare_teacher().ok
        found = report(measured(Ways(task, iterations, folder / "digits" / "train.json"), rounds), iterations)
    found |= {
        "device": f"{platform.processor() or platform.machine()}, 1 thread",
        "versions": {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": "python " + shlex.join(["benchmarks/candidate_cost.py", *sys.argv[1:]]),
    }
    if arguments.save:
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
