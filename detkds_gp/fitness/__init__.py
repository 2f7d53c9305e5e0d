"""Proxy training: from a distiller to the AP of a shortly trained student."""

from detkds_gp.fitness.calibration import body, scale_of, squared_gradients
from detkds_gp.fitness.evaluation import Evaluation
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.kept_teacher import kept_bytes
from detkds_gp.fitness.probing import probes_of
from detkds_gp.fitness.proxy import ProxyTraining
from detkds_gp.fitness.settings import ProxySettings, ScreeningSettings
from detkds_gp.fitness.task import ProxyTask
from detkds_gp.fitness.teacher import TeacherTraining, with_checkpoint
from detkds_gp.fitness.worker import (
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
    "Evaluation",
    "PaceRequest",
    "PackRequest",
    "ProbeRequest",
    "ProxySettings",
    "ProxyTask",
    "ProxyTraining",
    "ProxyWorker",
    "Request",
    "ScaleRequest",
    "ScreenRequest",
    "ScreeningSettings",
    "SplitImages",
    "StartRequest",
    "TeacherRequest",
    "TeacherTraining",
    "body",
    "kept_bytes",
    "probes_of",
    "scale_of",
    "squared_gradients",
    "with_checkpoint",
]
