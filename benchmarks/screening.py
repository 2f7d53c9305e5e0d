"""What screening turns away, what it takes, and whether losses that it merges are the same.

For each pair and each of the two grammars 2,000 random formulas, grown as the search grows them: how many are of
known text, the same loss as another, or rejected by which check; and the milliseconds of one core that a formula takes.
Then pairs of a formula and a mutant of it, 5,000 in all: those that are merged are compared by their full gradients
at probes that no fingerprint has seen (other images, other distances from the teacher), in float64, and in float32,
where losses that are equal by their mathematics may part by rounding (the signs of an l1, attention that underflows).
Ten merged pairs of the quickstart's detectors are trained, beside the student alone on five seeds.

    python benchmarks/screening.py [--quick] [--formulas 2000] [--pairs 5000] [--bccd FOLDER] [--iterations 60]
        [--trained 10] [--save]

BCCD is measured where its folder is found. ``--save`` writes ``benchmarks/results/screening.json``. The last line
printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor

from detkds_gp.config import load_config
from detkds_gp.fitness import ProxyTask, ProxyTraining, probes_of
from detkds_gp.fitness.calibration import measure_scale, write_probe
from detkds_gp.language import NONE, PrimitiveSet, Term, make_distiller, make_term, ramped_half_and_half
from detkds_gp.listener import Listener
from detkds_gp.noise import SURE, noise_of
from detkds_gp.score import Screening, Trial
from detkds_gp.screening import Fingerprint, Probe, Probes, Screen
from detkds_gp.search import SearchSettings
from detkds_gp.search.variation import MUTATIONS
from detkds_gp.setup.prepare import gather, prepare

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "screening.json"
BCCD = (ROOT / "data" / "bccd", ROOT.parent / "shared" / "data" / "bccd")
SETS = ("OMNI", "DETKDS")
WANTED_MS, WANTED_GAP = 30.0, 1e-4
LIMITS = SearchSettings()


def task_of(name: str, primitive_set: str, options: dict[str, Any], folder: Path) -> ProxyTask:
    """Prepare a config with all knowledge of a grammar that its pair shares."""
    fixed = {"primitive_set": f"detkds_gp.primitives:{primitive_set}", "knowledge": None, "cache_dir": str(folder)}
    config = load_config(ROOT / "configs" / f"{name}.py", fixed | options)
    work_dir = folder / f"{Path(name).stem}-{primitive_set}"
    work_dir.mkdir()
    task = prepare(config, gather(config), work_dir, Listener())
    proxy = ProxyTraining(task)
    if not proxy.prepare_teacher().ok:
        raise SystemExit(f"the teacher of {name} fails to train")
    write_probe(proxy, seed=0)
    return task


def grown(primitive_set: PrimitiveSet, rng: random.Random) -> Iterator[Term]:
    """Grow formulas as the search's first generations do, the knowledge in turns."""
    while True:
        for niche in primitive_set.niches:
            tree = ramped_half_and_half(primitive_set.niche(niche), rng, LIMITS.min_depth, LIMITS.max_depth)
            yield make_term(tree, primitive_set)


def mutant(term: Term, primitive_set: PrimitiveSet, rng: random.Random) -> Term:
    """Change a formula as the search does, once."""
    nodes = rng.choice(MUTATIONS)(term.tree, rng, primitive_set.niche(term.knowledge))
    return make_term(type(term.tree)(nodes), primitive_set)


class Losses:
    """Screens formulas, and knows the same text and the same loss again."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.milliseconds: list[float] = []
        self.by_text: dict[str, Screening] = {}
        self.known: dict[str, list[tuple[str, Fingerprint]]] = {}

    def screened(self, term: Term) -> Screening:
        """Screen a formula, once."""
        if term.formula not in self.by_text:
            started = time.process_time()
            self.by_text[term.formula] = self.screen(term.formula)
            self.milliseconds.append(1000 * (time.process_time() - started))
        return self.by_text[term.formula]

    def outcome(self, term: Term) -> str:
        """Return what becomes of a formula of a search."""
        if term.formula in self.by_text:
            return "same text"
        screening = self.screened(term)
        if screening.failure is not None:
            return screening.failure
        if not screening.fingerprint:
            return "new, random"
        fingerprint = Fingerprint.parse(screening.fingerprint)
        losses = self.known.setdefault(term.knowledge, [])
        if any(loss.same(fingerprint) for _, loss in losses):
            return "same loss"
        losses.append((term.formula, fingerprint))
        return "new"


def survey(screen: Screen, primitive_set: PrimitiveSet, count: int) -> dict[str, Any]:
    """Say what becomes of random formulas."""
    losses, supply = Losses(screen), grown(primitive_set, random.Random(0))
    outcomes = Counter(losses.outcome(next(supply)) for _ in range(count))
    times = sorted(losses.milliseconds)
    return {
        "formulas": count,
        "outcomes": dict(outcomes.most_common()),
        "median_ms": round(median(times), 1),
        "p95_ms": round(quantiles(times, n=20)[-1], 1),
    }


def directions(term: Term, screen: Screen, points: list[Probe]) -> list[Tensor]:
    """Return a loss's full gradient at each point, in float64, all divided by one norm."""
    evidence, gradients = screen.evidence(term), []
    for point in points:
        found = [g for levels in evidence.at(point).leaves.values() for g in levels]
        gradients.append(torch.cat([g.double().flatten() for g in found if g is not None]))
    common = torch.cat(gradients).norm()
    return [gradient / common for gradient in gradients]


def difference(one: Term, other: Term, screen: Screen, points: list[Probe]) -> float:
    """Return the largest relative difference of two losses' gradients at any point."""
    sides = [directions(term, screen, points) for term in (one, other)]
    return max(float((a - b).norm() / a.norm()) if len(a) == len(b) else 1.0 for a, b in zip(*sides, strict=True))


def unseen(probes: Probes, primitive_set: PrimitiveSet) -> list[Probe]:
    """Return points between and beyond those of fingerprints, on images of another seed."""
    moved = [probes.far.moved(lambda _, s=share: s, primitive_set) for share in (0.4, -0.7, 2.5)]
    return [probes.other, probes.one, *moved]


def precise(point: Probe) -> Probe:
    """Return a point in float64; gradients go to the same tensors."""
    knowledge = {
        name: [tuple(side.double() if side.is_floating_point() else side for side in pair) for pair in levels]
        for name, levels in point.knowledge.items()
    }
    return replace(point, knowledge=knowledge)


def false_merges(task: ProxyTask, screen: Screen, count: int) -> dict[str, Any]:
    """Merge formulas with their mutants, and look at every merge where no fingerprint has looked."""
    grammar, rng = task.primitive_set, random.Random(1)
    points = unseen(probes_of(ProxyTraining(task), 77), grammar)
    losses, supply, gaps, rounded = Losses(screen), grown(grammar, rng), list[float](), list[float]()
    for _ in range(count):
        one = next(supply)
        other = mutant(one, grammar, rng)
        prints = [losses.screened(term).fingerprint for term in (one, other)]
        if one.formula == other.formula or not all(prints):
            continue
        first, second = map(Fingerprint.parse, prints)
        if first.same(second):
            gaps.append(difference(one, other, screen, [precise(point) for point in points]))
            rounded.append(difference(one, other, screen, points))
            if max(gaps[-1], rounded[-1]) > WANTED_GAP:
                told = f"{gaps[-1]:.1e} in float64, {rounded[-1]:.1e} in float32"
                print(f"  differ by {told}: {one.formula} and {other.formula}", flush=True)
    false = sum(gap > WANTED_GAP for gap in gaps)
    return {
        "pairs": count,
        "merged": len(gaps),
        "false": false,
        "largest_gap": max(gaps, default=0.0),
        "apart_in_float32": sum(gap > WANTED_GAP for gap in rounded),
    }


def merged_pairs(screen: Screen, grammar: PrimitiveSet, count: int) -> Iterator[tuple[Term, Term]]:
    """Draw pairs of a formula and a mutant of it until so many are merged."""
    losses, rng, found = Losses(screen), random.Random(2), set[str]()
    supply = grown(grammar, rng)
    while len(found) < count:
        one = next(supply)
        other = mutant(one, grammar, rng)
        prints = [losses.screened(term).fingerprint for term in (one, other)]
        if one.formula != other.formula and one.formula not in found and all(prints):
            first, second = map(Fingerprint.parse, prints)
            if first.same(second):
                found.add(one.formula)
                yield one, other


def trained(count: int, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train merged pairs of the quickstart, each at its own scale, and the student alone on five seeds.

    A sum of two equal trees has a scale of its own, rounded by itself: such pairs part by luck, as two seeds do.
    """
    task = task_of("quickstart", "OMNI", options, folder)
    proxy, grammar = ProxyTraining(task), task.primitive_set
    length = task.settings.iterations

    def ap(text: str, seed: int = 0) -> float:
        score = proxy(Trial(text, length, seed))
        if score.ap is None:
            raise SystemExit(f"{text} fails to train: {score.failure}, {score.detail}")
        return score.ap

    def scaled(term: Term) -> str:
        scale = measure_scale(proxy, term.formula, seed=0)
        if scale.value is None:
            raise SystemExit(f"{term.formula} has no scale: {scale.failure}, {scale.detail}")
        return make_distiller([replace(term, weight=1.0, scale=scale.value)], grammar).text

    alone = [ap(NONE, seed) for seed in range(5)]
    pairs = []
    for pair in merged_pairs(Screen(probes_of(proxy, 0), grammar), grammar, count):
        texts = [scaled(term) for term in pair]
        pairs.append({"pair": texts, "ap": [ap(text) for text in texts]})
        print(f"  trained: {pairs[-1]}", flush=True)
    apart = [abs(pair["ap"][0] - pair["ap"][1]) for pair in pairs]
    return {
        "alone": alone,
        "nineteen_to_one": noise.difference(SURE) if (noise := noise_of({NONE: dict(enumerate(alone))})) else None,
        "largest_difference": max(apart, default=0.0),
        "pairs": pairs,
    }


def measure(name: str, options: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for primitive_set in SETS:
        task = task_of(name, primitive_set, options, folder)
        screen = Screen(probes_of(ProxyTraining(task), 0), task.primitive_set)
        told[primitive_set] = survey(screen, task.primitive_set, arguments.formulas)
        if primitive_set == "OMNI":
            told[primitive_set]["merges"] = false_merges(task, screen, arguments.pairs)
        print(f"{name} {primitive_set}: {told[primitive_set]}", flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formulas", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--bccd", type=Path, help="folder of the data set")
    parser.add_argument("--iterations", type=int, default=60, help="training of the students that speak")
    parser.add_argument("--trained", type=int, default=10, help="merged pairs that are trained")
    parser.add_argument("--quick", action="store_true", help="a check in a minute, no measurement")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.formulas, arguments.pairs, arguments.iterations, arguments.trained = 100, 60, 2, 1
    torch.set_num_threads(1)
    bccd = next((f for f in (arguments.bccd, *BCCD) if f is not None and f.is_dir()), None)
    steps = {"proxy.calibration_iterations": arguments.iterations, "teacher.train.iterations": 3 * arguments.iterations}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        digits = {"data.digits.root": str(folder / "digits")}
        results = {"digits": measure("tiny/retinanet", {**steps, **digits}, folder, arguments)}
        scenes = {"data.digits.root": str(folder / "quickstart-digits")}
        pairs = trained(arguments.trained, {**scenes, **(steps if arguments.quick else {})}, folder)
        if bccd is not None:
            results["bccd"] = measure("bccd", {**steps, "data.root": str(bccd)}, folder, arguments)
    merges = [result["OMNI"]["merges"] for result in results.values()]
    report = {
        "wanted_ms": WANTED_MS,
        "median_ms": {data: {name: r["median_ms"] for name, r in sets.items()} for data, sets in results.items()},
        "false_merges": sum(m["false"] for m in merges),
        "iterations": arguments.iterations,
        "versions": {name: version(name) for name in ("detkds_gp", "torch", "mmdet")},
        "machine": platform.machine(),
        "command": shlex.join(["python", *sys.argv]),
        "results": results,
        "trained": pairs,
    }
    if arguments.save:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
