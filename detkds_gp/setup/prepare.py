"""From a config to everything the search needs: data, detectors, what they share, the teacher's kept outputs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from detkds_gp.config import DataSettings, ExperimentConfig
from detkds_gp.data.coco import SplitSource, checked, data_hash, read_splits
from detkds_gp.data.digits import make_digits
from detkds_gp.data.header_reader import HeaderReader, Progress
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import Pair, detector_config
from detkds_gp.detectors.sources.registry import registering_modules
from detkds_gp.errors import DataError, DetectorError
from detkds_gp.fitness import ProxyTask, kept_bytes, with_checkpoint
from detkds_gp.language import Input, PrimitiveSet, load_primitive_set
from detkds_gp.listener import Listener
from detkds_gp.operators import active_operators
from detkds_gp.search import STRATEGIES, strategy_class
from detkds_gp.setup.fingerprints import file_hash, hash_of
from detkds_gp.setup.wiring import check_masks, detector_specs, inheritance, wire

PATIENCE = 5.0
"""Seconds between two lines on the reading of headers."""
MATTERS = ("detkds_gp", "torch", "torchvision", "mmdet", "mmengine", "deap", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Materials:
    """Data (train, selection and test) and grammar of an experiment, as its config names them."""

    splits: dict[str, CocoSplit]
    primitive_set: PrimitiveSet

    def fingerprint(self, config: ExperimentConfig) -> dict[str, Any]:
        """Return what a work directory is bound to: nested JSON values.

        Raises:
            ConfigError: if a checkpoint does not exist.
            DetectorError: if a detector's config is missing or broken.
        """
        specs = detector_specs(config)
        return {
            "config": config.identity(),
            "detectors": {
                role: hash_of(detector_config(spec, self.splits["train"].classes).model.to_dict())
                for role, spec in specs.items()
            },
            "primitive_set": self.primitive_set.fingerprint(),
            "data": {name: data_hash(split)[:16] for name, split in self.splits.items()},
            "checkpoints": {role: spec.checkpoint and file_hash(spec.checkpoint) for role, spec in specs.items()},
            "versions": {**installed_versions(MATTERS), "operators": active_operators()},
            **_own_code(config.search.strategy),
        }


def _own_code(strategy: str) -> dict[str, Any]:
    """Return by module the hash of a user's strategy and sources of knowledge; nothing where there are none."""
    own = [*registering_modules(), *([strategy.partition(":")[0]] if strategy not in STRATEGIES else [])]
    files = {name: sys.modules[name].__file__ for name in own}
    return {"own_code": {name: file_hash(file) for name, file in files.items() if file}} if files else {}


def installed_versions(names: Sequence[str]) -> dict[str, str]:
    """Return the installed version of each distribution."""
    return {name: version(name) for name in names}


def gather(
    config: ExperimentConfig, primitive_set: PrimitiveSet | None = None, listener: Listener | None = None
) -> Materials:
    """Load data and grammar, and find the strategy.

    Args:
        config: names them.
        primitive_set: a grammar in place of the config's.
        listener: hears how far the reading of the images' headers is.

    Raises:
        DataError: if data are missing or broken, or the splits' classes differ.
        DeclarationError: if the primitive set or the strategy cannot be loaded, or workers cannot import the set.
    """
    strategy_class(config.search.strategy)
    grammar = primitive_set or load_primitive_set(config.primitive_set)
    grammar.fingerprint()
    headers = HeaderReader(config.cache_dir, _heard(listener or Listener()))
    return Materials(load_data(config.data, headers), grammar)


def _heard(listener: Listener) -> Progress:
    """Let a listener hear of a reading of headers that takes long."""
    told = time.monotonic()

    def hear(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > PATIENCE and done < total:
            told = time.monotonic()
            listener.say(f"read the headers of {done:,} of {total:,} images")

    return hear


def load_data(data: DataSettings, headers: HeaderReader | None = None) -> dict[str, CocoSplit]:
    """Load the three splits; without a reader of headers those of all images are read anew.

    Raises:
        DataError: if data are missing, broken or contradictory, or the splits' classes differ.
    """
    return read_checked(_sources(data), data.classes, headers)


def read_data(data: DataSettings, headers: HeaderReader | None = None) -> dict[str, CocoSplit]:
    """Load the three splits as `load_data`, but leave contradictions in their findings."""
    return read_splits(_sources(data), data.classes, headers)


def read_checked(
    sources: Mapping[str, SplitSource], classes: Sequence[str] | None = None, headers: HeaderReader | None = None
) -> dict[str, CocoSplit]:
    """Read splits that share no image and contradict nothing; otherwise as `read_splits`.

    Raises:
        DataError: as `load_data`.
    """
    splits = {name: checked(split) for name, split in read_splits(sources, classes, headers).items()}
    owner: dict[tuple[int, int], str] = {}
    for name, split in splits.items():
        for record, file in zip(split.images, split.files, strict=True):
            other = owner.setdefault(file.place, name)
            if other != name:
                raise DataError(f"{record.path} is in both {other} and {name}; the three splits must not share images")
    return splits


def _sources(data: DataSettings) -> dict[str, SplitSource]:
    """Return where the splits are; generate digit scenes if the config asks for them and they are missing."""
    if data.digits is not None:
        recipe = data.digits.model_dump()
        make_digits(recipe.pop("root"), **recipe)
    return {
        name: SplitSource(Path(split.ann_file), Path(split.images), split.part) for name, split in data.splits().items()
    }


def narrowed(primitive_set: PrimitiveSet, config: ExperimentConfig, pair: Pair, listener: Listener) -> PrimitiveSet:
    """Return the grammar without the knowledge that the config leaves out or the pair does not share.

    Raises:
        DeclarationError: if the config names unknown knowledge, or an input's kind is not what its source gives.
        DetectorError: if the pair does not share knowledge that the config asks for, or nothing is left.
    """
    inputs = primitive_set.inputs
    wanted = config.knowledge or primitive_set.niches
    for niche in wanted:
        primitive_set.niche(niche)
    shared = [d for d in inputs if d.source in pair.shared]
    have = {d.niche for d in shared if d.result.sided}
    missing = {n: "; ".join(_reasons(n, inputs, pair)) for n in wanted if n not in have}
    if missing and (config.knowledge or not have):
        niche, reason = next(iter(missing.items()))
        raise DetectorError(f"the pair does not share {niche!r}: {reason}; leave it out of 'knowledge'")
    for niche, reason in missing.items():
        listener.say(f"not shared: {niche} ({reason})")
    dropped = [d.name for d in inputs if d not in shared or not any(map(d.belongs_to, wanted))]
    return primitive_set.without(*dropped) if dropped else primitive_set


def _reasons(niche: str, inputs: Sequence[Input], pair: Pair) -> list[str]:
    """Say why a pair does not share a niche, each reason once."""
    sources = [d.source for d in inputs if d.result.sided and d.niche == niche]
    return list(dict.fromkeys(pair.refused[source] for source in sources))


def prepare(config: ExperimentConfig, materials: Materials, work_dir: Path, listener: Listener) -> ProxyTask:
    """Check the pair and say what workers need; nothing is trained yet.

    Raises:
        DetectorError: if a detector cannot be built or the pair does not share what is asked for.
        ConfigError: if a checkpoint does not exist, the device cannot be used, or the metric does not fit a detector.
        DataError: if masks are to be learned or scored that the data do not have.
        DeclarationError: if the config names unknown knowledge.
    """
    train = materials.splits["train"]
    wired = wire(config, train, materials.primitive_set)
    check_masks(config, wired, materials.splits)
    grammar = narrowed(materials.primitive_set, config, wired.pair, listener)
    if config.init_student_from_teacher:
        for line in inheritance(wired):
            listener.say(line)
    student, size, settings = wired.specs["student"], config.proxy.image_size, config.teacher.train
    if config.proxy.start == "random":
        bare = {"model.init_cfg": None, "model.backbone.init_cfg": None}
        student = replace(student, overrides={**student.overrides, **bare}, checkpoint=None)
    return ProxyTask(
        student=student,
        teacher=with_checkpoint(wired.specs["teacher"], materials.splits, size, settings, Path(config.cache_dir)),
        teacher_training=settings,
        splits=materials.splits,
        settings=config.proxy,
        primitive_set=grammar,
        pair=wired.pair,
        teacher_outputs=_teacher_outputs(config, grammar, wired.pair, len(train.images), work_dir, listener),
        files=work_dir,
        student_numbers=sum(parameter.numel() for parameter in wired.student.parameters()),
        inherit=config.init_student_from_teacher,
        watched=config.verdict.seeds[0] if config.verdict.seeds else None,
    )


def _teacher_outputs(
    config: ExperimentConfig, grammar: PrimitiveSet, pair: Pair, images: int, work_dir: Path, listener: Listener
) -> Path | None:
    """Return where the teacher's outputs are kept, or None if they would be too large."""
    sources = [d.source for d in grammar.inputs]
    numbers = sum(pair.teacher_numbers[name] for name in pair.teacher_outputs(sources))
    size, limit = kept_bytes(numbers, images, config.proxy.teacher_precision), config.proxy.teacher_limit_mb
    if size <= limit * 2**20:
        return work_dir / "teacher-outputs.pt"
    listener.say(
        f"the teacher runs at every step: its outputs would take {size / 2**20:.0f} MiB, "
        f"proxy.teacher_limit_mb is {limit}"
    )
    return None
