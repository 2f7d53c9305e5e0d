"""Writes a small COCO data set of handwritten digits, to run without a download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.datasets import load_digits

from detkds_gp.atomic import atomic_folder, holds_files
from detkds_gp.data.scenes import Exemplars, Scene, draw_scene
from detkds_gp.errors import DataError

SPLITS = ("train", "selection", "test")
SHARES = (0.6, 0.2, 0.2)  # of the exemplars of each digit
META = "digits.json"


@dataclass(frozen=True)
class _Recipe:
    """What decides every byte of the data set; kept beside it."""

    seed: int
    train: int
    selection: int
    test: int
    size: int
    digits: tuple[int, ...]
    version: int = 2


def make_digits(
    out_dir: str | Path,
    seed: int = 0,
    train: int = 240,
    selection: int = 100,
    test: int = 150,
    size: int = 128,
    digits: Sequence[int] = range(10),
) -> Path:
    """Write train.json, selection.json, test.json and images/, unless they are there already.

    Scenes show 2 to 7 of the real 8x8 digits of scikit-learn, smoothly upscaled to heights of 16 to
    45% of the scene, tilted, overlapping, lighter or darker than a textured ground with
    distractors. Classes are the digits asked for; boxes are tight around the visible part, masks are
    uncompressed RLE of it. No exemplar stands in two splits. A scene depends on seed, split and its
    number alone: a larger data set begins with the smaller one. The folder appears whole or not at
    all.

    Args:
        out_dir: new or empty, or the same data set from before.
        seed: decides everything random, 0 or more.
        train: number of scenes, 1 or more.
        selection: number of scenes, 1 or more.
        test: number of scenes, 1 or more.
        size: side of the square scenes in pixels, 64 or more.
        digits: which digits are drawn; fewer are learned faster.

    Returns:
        ``out_dir``.

    Raises:
        DataError: ``out_dir`` holds something else, or a number is out of range.
    """
    out_dir, recipe = Path(out_dir), _Recipe(seed, train, selection, test, size, tuple(digits))
    known = sorted(set(recipe.digits) & set(range(10))) == sorted(recipe.digits) != []
    if min(train, selection, test) < 1 or size < 64 or seed < 0 or not known:
        raise DataError(
            f"got {recipe}, wanted 1 scene or more a split, size >= 64, seed >= 0, different digits of 0 to 9"
        )
    if not holds_files(out_dir):
        try:
            with atomic_folder(out_dir) as folder:
                _write(folder, recipe)
        except OSError as error:
            if not holds_files(out_dir):  # else another process was faster
                raise DataError(f"{out_dir}: cannot be written ({error.strerror}); choose another folder") from None
    try:
        found = json.loads((out_dir / META).read_bytes())
    except (OSError, ValueError):
        found = "other files"
    wanted = json.loads(json.dumps(asdict(recipe)))
    if found != wanted:
        raise DataError(
            f"{out_dir}: holds {found}, wanted an empty folder or {wanted}; choose another folder or delete this one"
        )
    return out_dir


def _write(folder: Path, recipe: _Recipe) -> None:
    (folder / "images").mkdir()
    exemplars = _exemplars(recipe.seed, recipe.digits)
    for part, split in enumerate(SPLITS):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(getattr(recipe, split)):
            rng = np.random.default_rng([recipe.seed, part, number])
            scene = draw_scene(exemplars[part], recipe.size, rng)
            name = f"{split}_{number:05d}.jpg"
            _, encoded = cv2.imencode(".jpg", scene.pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
            (folder / "images" / name).write_bytes(encoded.tobytes())
            images.append({"id": number, "file_name": name, "width": recipe.size, "height": recipe.size})
            annotations += _annotations(scene, number, first_id=len(annotations) + 1)
        categories = [{"id": digit, "name": str(digit)} for digit in recipe.digits]
        coco = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(coco))
    (folder / META).write_text(json.dumps(asdict(recipe)))


def _exemplars(seed: int, wanted: Sequence[int] = range(10)) -> list[Exemplars]:
    """Deal scikit-learn's examples of the wanted digits out to the splits, each class by SHARES."""
    digits = load_digits()
    rng = np.random.default_rng([seed, len(SPLITS)])
    dealt: list[list[np.ndarray]] = [[] for _ in SPLITS]
    for digit in wanted:
        indices = rng.permutation(np.flatnonzero(digits.target == digit))
        cuts = np.rint(np.cumsum(SHARES)[:-1] * len(indices)).astype(int)
        for hand, part in zip(dealt, np.split(indices, cuts), strict=True):
            hand.append(part)
    inks = (digits.images / 16).astype(np.float32)
    return [Exemplars(inks[own], digits.target[own]) for own in map(np.concatenate, dealt)]


def _annotations(scene: Scene, image_id: int, first_id: int) -> list[dict[str, Any]]:
    rows = []
    objects = zip(scene.labels, scene.masks, strict=True)
    for number, (label, mask) in enumerate(objects, start=first_id):
        ys, xs = np.nonzero(mask)
        left, top = int(xs.min()), int(ys.min())
        bbox = [left, top, int(xs.max()) + 1 - left, int(ys.max()) + 1 - top]
        rows.append(
            {
                "id": number,
                "image_id": image_id,
                "category_id": label,
                "iscrowd": 0,
                "bbox": bbox,
                "area": len(xs),
                "segmentation": _run_lengths(mask),
            }
        )
    return rows


def _run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """Return COCO's uncompressed RLE: run lengths down the columns, background first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"counts": [0, *counts] if flat[0] else counts, "size": list(mask.shape)}
