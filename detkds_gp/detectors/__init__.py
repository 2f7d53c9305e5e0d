"""Wires unmodified mmdet detectors: builds them, feeds them, and takes their knowledge.

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
    from .build import DetectorSpec, build_detector, detector_config
    from .checkpoint import load_weights, save_student
    from .knowledge import Knowledge
    from .masks import finds_masks
    from .modes import evaluating
    from .pair import Pair, SharedKnowledge, adapt, adapters, check_pair
    from .taps import Taps, teacher_knowledge

__all__ = [
    "BaseDetector",
    "DetectorSpec",
    "build_detector",
    "detector_config",
    "load_weights",
    "save_student",
    "ImageInput",
    "make_batch",
    "predict",
    "finds_masks",
    "Knowledge",
    "Taps",
    "teacher_knowledge",
    "Pair",
    "SharedKnowledge",
    "check_pair",
    "adapters",
    "adapt",
    "evaluating",
]
