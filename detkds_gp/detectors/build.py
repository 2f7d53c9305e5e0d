"""Builds an mmdet detector from a config, overrides and a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmdet.models.dense_heads import SSDHead
from mmdet.models.detectors import DDQDETR
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.utils import import_modules_from_strings
from torch import nn

from detkds_gp.errors import DetectorError, named_line, nearest

from .checkpoint import load_weights, weights_only
from .modes import quiet, unset_as_nan


@dataclass(frozen=True)
class DetectorSpec:
    """What makes a detector.

    Attributes:
        config: path of an mmdet config, or ``package::path`` for one that comes with a package, such as
            ``mmdet::retinanet/retinanet_r18_fpn_1x_coco.py``.
        overrides: dotted keys of the config and their values, such as ``{"model.backbone.base_channels": 16}``.
        checkpoint: path of the weights; None leaves the detector freshly initialised.
    """

    config: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None


def build_detector(spec: DetectorSpec, classes: Sequence[str], *, initialise: bool = True) -> BaseDetector:
    """Build a detector for ``classes`` on the CPU, in train mode.

    Without a checkpoint the weights come from ``init_weights()``, which draws from torch's global generator only: seed
    it first and the same spec gives the same weights. With one, nothing is initialised and no backbone is downloaded.

    Args:
        spec: the detector.
        classes: its class names, in the order of its labels.
        initialise: whether a detector without a checkpoint gets its ``init_weights()``, which may download a
            pretrained backbone; else its layers keep the weights they were made with, and parameters that were made
            without any are drawn.

    Returns:
        An unmodified mmdet detector, except that SyncBN becomes BN (the same weights; SyncBN does not run on a CPU),
        and for what `mended` does.

    Raises:
        DetectorError: the config, an override or the checkpoint is missing, broken or does not fit.
    """
    config = detector_config(spec, classes)
    scope = DefaultScope.get_current_instance()
    if scope is None or scope.scope_name != "mmdet":
        init_default_scope("mmdet")
    with quiet():
        with unset_as_nan():
            detector = _build_model(spec, config)
        if spec.checkpoint is None:
            if initialise:
                _initialise(spec, detector)
        else:
            load_weights(detector, spec.checkpoint, classes)
            detector._is_init = True  # so that nothing initialises over the weights
    for parameter in detector.parameters():
        if parameter.isnan().any():  # never written: drawn, as DINO's ``level_embed`` is in ``init_weights()``
            nn.init.normal_(parameter)
    return detector


def detector_config(spec: DetectorSpec, classes: Sequence[str]) -> Config:
    """Read the config with the class count and the overrides applied, as ``build_detector`` does.

    ``config.dump(path)`` writes it for plain mmdet. Every ``num_classes`` of the model, and ``num_things_classes`` of
    those like Mask2Former, becomes ``len(classes)``, save those of an RPN (which knows no classes) and those that an
    override sets.

    Raises:
        DetectorError: the config is missing or broken, an override names a part that does not exist, or no classes.
    """
    if not classes:
        raise DetectorError("got no classes, wanted at least one class name")
    config = _read(spec.config)
    if not isinstance(config.get("model"), dict):
        raise DetectorError(f"{spec.config} has no model; give an mmdet detector config")
    if "data_preprocessor" in config:
        config.model.setdefault("data_preprocessor", config.data_preprocessor)
    _set_num_classes(config.model, len(classes))
    _place_teacher_config(config.model)
    overrides = dict(_dotted(spec.overrides))
    for key in overrides:
        _check_parent(key, config)
    try:
        config.merge_from_dict(overrides)
    except Exception as error:
        raise DetectorError(f"cannot apply the overrides to {spec.config}: {named_line(error)}; mend them") from error
    _check_installed(spec, config)
    try:
        if config.get("custom_imports"):
            import_modules_from_strings(**config.custom_imports)
    except Exception as error:
        raise DetectorError(f"cannot import what {spec.config} needs: {named_line(error)}; mend it") from error
    return config


def _place_teacher_config(model: Any) -> None:
    """Find the config of LD's own teacher, which is named from the root of mmdet's repository."""
    name, root = model.get("teacher_config"), _configs("mmdet")
    if isinstance(name, str) and root is not None and not Path(name).is_file() and (root.parent / name).is_file():
        model["teacher_config"] = str(root.parent / name)


def _check_installed(spec: DetectorSpec, config: Config) -> None:
    """Refuse a config whose packages are not installed, such as mmpretrain for its backbones."""
    asked = config.get("custom_imports") or {}
    names = asked.get("imports") or []
    needed = [] if asked.get("allow_failed_imports") else [names] if isinstance(names, str) else list(names)
    if "TIMMBackbone" in str((config.model.get("backbone") or {}).get("type")):
        needed.append("timm")
    for package in dict.fromkeys(name.partition(".")[0] for name in needed):
        if find_spec(package) is None:
            raise DetectorError(f"{spec.config} needs {package}, which is not installed; run pip install {package}")


def _read(name: str) -> Config:
    path = _packaged(name) if "::" in name else Path(name)
    if not path.is_file():
        raise DetectorError(f"got config {name!r}, but there is no such file{_near(name)}")
    try:
        with quiet():  # mmengine asks pkg_resources for the packages of base configs, which warns each time
            return Config.fromfile(path, import_custom_modules=False)
    except Exception as error:
        raise DetectorError(f"cannot read the config {name}: {named_line(error)}; mend the file") from error


def _packaged(name: str) -> Path:
    """Return where ``package::path`` should be; only the package must exist."""
    package, _, rest = name.partition("::")
    root = _configs(package)
    if root is None:
        raise DetectorError(f"got config {name!r}, but no installed package {package!r} brings configs; install it")
    path = root / rest
    return path if path.suffix else path.with_suffix(".py")


def _configs(package: str) -> Path | None:
    found = find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None:
        return None
    home = Path(found.origin).parent
    roots = (home / ".mim" / "configs", home.parent / "configs")  # installed; from a source tree
    return next((root for root in roots if root.is_dir()), None)


def _near(name: str) -> str:
    root = _configs("mmdet")
    if root is None:
        return ""
    known = [file.relative_to(root).as_posix() for file in sorted(root.rglob("*.py"))]
    close = get_close_matches(name.partition("::")[2] or name, known, n=3, cutoff=0.4)
    if not close:
        return "; give a path, or mmdet:: and the path of one of its configs"
    return "; did you mean " + " or ".join(repr(f"mmdet::{c}") for c in close) + "?"


def _set_num_classes(part: Any, count: int) -> None:
    if isinstance(part, dict):
        if "num_classes" in part:
            part["num_classes"] = count
        if "num_things_classes" in part:
            _set_things(part, count)
        for name, child in part.items():
            if name != "rpn_head":
                _set_num_classes(child, count)
    elif isinstance(part, (list, tuple)):
        for child in part:
            _set_num_classes(child, count)


def _set_things(part: Any, count: int) -> None:
    """Set the classes of things, and the weights of a loss that has one for each class and for none."""
    before = part["num_things_classes"] + part.get("num_stuff_classes", 0)
    part["num_things_classes"] = count
    after = count + part.get("num_stuff_classes", 0)
    loss = part.get("loss_cls") or {}
    weights = loss.get("class_weight")
    if isinstance(weights, (list, tuple)) and len(weights) == before + 1:
        loss["class_weight"] = [weights[0]] * after + [weights[-1]]


def _dotted(overrides: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Write ``{"model": {"backbone": ...}}`` as dotted keys too: merged beside dotted ones, it would undo them."""
    for name, value in overrides.items():
        key = f"{prefix}{name}"
        whole = prefix and isinstance(value, Mapping) and {"type", "_delete_"} & value.keys()
        if isinstance(value, Mapping) and (prefix or key == "model") and not whole:
            yield from _dotted(value, f"{key}.")
        else:
            yield key, value


def _check_parent(key: str, config: Config) -> None:
    """Refuse a key whose parent does not exist: merging would make it up, and change nothing."""
    part: Any = config
    *parents, _ = key.split(".")
    for depth, name in enumerate(parents):
        here = ".".join(parents[:depth]) or "the config"
        if isinstance(part, (list, tuple)):
            names = [str(index) for index in range(len(part))]
            child = part[int(name)] if name in names else None
        else:
            names = list(part.keys()) if isinstance(part, (dict, Config)) else []
            child = part.get(name) if name in names else None
        if not isinstance(child, (dict, list, tuple)):
            known = nearest(name, names) if names else ""
            raise DetectorError(f"override {key!r}: {here} has no part {name!r} to set anything in{known}")
        part = child


def _build_model(spec: DetectorSpec, config: Config) -> BaseDetector:
    try:
        detector = MODELS.build(config.model)
    except Exception as error:
        raise DetectorError(
            f"cannot build the model of {spec.config}: {named_line(error)}; check its model and the overrides"
        ) from error
    if not isinstance(detector, BaseDetector):
        raise DetectorError(
            f"{spec.config} builds a {type(detector).__name__}, wanted an mmdet detector; give a detector's config"
        )
    return revert_sync_batchnorm(mended(detector))


def mended(detector: BaseDetector) -> BaseDetector:
    """Give an SSD the ``loss_cls`` that its prediction asks for, and a DDQ what its first step would give it."""
    for module in detector.modules():
        if isinstance(module, SSDHead) and not hasattr(module, "loss_cls"):
            module.loss_cls = None  # mmdet 3.3's own prediction asks for it, and fails
    if isinstance(detector, DDQDETR):  # so that its weights have the same names before and after a step
        detector.decoder.aux_reg_branches = detector.bbox_head.aux_reg_branches
    return detector


def _initialise(spec: DetectorSpec, detector: BaseDetector) -> None:
    try:
        with weights_only():
            detector.init_weights()
    except Exception as error:
        raise DetectorError(
            f"cannot initialise {spec.config}: {named_line(error)}; if pretrained weights cannot be had, override "
            "model.backbone.init_cfg=None or give a checkpoint"
        ) from error
