"""Any module of both detectors by its path, such as ``backbone.layer3``: every tensor that it returns in a step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mmdet.models.detectors.base import BaseDetector

from ..parts import AbsentError, module_at
from ._base import Call, Reader, Source, tensors_in
from ._matching import share_maps
from ._shared import Outputs


def module_source(path: str) -> Source:
    """Return the source that is a module; its one output and its one knowledge are called by its path."""

    def read(detector: BaseDetector, calls: Sequence[Sequence[Call]]) -> Outputs:
        tensors = [tensor for call in calls[0] for tensor in tensors_in(call.output)]
        if not tensors:
            raise AbsentError(f"module {path!r} gives no tensors, or does not run")
        return {path: [tensor.float() for tensor in tensors]}

    reader = Reader((path,), lambda detector: [module_at(detector, path)], read, once=False)
    return Source(path, (reader,), {path: partial(share_maps, name=path)})
