"""Wires unmodified mmdet detectors: builds them, feeds them, and takes their outputs.

Only this room and ``training`` know mmdet. Values that leave it are tensors, arrays and frozen
dataclasses.
"""

import warnings

from detkds_gp.environment import check_environment

check_environment()  # before mmdet is imported, which would say the same in a page of traceback
with warnings.catch_warnings():  # mmengine imports pkg_resources, which warns of itself once
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    warnings.filterwarnings("ignore", message=".*declare_namespace", category=DeprecationWarning)
    from mmdet.models.detectors.base import BaseDetector

    from .batch import ImageInput, make_batch, predict
    from .build import DetectorSpec, build_detector, detector_config, mended
    from .checkpoint import checkpoint_classes, load_weights, rewrite_weights, save_weights
    from .masks import finds_masks
    from .modes import evaluating
    from .pair import Pair, Pairing, check_pair, inherit, inheritable
    from .parts import picked_queries
    from .scene import Scene, scene_of
    from .scratch import from_scratch
    from .sources import Outputs, Shared, cut_outputs, fixed_outputs, knowledge_names, output_names
    from .taps import Taps, outputs_of, outputs_on

__all__ = [
    "BaseDetector",
    "DetectorSpec",
    "build_detector",
    "detector_config",
    "mended",
    "checkpoint_classes",
    "load_weights",
    "rewrite_weights",
    "save_weights",
    "ImageInput",
    "make_batch",
    "predict",
    "finds_masks",
    "from_scratch",
    "inherit",
    "inheritable",
    "Taps",
    "outputs_of",
    "outputs_on",
    "Pair",
    "Pairing",
    "check_pair",
    "picked_queries",
    "Scene",
    "scene_of",
    "evaluating",
    "Outputs",
    "Shared",
    "cut_outputs",
    "fixed_outputs",
    "knowledge_names",
    "output_names",
]
