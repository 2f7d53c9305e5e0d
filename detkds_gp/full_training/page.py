"""The page of all trainings of a folder that can be compared, written beside their work directories."""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from detkds_gp.data.album import Shown, paint
from detkds_gp.errors import ConfigError
from detkds_gp.full_training.folder import FOUND_FILE, read, results_in
from detkds_gp.language import NONE
from detkds_gp.report import write_page
from detkds_gp.report.run import Pictures
from detkds_gp.report.students import METRICS, Student, student
from detkds_gp.report.trainings import render_trainings
from detkds_gp.score import Details

PAGE = "trainings.html"
ITEMS = dict(zip(METRICS, ("mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"), strict=True))
"""mmdet's names of the metrics."""

SHOWN = ("winner", "alone")
"""The sorts of students whose detections are painted."""

LOG = "*/vis_data/scalars.json"
"""Where mmengine's local visualizer writes, in a folder for each session named by its time."""

POINTS = 120
"""Rows of losses at most."""

Siblings = list[tuple[Path, dict[str, Any]]]
"""Work directories with what their ``result.json`` tells."""


def write_trainings_page(told: Mapping[str, Any], folder: Path) -> Path:
    """Write the page of all trainings beside one, which differ from it in distiller and seed alone.

    Args:
        told: what its ``result.json`` tells.
        folder: whose sub-folders are looked at, and where the page goes.

    Returns:
        the page's file.

    Raises:
        StoreError: it cannot be written.
    """
    found = siblings_of(told, folder)
    students = students_of(found)
    pictures, seed = _pictures(found, [formula for formula, one in students.items() if one.sort in SHOWN])
    write_page(
        render_trainings(folder.resolve().name, told["metric"], [*_teacher(found), *students.values()], pictures, seed),
        folder / PAGE,
    )
    return folder / PAGE


def siblings_of(told: Mapping[str, Any], folder: Path) -> Siblings:
    """Return the trainings of a folder that can be compared; what cannot be read is passed over."""
    return [(path, one) for path, one in results_in(folder) if _kind(one) == _kind(told)]


def _kind(told: Mapping[str, Any]) -> tuple[Any, Any]:
    return told.get("siblings", told.get("protocol")), told.get("metric")


def students_of(found: Siblings) -> dict[str, Student]:
    """Return students by formula: the one of the highest mean AP, which is marked, the one alone, the others by AP."""
    by_formula: dict[str, Siblings] = defaultdict(list)
    for folder, told in found:
        by_formula[told["formula"]].append((folder, told))
    made = {formula: _student(formula, one) for formula, one in by_formula.items()}
    ranked = sorted((f for f in made if f != NONE), key=lambda formula: -(made[formula].ap or 0.0))
    if ranked:
        made[ranked[0]] = replace(made[ranked[0]], sort="winner")
    return {formula: made[formula] for formula in [*ranked[:1], NONE, *ranked[1:]] if formula in made}


def _student(formula: str, found: Siblings) -> Student:
    name, sort = ("student alone", "alone") if formula == NONE else (found[0][1]["distiller"], "other")
    aps = {told["seed"]: told["ap"] for _, told in found}
    details = [_details(told, "student", folder) for folder, told in found]
    return student(name, sort, aps, details)


def _teacher(found: Siblings) -> list[Student]:
    told = next((told for _, told in found if told["teacher_ap"] is not None), None)
    if told is None:
        return []
    return [student("teacher", "teacher", {-1: told["teacher_ap"]}, [_details(told, "teacher")])]


def _details(told: Mapping[str, Any], who: str, folder: Path | None = None) -> Details:
    start = f"coco/{told['metric']}_"
    metrics = told["metrics"][who] or {f"{start}mAP_50": 0.0, f"{start}mAP_75": 0.0}  # nothing was found
    parts = {key: _known(metrics.get(start + item)) for key, item in ITEMS.items()}
    of_classes = {found[1]: key for key in metrics if (found := re.fullmatch("coco/(.*)_precision", key))}
    classes = {one: _known(metrics[key]) for one, key in of_classes.items()}
    if folder is None:
        return Details(parts, classes)
    return Details(parts, classes, tuple(losses_of(folder)), tuple(curve_of(folder, told["metric"])))


def _known(value: float | None) -> float | None:
    """Return a number; None for mmdet's -1 and nan, of what has no objects."""
    return None if value is None or math.isnan(value) or value < 0 else value


def _pictures(found: Siblings, formulas: Sequence[str]) -> tuple[list[Pictures], int | None]:
    """Paint what students, the teacher and the truth have, of the first seed that all have; return the seed, too."""
    by_seed: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for folder, told in found:
        if told["formula"] in formulas:
            with suppress(ConfigError, OSError):
                name = "student alone" if told["formula"] == NONE else told["distiller"]
                by_seed[told["seed"]][name] = read(folder / FOUND_FILE, "it is passed over")
    for seed, who in sorted(by_seed.items()):
        if len(who) == len(formulas):
            return [
                Pictures(name, {one: b64encode(jpeg).decode("ascii") for one, jpeg in painted.items()}, {})
                for name, painted in _painted(who)
            ], seed
    return [], None


def _painted(who: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, bytes]]]:
    first = next(iter(who.values()))
    teachers = next((one["teacher"] for one in who.values() if one["teacher"]), None)
    images = []
    for number, image in enumerate(first["images"]):
        boxes = {"ground truth": image["truth"]}
        boxes |= {name: who[name]["images"][number]["found"] for name in sorted(who, key="student alone".__ne__)}
        images.append(Shown(Path(image["path"]), boxes | ({"teacher": teachers[number]["found"]} if teachers else {})))
    return paint(images, first["classes"])


def losses_of(folder: Path) -> list[tuple[int, float, float]]:
    """Return (steps, the student's own loss, the distillation loss) as logged; empty where nothing was."""
    rows = {row["step"]: row for row in _rows(folder) if "loss" in row and "step" in row and math.isfinite(row["loss"])}
    found = []
    for step, row in sorted(rows.items()):
        distilled = sum(value for name, value in row.items() if name.startswith("loss_distill_"))
        found.append((step, row["loss"] - distilled, distilled))
    return found[:: max(1, -(-len(found) // POINTS))]


def curve_of(folder: Path, metric: str) -> list[tuple[int, float]]:
    """Return (steps, AP on the selection split) as logged; a training by epochs counts the steps that it logged."""
    found: dict[int, float] = {}
    steps = 0
    for row in _rows(folder):
        if f"coco/{metric}_mAP" in row:
            found[max(steps, row.get("step", 0))] = row[f"coco/{metric}_mAP"]
        elif "loss" in row:
            steps = row.get("step", steps)
    return sorted(found.items())


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(LOG)):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):  # a line that a kill has cut off
                yield json.loads(line)
