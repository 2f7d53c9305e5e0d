"""What a detector finds on a dozen images of the test split, kept while mmengine scores it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from mmdet.structures import DetDataSample
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner

SHOWN = 12
"""Images that are kept to be looked at."""

T = TypeVar("T")
Rows = list[list[float]]
"""Objects of an image: (x1, y1, x2, y2, score, class), pixels of the image."""


def evenly(places: Sequence[T], count: int = SHOWN) -> Sequence[T]:
    """Return a few of many, spread evenly.

    >>> evenly("abcdefgh", 3)
    'ace'
    """
    return places[:: max(1, len(places) // count)][:count]


class KeepFound(Hook):
    """Keeps the most confident detections of a few images, as many as there are objects.

    Of a data set of mmdet that does not tell its images nothing is kept.
    """

    def __init__(self, data_set: Any) -> None:
        told = getattr(data_set, "get_data_info", None)
        infos = [told(place) for place in range(len(data_set))] if told else []
        full = [info for info in infos if _objects(info)]
        self._infos = {info["img_id"]: info for info in evenly(full)}
        self._found: dict[Any, Rows] = {}

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[DetDataSample] | None = None
    ) -> None:
        """Keep what was found of a batch."""
        self.keep(outputs or ())

    def keep(self, samples: Sequence[DetDataSample]) -> None:
        """Keep what was found on those images that are shown; labels are the data's."""
        for sample in samples:
            if sample.img_id in self._infos:
                found = sample.pred_instances
                best = found.scores.argsort(descending=True)[: len(_objects(self._infos[sample.img_id]))]
                rows = zip(
                    found.bboxes[best].tolist(), found.scores[best].tolist(), found.labels[best].tolist(), strict=True
                )
                self._found[sample.img_id] = [[*box, score, label] for box, score, label in rows]

    def images(self) -> list[dict[str, Any]]:
        """Return by image ``path``, ``truth`` and ``found``, of all processes; every process must come here."""
        found = {name: rows for part in all_gather_object(self._found) for name, rows in part.items()}
        return [
            {"path": info["img_path"], "truth": _objects(info), "found": found[name]}
            for name, info in self._infos.items()
            if name in found
        ]


def _objects(info: dict[str, Any]) -> Rows:
    return [[*one["bbox"], 1.0, one["bbox_label"]] for one in info["instances"] if not one["ignore_flag"]]
