"""The two detectors of a config, built and checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import torch

from detkds_gp.config import ExperimentConfig
from detkds_gp.data.objects import check_segmentations
from detkds_gp.data.split import CocoSplit
from detkds_gp.detectors import (
    BaseDetector,
    DetectorSpec,
    Pair,
    Shared,
    build_detector,
    check_pair,
    checkpoint_classes,
    finds_masks,
    inheritable,
)
from detkds_gp.errors import ConfigError, DeclarationError, DetectorError, first_line, listed
from detkds_gp.language import Field, Input, Map, PrimitiveSet
from detkds_gp.training import seed_all


@dataclass(frozen=True, eq=False)
class Wired:
    """The detectors of a config, freshly built and checked against each other.

    Attributes:
        specs: what built them, by role.
        pair: what they share of the grammar's inputs.
    """

    student: BaseDetector
    teacher: BaseDetector
    specs: dict[str, DetectorSpec]
    pair: Pair


def wire(
    config: ExperimentConfig, train: CocoSplit, primitive_set: PrimitiveSet, *, random_weights: bool = False
) -> Wired:
    """Build both detectors and check the pair.

    With random weights checkpoints are not loaded and weights not initialised: the wiring alone counts.

    Raises:
        DetectorError: if a detector cannot be built, the pair shares nothing or no class.
        ConfigError: if a checkpoint does not exist, or the device cannot be used.
        DeclarationError: if an input's kind is not what its source gives.
    """
    _check_device(config.proxy.device)
    if random_weights:
        config = without_weights(config)
    specs = detector_specs(config)
    names = train.classes, _teacher_classes(config, train.classes)
    _check_common_class(config, *names)
    seed_all(config.baseline_seeds[0])
    initialise = not random_weights
    student = build_detector(specs["student"], names[0], initialise=initialise)
    teacher = build_detector(specs["teacher"], names[1], initialise=initialise)
    if getattr(student.data_preprocessor, "batch_augments", None):  # its maps would no longer be the teacher's
        raise DetectorError(
            "the student's data_preprocessor has batch_augments, which change its input and not the teacher's; "
            "override model.data_preprocessor.batch_augments=None"
        )
    inputs = primitive_set.inputs
    pair = check_pair(student, teacher, config.proxy.image_size, names, [d.source for d in inputs])
    for declaration in inputs:
        if declaration.source in pair.shared:
            _check_rank(declaration, pair.shared[declaration.source])
    return Wired(student, teacher, specs, pair)


def _check_common_class(config: ExperimentConfig, data: tuple[str, ...], teacher: tuple[str, ...]) -> None:
    """Refuse a teacher that knows the data's classes by no name: its AP on them would be 0."""
    if set(data) & set(teacher):
        return
    alike = {name.casefold(): name for name in teacher}
    close = {name: get_close_matches(name.casefold(), alike, n=1, cutoff=0.6) for name in data}
    pairs = ", ".join(f"{name!r} and {alike[found[0]]!r}" for name, found in close.items() if found)
    renamed = f"gp_search weights {config.teacher.checkpoint} --classes A,B,... -o NEW.pth"
    remedy = "mend teacher.classes" if config.teacher.classes is not None else f"rename the teacher's: {renamed}"
    raise DetectorError(
        f"the teacher knows none of the data's classes: it has {listed(teacher)}, the data {listed(data)}"
        f"{f'; alike are {pairs}' if pairs else ''}; classes are matched by name: {remedy}, or take a teacher of these"
    )


def _check_rank(declaration: Input, shared: Shared) -> None:
    axes = 4 if issubclass(declaration.result, (Map, Field)) else 2
    got = len(shared.student[0]) + (1 if axes == 4 else 0)
    if declaration.result.sided and got != axes:
        raise DeclarationError(
            f"input {declaration.name!r} is a {declaration.result.__name__}, but {declaration.source!r} gives "
            f"tensors like {tuple(shared.student[0])} an image; declare the kind that fits"
        )


def without_weights(config: ExperimentConfig) -> ExperimentConfig:
    """Return the config without checkpoints; a teacher whose file is there keeps the names of its classes."""
    teacher = config.teacher
    there = teacher.checkpoint is not None and Path(teacher.checkpoint).is_file()
    named = checkpoint_classes(teacher.checkpoint) if there and teacher.checkpoint else None
    bare = {
        "student": config.student.model_copy(update={"checkpoint": None}),
        "teacher": teacher.model_copy(update={"checkpoint": None, "classes": teacher.classes or named}),
    }
    return config.model_copy(update=bare)


def inheritance(wired: Wired) -> list[str]:
    """Say in words what the student inherits."""
    found = inheritable(wired.student, wired.teacher, wired.pair)
    lines = [
        f"the student starts with the teacher's {part}: {len(keys)} of {count} tensors"
        for part, (keys, count) in found.items()
    ]
    if wired.pair.classes[0] != wired.pair.classes[1]:
        lines.append("the student does not start with the teacher's heads that know classes: these differ")
    return lines


def check_masks(config: ExperimentConfig, wired: Wired, splits: Mapping[str, CocoSplit]) -> None:
    """Check that there are masks wherever they are learned or scored.

    Raises:
        ConfigError: if masks are to be scored, and a detector finds none.
        DataError: if the data lack masks.
    """
    scored = config.proxy.metric == "segm"
    for role, detector in (("student", wired.student), ("teacher", wired.teacher)):
        if scored and not finds_masks(detector):
            raise ConfigError(
                f"proxy.metric is 'segm', but the {role} ({getattr(config, role).config}) has no mask head; "
                "choose a detector that has one, such as mmdet::mask_rcnn/..., or proxy.metric = 'bbox'"
            )
        trained = role == "student" or config.teacher.checkpoint is None
        if trained and finds_masks(detector):
            check_segmentations(splits["train"], f"choose a {role} without a mask head", learned_only=True)
    if scored:
        for name in ("selection", "test"):
            check_segmentations(splits[name], "set proxy.metric = 'bbox'", learned_only=False)


def _teacher_classes(config: ExperimentConfig, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the teacher's classes: the config's, else its checkpoint's, else the data's."""
    named = config.teacher.classes
    if named is None and config.teacher.checkpoint is not None:
        named = checkpoint_classes(config.teacher.checkpoint)
    return classes if named is None else named


def detector_specs(config: ExperimentConfig) -> dict[str, DetectorSpec]:
    """Return what builds student and teacher; checkpoints have absolute paths, so that every process finds them.

    Raises:
        ConfigError: if a checkpoint does not exist.
    """
    specs = {role: getattr(config, role).spec() for role in ("student", "teacher")}
    for role, spec in specs.items():
        path = Path(spec.checkpoint).resolve() if spec.checkpoint is not None else None
        if path is not None and not path.is_file():
            raise ConfigError(f"{role}.checkpoint is {spec.checkpoint!r}, no such file; give a path, or leave it out")
        specs[role] = replace(spec, checkpoint=path and str(path))
    return specs


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"proxy.device is {device!r}: {first_line(error)}; use 'cpu', or 'cuda' with a GPU") from None
