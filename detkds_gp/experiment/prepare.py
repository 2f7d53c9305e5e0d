"""From a config to everything the search needs: data, detectors, what they share, the teacher's kept outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from detkds_gp.data.coco import CocoSplit, data_hash, load_split
from detkds_gp.data.digits import make_digits
from detkds_gp.detectors import DetectorSpec, Pair, build_detector, check_pair
from detkds_gp.errors import ConfigError, DataError, DetectorError
from detkds_gp.experiment.config import DataSettings, ExperimentConfig
from detkds_gp.experiment.listener import Listener
from detkds_gp.fitness import ProxyTask, SplitImages, keep_teacher, obtain_teacher
from detkds_gp.fitness.evaluation import Evaluation
from detkds_gp.language import PrimitiveSet, load_primitive_set
from detkds_gp.score import Score
from detkds_gp.training import seed_all

MATTERS = ("detkds_gp", "torch", "torchvision", "mmdet", "mmcv", "mmengine", "deap", "numpy")


@dataclass(frozen=True)
class Materials:
    """Data and grammar of an experiment.

    Attributes:
        splits: train, selection, test.
        primitive_set: the grammar as the config names it.
    """

    splits: dict[str, CocoSplit]
    primitive_set: PrimitiveSet

    def fingerprint(self, config: ExperimentConfig) -> dict[str, Any]:
        """Return what a work directory is bound to."""
        return {
            "config": config.identity(),
            "primitive_set": self.primitive_set.fingerprint(),
            "data": {name: data_hash(split)[:16] for name, split in self.splits.items()},
            "versions": {name: version(name) for name in MATTERS},
        }


def gather(config: ExperimentConfig, primitive_set: PrimitiveSet | None = None) -> Materials:
    """Load data and grammar.

    Raises:
        DataError: if data are missing or broken, or the splits' classes differ.
        DeclarationError: if the primitive set cannot be loaded.
    """
    grammar = primitive_set or load_primitive_set(config.primitive_set)
    return Materials(load_data(config.data), grammar)


def load_data(data: DataSettings) -> dict[str, CocoSplit]:
    """Load the three splits, generating digit scenes if the config asks for them and they are missing.

    Raises:
        DataError: if data are missing or broken, or the splits' classes differ.
    """
    if data.digits is not None:
        d = data.digits
        make_digits(d.root, seed=d.seed, train=d.train, selection=d.selection, test=d.test, size=d.size)
    settings = data.splits()
    train = load_split(settings["train"].ann_file, settings["train"].images, data.classes)
    splits = {"train": train}
    for name in ("selection", "test"):
        splits[name] = load_split(settings[name].ann_file, settings[name].images, train.classes)
    _check_apart(splits)
    return splits


def _check_apart(splits: dict[str, CocoSplit]) -> None:
    owner: dict[Path, str] = {}
    for name, split in splits.items():
        for record in split.images:
            other = owner.setdefault(record.path.resolve(), name)
            if other != name:
                raise DataError(f"{record.path} is in both {other} and {name}; the three splits must not share images")


def narrowed(primitive_set: PrimitiveSet, config: ExperimentConfig, pair: Pair, listener: Listener) -> PrimitiveSet:
    """Return the grammar without the knowledge that the config leaves out or the pair does not share.

    Raises:
        ConfigError: if the config names unknown knowledge.
        DetectorError: if nothing is left.
    """
    wanted = config.knowledge or primitive_set.niches
    for niche in wanted:
        primitive_set.niche(niche)
    dropped = []
    for name, declaration in primitive_set.declarations.items():
        if declaration.role == "input" and declaration.source not in pair.shared:
            listener.say(f"not shared: {name} ({pair.refused.get(declaration.source, 'unknown knowledge')})")
            dropped.append(name)
        elif declaration.role == "input" and declaration.result.sided and declaration.niche not in wanted:
            dropped.append(name)
    kept = [n for n, d in primitive_set.declarations.items() if d.role == "input" and d.result.sided and n not in dropped]
    if not kept:
        raise DetectorError(f"the pair shares none of the knowledge asked for ({', '.join(wanted)}); choose another pair or set")
    return primitive_set.without(*dropped) if dropped else primitive_set


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many CPU threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Prepared:
    """A pair ready for the search.

    Attributes:
        task: what workers need.
        teacher: the teacher's AP on selection and test.
    """

    task: ProxyTask
    teacher: Score


def prepare(config: ExperimentConfig, materials: Materials, work_dir: Path, listener: Listener) -> Prepared:
    """Obtain the teacher, check the pair, keep the teacher's outputs and score the teacher.

    Raises:
        DetectorError: if a detector cannot be built or the pair shares nothing that is asked for.
        ConfigError: if the config names unknown knowledge.
    """
    settings = config.proxy
    limit = settings.memory_limit_mb * 2**20
    images = {name: SplitImages(split, settings.image_size, limit) for name, split in materials.splits.items()}
    classes = materials.splits["train"].classes
    student = pinned(config.student.spec(), "student")
    with torch_threads(config.teacher.train.threads):
        spec = obtain_teacher(pinned(config.teacher.spec(), "teacher"), images["train"], config.teacher.train, Path(config.cache_dir), listener.say)
        teacher = build_detector(spec, classes).to(settings.device).eval()
        seed_all(config.baseline_seeds[0])
        pair = check_pair(build_detector(student, classes).to(settings.device), teacher, settings.image_size)
        grammar = narrowed(materials.primitive_set, config, pair, listener)
        names = sorted({d.source for d in grammar.declarations.values() if d.role == "input"})
        outputs = work_dir / f"teacher-outputs-{_short_hash(spec, names, config)}.pt"
        if not outputs.exists():
            listener.say(f"teacher: keeping its outputs for {len(images['train'])} images and their mirror images")
            keep_teacher(teacher, images["train"], names, settings.teacher_precision, outputs)
        score = Score(Evaluation(images["selection"])(teacher), Evaluation(images["test"])(teacher))
    task = ProxyTask(student, materials.splits, settings, grammar, pair, outputs, work_dir / "probe.pt")
    return Prepared(task, score)


def pinned(spec: DetectorSpec, role: str) -> DetectorSpec:
    """Return the spec with an absolute checkpoint path, so that every process finds it.

    Raises:
        ConfigError: if the checkpoint does not exist.
    """
    if spec.checkpoint is None:
        return spec
    path = Path(spec.checkpoint).resolve()
    if not path.is_file():
        raise ConfigError(f"{role}.checkpoint is {spec.checkpoint!r}, no such file; give a path, or leave it out")
    return replace(spec, checkpoint=str(path))


def _short_hash(spec: DetectorSpec, names: list[str], config: ExperimentConfig) -> str:
    content = Path(spec.checkpoint or "").read_bytes()
    said = f"{names} {config.proxy.teacher_precision} {config.proxy.image_size}"
    return hashlib.sha256(content + said.encode()).hexdigest()[:12]
