"""From a config to everything the search needs: data, detectors, what they share, the teacher's kept outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from detkds_gp.data.coco import CocoSplit, data_hash, load_split
from detkds_gp.data.digits import make_digits
from detkds_gp.detectors import DetectorSpec, Pair, build_detector, check_pair, detector_config
from detkds_gp.errors import ConfigError, DataError, DetectorError
from detkds_gp.experiment.config import DataSettings, ExperimentConfig
from detkds_gp.experiment.listener import Listener
from detkds_gp.fitness import ProxyTask, with_checkpoint
from detkds_gp.language import PrimitiveSet, load_primitive_set
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
        """Return what a work directory is bound to: nested JSON values.

        Raises:
            ConfigError: if a checkpoint does not exist.
            DetectorError: if a detector's config is missing or broken.
        """
        return {
            "config": config.identity(),
            "detectors": {
                role: _hash(detector_config(spec, self.splits["train"].classes).model.to_dict())
                for role, spec in _detectors(config).items()
            },
            "primitive_set": self.primitive_set.fingerprint(),
            "data": {name: data_hash(split)[:16] for name, split in self.splits.items()},
            "checkpoints": {role: _file_hash(spec.checkpoint) for role, spec in _detectors(config).items()},
            "versions": installed_versions(MATTERS),
        }


def installed_versions(names: Sequence[str]) -> dict[str, str]:
    """Return the installed version of each distribution."""
    return {name: version(name) for name in names}


def _detectors(config: ExperimentConfig) -> dict[str, DetectorSpec]:
    return {role: pinned(getattr(config, role).spec(), role) for role in ("student", "teacher")}


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _file_hash(path: str | None) -> str | None:
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


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
        recipe = data.digits.model_dump()
        make_digits(recipe.pop("root"), **recipe)
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
        DeclarationError: if the config names unknown knowledge.
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
    kept = [
        n for n, d in primitive_set.declarations.items() if d.role == "input" and d.result.sided and n not in dropped
    ]
    if not kept:
        raise DetectorError(
            f"the pair shares none of the knowledge asked for ({', '.join(wanted)}); choose another pair or set"
        )
    return primitive_set.without(*dropped) if dropped else primitive_set


def prepare(config: ExperimentConfig, materials: Materials, work_dir: Path, listener: Listener) -> ProxyTask:
    """Check the pair and say what workers need; nothing is trained yet.

    Raises:
        DetectorError: if a detector cannot be built or the pair shares nothing that is asked for.
        ConfigError: if a checkpoint does not exist, or the device cannot be used.
        DeclarationError: if the config names unknown knowledge.
    """
    _check_device(config.proxy.device)
    train, size = materials.splits["train"], config.proxy.image_size
    student, teacher = _detectors(config).values()
    seed_all(config.baseline_seeds[0])
    pair = check_pair(build_detector(student, train.classes), build_detector(teacher, train.classes), size)
    grammar = narrowed(materials.primitive_set, config, pair, listener)
    teacher = with_checkpoint(teacher, train, size, config.teacher.train, Path(config.cache_dir))
    return ProxyTask(
        student=student,
        teacher=teacher,
        teacher_training=config.teacher.train,
        splits=materials.splits,
        settings=config.proxy,
        primitive_set=grammar,
        pair=pair,
        teacher_outputs=work_dir / "teacher-outputs.pt",
        probe=work_dir / "probe.pt",
    )


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"proxy.device is {device!r}: {first}; use 'cpu', or 'cuda' with a GPU") from None


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
