"""What the students of a final round find on test images, painted from what their trainings have recorded."""

from __future__ import annotations

from pathlib import Path

from detkds_gp.data.album import Shown, write_album
from detkds_gp.fitness import ProxyTask
from detkds_gp.fitness.evaluation import shown
from detkds_gp.language import NONE
from detkds_gp.results import Verdict
from detkds_gp.score import TEACHER
from detkds_gp.store import Store
from detkds_gp.store.events import details

FOLDER = "pictures"


def paint_finalists(store: Store, verdict: Verdict, winner: str, task: ProxyTask, work_dir: Path) -> None:
    """Paint truth, student alone, winner and teacher on a dozen test images into a folder of the work directory.

    Nothing is painted where the trainings of the winner and of the student alone have recorded no detections.

    Raises:
        OSError: the folder cannot be written.
    """
    told = details(store.events())
    trials = {"student alone": verdict.trials(NONE), "winner": verdict.trials(winner), "teacher": [TEACHER]}
    watched = {who: asked[0] for who, asked in trials.items() if asked}
    rows = {who: told[trial].found for who, trial in watched.items() if trial in told and told[trial].found}
    if not {"student alone", "winner"} <= set(rows):
        return
    test, images = task.splits["test"], []
    for number, place in enumerate(shown(test)):
        record = test.images[place]
        truth = [(*box, 1.0, label) for box, label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True)]
        boxes = {who: by_image[number] for who, by_image in rows.items()}
        images.append(Shown(record.path, {"ground truth": truth, **boxes}))
    write_album(images, test.classes, work_dir / FOLDER, winner=winner)
