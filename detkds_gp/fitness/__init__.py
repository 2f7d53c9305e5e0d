"""Proxy training: from a distiller to the AP of a shortly trained student."""

from detkds_gp.fitness.kept_teacher import keep_teacher
from detkds_gp.fitness.images import SplitImages
from detkds_gp.fitness.proxy import ProxyTask, ProxyTraining
from detkds_gp.fitness.settings import ProxySettings
from detkds_gp.fitness.teacher import TeacherTraining, obtain_teacher
from detkds_gp.fitness.worker import ProbeRequest, ProxyWorker, ScaleRequest

__all__ = [
    "ProbeRequest", "ProxySettings", "ProxyTask", "ProxyTraining", "ProxyWorker", "ScaleRequest", "SplitImages",
    "TeacherTraining", "keep_teacher", "obtain_teacher",
]
