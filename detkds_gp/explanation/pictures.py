"""Where a winning loss pulls its student, and what the three detectors find, painted on test images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from detkds_gp.data.drawn_boxes import draw_boxes, written
from detkds_gp.detections import Detections
from detkds_gp.detectors import ImageInput, finds_masks, make_batch, predict
from detkds_gp.detectors.parts import pyramid
from detkds_gp.errors import StoreError
from detkds_gp.fitness import ProxyTask, ProxyTraining
from detkds_gp.fitness.evaluation import shown
from detkds_gp.language import NONE, Distiller
from detkds_gp.losses import DistillationLoss
from detkds_gp.score import Trial
from detkds_gp.training import DistilledDetector

PICTURE_TRAININGS = 2
"""Students trained for pictures: with the winner and alone."""

_SHOWN = 3
_WIDTH = 320
_COLOURS = ("#1f77c9", "#d96f0e", "#2f9e6e", "#b5128f", "#8a5bb8", "#c7791a", "#4a9aa8", "#b3261e")


def paint_pictures(task: ProxyTask, distiller: Distiller, iterations: int, seed: int, folder: Path) -> dict[str, Any]:
    """Train the winner's student and a student alone as the final round does, and paint a few test images.

    Args:
        task: of the run.
        distiller: the winner, with scales.
        iterations: of both trainings.
        seed: of both trainings.
        folder: made if missing; the images' file names are in what is returned.

    Returns:
        ``classes``; ``images``, each with ``name``, ``detections`` (by whose they are, a file) and ``pulls`` (by
        knowledge, a file for each level of the pyramid).

    Raises:
        StoreError: the folder cannot be written.
        DetectorError: a training failed.
    """
    proxy = ProxyTraining(task)
    alone, winner = (proxy.trained(Trial(text, iterations, seed, test=True)) for text in (NONE, distiller.text))
    chosen = shown(task.splits["test"], _SHOWN)
    images = [proxy.images["test"][place] for place in chosen]
    names = [task.splits["test"].images[place].path.name for place in chosen]
    finders = {"student alone": alone.student, "with the winner": winner.student, "teacher": proxy.teacher}
    found = {who: predict(detector, make_batch(images)) for who, detector in finders.items()}
    classes = list(task.splits["test"].classes)
    labels = [classes.index(name) if name in classes else -1 for name in task.teacher_classes]
    found["teacher"] = [one.relabelled(labels) for one in found["teacher"]]
    boxes = [np.asarray(image.boxes, dtype=float).reshape(-1, 4) for image in images]
    truth = [Detections(b, np.ones(len(b)), np.asarray(i.labels)) for b, i in zip(boxes, images, strict=True)]
    found = {"ground truth": truth, **found}
    pulls = _pulls(proxy, winner, distiller, images)
    try:
        folder.mkdir(exist_ok=True)
        painted = [_painted(folder, i, image, found, pulls, task) for i, image in enumerate(images)]
    except OSError as error:
        raise StoreError(f"cannot write in {folder}: {error.strerror}; make it writable") from error
    return {"classes": classes, "images": [{"name": n, **p} for n, p in zip(names, painted, strict=True)]}


def _pulls(
    proxy: ProxyTraining, model: DistilledDetector, distiller: Distiller, images: Sequence[ImageInput]
) -> dict[str, list[Tensor]]:
    """Return by knowledge, for every level of the pyramid, how strongly the term pulls each position, (N, h, w)."""
    asking = DistilledDetector(
        model.student, DistillationLoss(distiller, proxy.task.primitive_set), proxy.task.pair, proxy.teacher
    )
    asking.pairing = model.pairing  # with the adapters that were trained beside the student
    maps: list[Tensor] = []
    hook = pyramid(model.student).register_forward_hook(lambda module, inputs, output: maps.extend(output))
    try:
        asking.train()
        losses = asking.losses(make_batch(images, masks=finds_masks(model.student)))
    finally:
        hook.remove()
    pulls = {}
    for term in distiller.terms:
        pull = torch.autograd.grad(
            losses[f"loss_distill_{term.knowledge}"].mean(), maps, retain_graph=True, allow_unused=True
        )
        pulls[term.knowledge] = [
            torch.zeros_like(level[:, 0]) if grad is None else grad.abs().sum(dim=1)
            for level, grad in zip(maps, pull, strict=True)
        ]
    return pulls


def _painted(
    folder: Path,
    number: int,
    image: ImageInput,
    found: dict[str, list[Detections]],
    pulls: dict[str, list[Tensor]],
    task: ProxyTask,
) -> dict[str, Any]:
    """Paint one image; returns the file names."""

    def saved(name: str, picture: Image.Image) -> str:
        file = f"{number}-{name}.jpg".replace(" ", "-")
        picture.save(folder / file, quality=82)
        return file

    height, width = image.resized
    plain = torch.from_numpy(np.ascontiguousarray(image.array[:height, :width, ::-1].transpose(2, 0, 1)))
    names = task.splits["test"].classes
    return {
        "detections": {who: saved(who, _boxes(plain, every[number], image, names)) for who, every in found.items()},
        "pulls": {
            knowledge: [
                saved(f"pull-{knowledge}-{level}", _heat(plain, pull[number], image))
                for level, pull in enumerate(levels)
            ]
            for knowledge, levels in pulls.items()
        },
    }


def _boxes(plain: Tensor, found: Detections, image: ImageInput, names: Sequence[str]) -> Image.Image:
    """Draw the most confident detections, as many as there are objects."""
    kept = np.argsort(-found.scores, kind="stable")[: len(image.boxes)]
    zoom = max(1, round(_WIDTH / plain.shape[2]))
    canvas = F.interpolate(plain[None].float(), scale_factor=zoom, mode="bilinear")[0]
    picture = _picture(canvas.round())
    boxes = torch.as_tensor(found.boxes[kept] * np.tile(image.scale, 2) * zoom, dtype=torch.float32)
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2])
    labels, told = [int(label) for label in found.labels[kept]], written(names)
    colours = [_COLOURS[label % len(_COLOURS)] for label in labels]
    draw_boxes(picture, boxes.tolist(), [told[label] for label in labels], colours)
    return picture


def _heat(plain: Tensor, pull: Tensor, image: ImageInput) -> Image.Image:
    """Lay how strongly each position is pulled over the image, relative to the strongest."""
    padded = image.array.shape[:2]
    heat = F.interpolate(pull.detach().float().cpu()[None, None], size=padded, mode="nearest")[0, 0]
    heat = heat[: plain.shape[1], : plain.shape[2]] / heat.max().clamp_min(1e-30)
    grey = plain.float().mean(dim=0) * 0.55 + 70
    glow = torch.stack([grey + heat * (255 - grey), grey * (1 - 0.75 * heat), grey * (1 - 0.4 * heat)])
    return _picture(glow.clamp(0, 255))


def _picture(pixels: Tensor) -> Image.Image:
    """Return an image of (3, H, W) values in [0, 255]."""
    return Image.fromarray(pixels.to(torch.uint8).permute(1, 2, 0).numpy())
