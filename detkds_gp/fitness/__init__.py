"""Proxy training: from a distiller to the AP of a shortly trained student."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.fitness.calibration import body, scale_of, squared_gradients
    from detkds_gp.fitness.evaluation import Evaluation
    from detkds_gp.fitness.images import SplitImages
    from detkds_gp.fitness.kept_students import forget_waiting
    from detkds_gp.fitness.kept_teacher import kept_bytes
    from detkds_gp.fitness.probing import probes_of
    from detkds_gp.fitness.proxy import ProxyTraining, looks
    from detkds_gp.fitness.settings import ProxySettings, TeacherTraining
    from detkds_gp.fitness.task import ProxyTask
    from detkds_gp.fitness.teacher import teacher_curve, with_checkpoint
    from detkds_gp.fitness.worker import (
        CurveRequest,
        PaceRequest,
        PackRequest,
        ProbeRequest,
        ProxyWorker,
        Request,
        ScaleRequest,
        ScreenRequest,
        StartRequest,
        TeacherRequest,
    )

__all__ = [
    "CurveRequest", "Evaluation", "PaceRequest", "PackRequest", "ProbeRequest", "ProxySettings", "ProxyTask",
    "ProxyTraining", "ProxyWorker", "Request", "ScaleRequest", "ScreenRequest", "SplitImages",
    "StartRequest", "TeacherRequest", "TeacherTraining", "body", "forget_waiting", "kept_bytes", "looks", "probes_of",
    "scale_of", "squared_gradients", "teacher_curve", "with_checkpoint",
]  # fmt: skip

import_lazily(__name__)
