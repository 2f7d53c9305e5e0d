"""COCO annotation files below a folder, and the split that each stands for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkds_gp.data.collection import collection_paused
from detkds_gp.data.folders import shared_words, splits_of, words_of
from detkds_gp.errors import DataError

SPLITS = ("train", "val", "test")
OTHER_TASKS = (["person", "keypoints"], ["stuff"], ["panoptic"], ["captions"])
"""How COCO's own files for other tasks begin, beside ``instances_``."""
SHOWN = 6


@dataclass(frozen=True)
class CocoFile:
    """An annotation file, looked through.

    Attributes:
        path: the file.
        names: its image names.
        objects: how many annotations it holds.
        fault: why it cannot be used, or empty.
    """

    path: Path
    names: tuple[str, ...]
    objects: int
    fault: str = ""


def coco_files(files: Iterable[Path]) -> list[CocoFile]:
    """Return the COCO files among the files, broken JSON that names a split included."""
    found = (looked_through(path) for path in files if path.suffix.lower() == ".json")
    return [file for file in found if file is not None]


@collection_paused()
def looked_through(path: Path) -> CocoFile | None:
    """Return what a file holds; None where it is no COCO file of boxes."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return CocoFile(path, (), 0, "is broken JSON; export it again") if splits_of(Path(path.name)) else None
    images, annotations, categories = (
        raw.get(key) if isinstance(raw, dict) else None for key in ("images", "annotations", "categories")
    )
    if not (isinstance(images, list) and isinstance(annotations, list) and isinstance(categories, list)):
        return None
    if annotations and not any(isinstance(row, dict) and "bbox" in row for row in annotations):
        return None  # captions, panoptic
    names = tuple(str(row["file_name"]) for row in images if isinstance(row, dict) and "file_name" in row)
    return CocoFile(path, names, len(annotations), _fault(names, annotations))


def _fault(names: Sequence[str], annotations: Sequence[Any]) -> str:
    if not names:
        return "names no images; export it again"
    return "" if annotations else f"has {len(names)} images and no annotation; label them, or take it away"


def files_by_split(
    files: Sequence[CocoFile], root: Path, given: Mapping[str, CocoFile]
) -> tuple[dict[str, CocoFile], list[str]]:
    """Return the file of every split that has one, and what is to be said of the others.

    Whole words decide, those of the file's name before those of the folders above it. A single file is the training
    file, whatever its name.

    Args:
        files: those of the folder.
        root: the folder.
        given: the files that the user named, by split.

    Raises:
        DataError: if two files stand for one split, none for training, or the one that does cannot be used.
    """
    rest = [file for file in files if file not in given.values()]
    kept = [file for file in rest if not _of_another_task(file, rest)]
    notes = [f"not used: {_name(file, root)}, beside instances_*" for file in rest if file not in kept]
    if len(kept) == 1 and not given:
        chosen = {"train": kept[0]}
    else:
        named = _named(kept, root)
        chosen = {split: _only(split, named[split], root) for split in SPLITS if split not in given and named[split]}
        chosen |= given
        if not {"train", "val"} & chosen.keys() and named["both"]:
            chosen["train"] = _only("train", named["both"], root)
    if "train" not in chosen:
        raise DataError(_no_training_file(kept, root))
    for split, file in chosen.items():
        if file.fault:
            raise DataError(f"{file.path} {file.fault}, or name another file by {json_flag(split)}")
    unused = [file for file in kept if file not in chosen.values()]
    notes += [f"not used: {_name(file, root)}; --train-json, --val-json or --test-json takes it" for file in unused]
    return {split: chosen[split] for split in SPLITS if split in chosen}, notes


def json_flag(split: str) -> str:
    """Return the option of ``gp_search init`` that names the annotation file of a split."""
    return f"--{split}-json"


def _named(files: Sequence[CocoFile], root: Path) -> dict[str, list[CocoFile]]:
    """Return the files by the split that they name; ``both`` are train and val in one."""
    paths = {file: file.path.relative_to(root).with_suffix("") for file in files}
    named = {file: splits_of(path) for file, path in paths.items()}
    if any(len(splits) > 1 for splits in named.values()):  # what all names share says nothing
        ignored = shared_words([path.name for path in paths.values()])
        named = {file: splits_of(path, ignored) for file, path in paths.items()}
    by_split = {split: [file for file in files if named[file] == {split}] for split in SPLITS}
    return {**by_split, "both": [file for file in files if named[file] == {"train", "val"}]}


def _only(split: str, files: Sequence[CocoFile], root: Path) -> CocoFile:
    if len(files) > 1:
        shown = " and ".join(_name(file, root) for file in files[:SHOWN])
        raise DataError(f"{root}: {shown} both name {split}; say which counts by {json_flag(split)}")
    return files[0]


def _of_another_task(file: CocoFile, files: Sequence[CocoFile]) -> bool:
    """Return whether a file is COCO's for key points or the like, with one of instances beside it."""
    words = words_of(file.path.stem)
    beside = [words_of(other.path.stem) for other in files if other.path.parent == file.path.parent]
    return any(words[: len(task)] == task and ["instances", *words[len(task) :]] in beside for task in OTHER_TASKS)


def _no_training_file(files: Sequence[CocoFile], root: Path) -> str:
    if not files:
        return f"{root} holds no COCO annotation file"
    shown = ", ".join(_name(file, root) for file in files[:SHOWN])
    return f"{root}: no COCO file of it names train alone ({shown}); say which is by --train-json, and --val-json"


def _name(file: CocoFile, root: Path) -> str:
    return file.path.relative_to(root).as_posix() if file.path.is_relative_to(root) else str(file.path)
