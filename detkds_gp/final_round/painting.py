"""What the students of a final round find on test images, painted from what their trainings have recorded."""

from __future__ import annotations

from pathlib import Path

from detkds_gp.data.album import Shown, write_album
from detkds_gp.fitness import ProxyTask
from detkds_gp.fitness.evaluation import shown
from detkds_gp.language import NONE
from detkds_gp.results import Verdict
from detkds_gp.score import TEACHER, Trial
from detkds_gp.store import Store
from detkds_gp.store.events import details

FOLDER = "pictures"


def paint_finalists(store: Store, verdict: Verdict, winner: str, task: ProxyTask, work_dir: Path) -> None:
    """Paint truth, student alone, winner and teacher on a dozen test images into a folder of the work directory.

    Nothing is painted where the trainings of the winner and of the student alone have recorded no detections.

    Args:
        store: of the run.
        verdict: of the run.
        winner: its text, as the store calls it.
        task: of the run; its students were scored on its test split.
        work_dir: of the run.

    Raises:
        OSError: the folder cannot be written.
    """
    told = details(store.events())
    found = {"student alone": _watched(verdict, NONE), "winner": _watched(verdict, winner), "teacher": TEACHER}
    rows = {who: told[trial].found for who, trial in found.items() if trial in told and told[trial].found}
    if not {"student alone", "winner"} <= set(rows):
        return
    test, images = task.splits["test"], []
    for number, place in enumerate(shown(test)):
        record = test.images[place]
        truth = [(*box, 1.0, label) for box, label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True)]
        boxes = {who: by_image[number] for who, by_image in rows.items()}
        images.append(Shown(record.path, {"ground truth": truth, **boxes}))
    write_album(images, test.classes, work_dir / FOLDER, winner=winner)


def _watched(verdict: Verdict, text: str) -> Trial | None:
    return next(iter(verdict.trials(text)), None)
