"""How often the queries of two detectors change their partners from step to step, and what that does to the gradient.

A student is trained alone, and with a loss of matched queries. Between steps one batch is looked at: which query of the
student each of the teacher's gets, and the loss's gradient on the student's backbone and neck, once with the partners
of now and once with those of the step before. What is told, medians over steps (quartiles):

- the share of queries that change their partner, all alike and weighed with the teacher's score;
- the cosine of the two gradients, and the ratio of their lengths, which is what a change of partners alone does: a
  scale goes with the length;
- the same of the gradients one step apart with partners held, which is what the step alone does.

    python benchmarks/matches.py [--quick] [--config configs/tiny/dino.py] [--steps 60] [--save]

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice, pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from torch import Tensor

from detkds_gp.config import load_config
from detkds_gp.detectors import Outputs, Taps, outputs_on, scene_of
from detkds_gp.detectors.sources._partners import class_probabilities
from detkds_gp.detectors.sources.query_head import SharedQueries
from detkds_gp.fitness import ProxyTraining
from detkds_gp.fitness.calibration import body, measure_scale, write_probe
from detkds_gp.language import NONE, parse_distiller
from detkds_gp.listener import Listener
from detkds_gp.operators import active_operators
from detkds_gp.setup.prepare import gather, prepare
from detkds_gp.training import DistilledDetector, Training, seed_all

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "matches.json"
FORMULAS = ("weighted_giou(query_boxes, query_score)", "weighted_kl(softmax_row(query_logits, 1), query_score)")
BLIND = 2
"""Steps before the first look: a deformable detector's box branches begin at zero, and pass no gradient on."""
WEIGHTS = {"alone": 0, "distilled": 1}

Partners = tuple[tuple[Tensor, Tensor], ...]
"""By layer, the rows of the student and of the teacher that are compared."""


@dataclass(frozen=True)
class Look:
    """What is seen between two steps.

    Attributes:
        partners: of now.
        scores: by layer the teacher's best class probability of each compared query.
        now: the gradient with them.
        held: that with the partners of the look before, where there is one.
    """

    partners: Partners
    scores: tuple[Tensor, ...]
    now: Tensor
    held: Tensor | None


@contextmanager
def watched(held: Partners | None) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Note the partners of every layer; give those that are held, if any are."""
    found: list[tuple[Tensor, Tensor]] = []
    original: Callable[..., tuple[Tensor, Tensor]] = SharedQueries._partners

    def partners(shared: SharedQueries, step: Any, layer: tuple[int, int]) -> tuple[Tensor, Tensor]:
        found.append(original(shared, step, layer) if held is None else held[len(found)])
        return found[-1]

    SharedQueries._partners = partners  # type: ignore[method-assign]
    try:
        yield found
    finally:
        SharedQueries._partners = original  # type: ignore[method-assign]


def gradient(
    model: DistilledDetector, batch: dict[str, Any], teacher: Outputs, held: Partners | None
) -> tuple[Tensor, Partners]:
    """Return a loss's gradient on backbone and neck, in one row, and the partners; the model stays as it is."""
    seen = copy.deepcopy(model).train()
    assert seen.pairing is not None
    seed_all(0)  # denoising queries are drawn
    data = seen.student.data_preprocessor(batch, True)
    with Taps(seen.student, seen.pairing.student_outputs) as taps:
        seen.student.loss(data["inputs"], data["data_samples"])
    with watched(held) as found:
        terms = seen.distill(taps.outputs(), teacher, scene_of(data))
    loss = torch.stack([levels.mean() for levels in terms.values()]).sum()
    parts = torch.autograd.grad(loss, body(seen.student), allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts]), tuple(found)


def looks(proxy: ProxyTraining, formula: str, weight: float, steps: int) -> list[Look]:
    """Train a student for some steps, and look before each but the first."""
    grammar = proxy.task.primitive_set
    watcher = proxy.model(parse_distiller(formula, grammar, bare=1.0), seed=0)
    text = f"{weight} * {measure_scale(proxy, formula, 0).value} * {formula}" if weight else NONE
    trained = proxy.model(parse_distiller(text, grammar), seed=0)
    last = proxy.task.settings.model_copy(update={"average": 0.0})
    training, found = Training(trained, last, steps, 0), list[Look]()
    seen, _ = next(proxy.batches(0, watcher))
    assert watcher.pairing is not None
    shared = proxy.task.pair.shared["query_logits"]
    assert isinstance(shared, SharedQueries)
    theirs = outputs_on(proxy.teacher, seen, watcher.pairing.teacher_outputs)
    for number, (batch, outputs) in enumerate(islice(proxy.batches(0, trained), steps)):
        if number < BLIND:
            training.step(batch, outputs)
            continue
        watcher.student.load_state_dict(trained.student.state_dict())
        now, partners = gradient(watcher, seen, theirs, None)
        held = gradient(watcher, seen, theirs, found[-1].partners)[0] if found else None
        found.append(Look(partners, scores(theirs, partners, softmax=shared.softmax[1]), now, held))
        training.step(batch, outputs)
    return found


def scores(teacher: Outputs, partners: Partners, *, softmax: bool) -> tuple[Tensor, ...]:
    """Return by layer the teacher's best class probability of each compared query."""
    layers = teacher["query_logits"][-len(partners) :]
    return tuple(
        class_probabilities(logits, softmax=softmax).amax(dim=1)[rows]
        for logits, (_, rows) in zip(layers, partners, strict=True)
    )


def told(found: list[Look]) -> dict[str, list[float]]:
    """Return quartiles over steps of what changes from one to the next."""
    values: dict[str, list[float]] = {name: [] for name in (
        "changed", "changed_by_score", "cosine_of_change", "length_by_change", "cosine_of_step", "length_by_step",
    )}  # fmt: skip
    for before, after in pairwise(found):
        assert after.held is not None
        moved = torch.cat([(a[0] != b[0]).float() for a, b in zip(before.partners, after.partners, strict=True)])
        weights = torch.cat(after.scores)
        values["changed"].append(float(moved.mean()))
        values["changed_by_score"].append(float((moved * weights).sum() / weights.sum()))
        for kind, one, other in (("change", after.now, after.held), ("step", after.held, before.now)):
            name = f"cosine_of_{kind}"
            values[name].append(float(torch.nn.functional.cosine_similarity(one, other, dim=0)))
            values[f"length_by_{kind}"].append(float(one.norm() / other.norm()))
    return {name: [round(x, 3) for x in quantiles(numbers, n=4)] for name, numbers in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="check that it works: four steps")
    parser.add_argument("--config", default=str(ROOT / "configs" / "tiny" / "dino.py"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--save", action="store_true", help="write results/matches.json")
    arguments = parser.parse_args()
    steps, teacher = (5, 2) if arguments.quick else (arguments.steps, 150)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "data.digits.root": str(Path(folder) / "digits"), "cache_dir": str(Path(folder) / "cache"),
            "teacher.train.iterations": teacher, "proxy.calibration_batches": 4,
        }  # fmt: skip
        config = load_config(arguments.config, options)
        proxy = ProxyTraining(prepare(config, gather(config), Path(folder), Listener()))
        assert proxy.prepare_teacher().ok
        write_probe(proxy, seed=0)
        found: dict[str, Any] = {}
        for formula in FORMULAS:
            for name, weight in WEIGHTS.items():
                found[f"{formula}, {name}"] = told(looks(proxy, formula, weight, steps))
                print(formula, name, found[f"{formula}, {name}"], flush=True)
    outcome = {
        "quartiles": found,
        "steps": steps,
        "versions": {name: version(name) for name in ("torch", "mmdet")} | {"operators": active_operators()},
        "command": "python " + shlex.join(["benchmarks/matches.py", *sys.argv[1:]]),
    }
    if arguments.save:
        RESULTS.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
