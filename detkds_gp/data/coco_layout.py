"""The layout of COCO data in a folder: the annotation file of each split, and where its image names start from."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from detkds_gp.data.annotation_file import collection_paused
from detkds_gp.data.folders import images_among, name_below, parting, shared_words, splits_of, words_of
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
    return [file for path in files if path.suffix.lower() == ".json" and (file := looked_through(path))]


@collection_paused()
def looked_through(path: Path) -> CocoFile | None:
    """Return what a file holds; None where it is no COCO file of boxes."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return CocoFile(path, (), 0, "is broken JSON; export it again") if splits_of(Path(path.name)) else None
    keys = ("images", "annotations", "categories")
    lists: list[Any] = [raw.get(key) for key in keys] if isinstance(raw, dict) else [None]
    if not all(isinstance(rows, list) for rows in lists):
        return None
    images, annotations, _ = lists
    if annotations and not any(isinstance(row, dict) and "bbox" in row for row in annotations):
        return None  # captions, panoptic
    names = tuple(str(row["file_name"]) for row in images if isinstance(row, dict) and "file_name" in row)
    fault = "" if annotations else f"has {len(names)} images and no annotation; label them, or take it away"
    return CocoFile(path, names, len(annotations), fault if names else "names no images; export it again")


def files_by_split(
    files: Sequence[CocoFile], root: Path, given: Mapping[str, CocoFile]
) -> tuple[dict[str, CocoFile], list[str]]:
    """Return the file of every split that has one, and what is to be said of the others.

    Whole words decide, those of the file's name before those of the folders above it. A single file is the training
    file, whatever its name. The files that the user named are ``given``.

    Raises:
        DataError: if two files stand for one split, none for training, or the one that does cannot be used.
    """
    rest = [file for file in files if file not in given.values()]
    kept = [file for file in rest if not _of_another_task(file, rest)]
    notes = [f"not used: {name_below(file.path, root)}, beside instances_*" for file in rest if file not in kept]
    if len(kept) == 1 and not given:
        chosen = {"train": kept[0]}
    else:
        named = _named(kept, root)
        chosen = {split: _only(split, named[split], root) for split in SPLITS if split not in given and named[split]}
        chosen |= given
        if not {"train", "val"} & chosen.keys() and named["both"]:
            chosen["train"] = _only("train", named["both"], root)
    if "train" not in chosen:
        shown = ", ".join(name_below(file.path, root) for file in kept[:SHOWN])
        remedy = f"no COCO file of it names train alone ({shown}); say which is by --train-json, and --val-json"
        raise DataError(f"{root}: {remedy}" if kept else f"{root} holds no COCO annotation file")
    for split, file in chosen.items():
        if file.fault:
            raise DataError(f"{file.path} {file.fault}, or name another file by {json_flag(split)}")
    unused = [file for file in kept if file not in chosen.values()]
    remedy = "--train-json, --val-json or --test-json takes it"
    notes += [f"not used: {name_below(file.path, root)}; {remedy}" for file in unused]
    return {split: chosen[split] for split in SPLITS if split in chosen}, notes


def json_flag(split: str) -> str:
    """Return the option of ``gp_search init`` that names the annotation file of a split."""
    return f"--{split}-json"


def images_flag(split: str) -> str:
    """Return the option of ``gp_search init`` that names the image folder of a split, of ``""`` that of all."""
    return f"--{split}-images" if split else "--images"


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
        shown = " and ".join(name_below(file.path, root) for file in files[:SHOWN])
        raise DataError(f"{root}: {shown} both name {split}; say which counts by {json_flag(split)}")
    return files[0]


def _of_another_task(file: CocoFile, files: Sequence[CocoFile]) -> bool:
    """Return whether a file is COCO's for key points or the like, with one of instances beside it."""
    words = words_of(file.path.stem)
    beside = [words_of(other.path.stem) for other in files if other.path.parent == file.path.parent]
    return any(words[: len(task)] == task and ["instances", *words[len(task) :]] in beside for task in OTHER_TASKS)


class ImageTree:
    """The images below a folder, by name.

    Attributes:
        root: the data set's folder.
        folders: the folders of each name, relative to the root.
    """

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        self.root = root
        self.folders: dict[str, list[PurePosixPath]] = defaultdict(list)
        below = cache(lambda folder: PurePosixPath(folder.relative_to(root)))
        for path in images_among(files):
            self.folders[path.name].append(below(path.parent))

    def coverage(self, names: Iterable[str]) -> Counter[Path]:
        """Return, for every folder that one of the names can start from, how many of them it holds."""
        counts: Counter[Path] = Counter()
        for name in names:
            path = PurePosixPath(name)
            above = [part for part in path.parts[:-1] if part != "."]
            for folder in self.folders.get(path.name, ()):
                if not above or list(folder.parts[-len(above) :]) == above:
                    start = folder.parts[: len(folder.parts) - len(above)]
                    counts[self.root.joinpath(*start)] += 1
        return counts


def image_folder(tree: ImageTree, ann_file: Path, names: Sequence[str], split: str | None, given: Path | None) -> Path:
    """Return the folder that an annotation file's image names start from.

    It holds all of them. Of several, the one whose name speaks of the split counts, then the annotation file's own.
    The split is train, val or test, or None where the file holds them all; if a folder is given, only it and those
    below it count.

    Raises:
        DataError: if none holds them, or more than one reading remains.
    """
    wanted = list(dict.fromkeys(name.replace("\\", "/") for name in names))
    counts = tree.coverage(wanted)
    for folder in (given, ann_file.parent, tree.root):
        if folder is not None and folder not in counts and (folder / wanted[0]).is_file():
            counts[folder] = sum((folder / name).is_file() for name in wanted)
    if given is not None:
        counts = Counter({folder: n for folder, n in counts.items() if folder.is_relative_to(given)})
    most = max(counts.values(), default=0)  # where it is not all, loading names what is missing
    readings = _narrowed([folder for folder, count in counts.items() if count == most], ann_file, split, tree.root)
    if len(readings) > 1:
        first, second, *_ = readings
        raise DataError(
            f"{ann_file}: its images are in {first} and in {second}; say which folder counts, such as "
            f"{images_flag('')} {parting(first, second)}"
        )
    if not readings:
        raise DataError(f"{ann_file}: {_absent(tree, names, given)}")
    return readings[0]


def _narrowed(folders: list[Path], ann_file: Path, split: str | None, root: Path) -> list[Path]:
    distinct = list({os.path.realpath(folder): folder for folder in sorted(folders, reverse=True)}.values())[::-1]
    if split is not None:
        inside = [path for path in distinct if path.is_relative_to(root)]
        named = {path: splits_of(path.relative_to(root)) for path in inside}
        own = [folder for folder in distinct if split in named.get(folder, ())]
        distinct = own or [folder for folder in distinct if not named.get(folder)] or distinct
    beside = [folder for folder in distinct if folder == ann_file.parent]
    return beside or distinct


def _absent(tree: ImageTree, names: Sequence[str], given: Path | None) -> str:
    first = names[0]
    bare = PurePosixPath(first.replace("\\", "/")).name
    got = f"its image {first!r} is in no folder below {given or tree.root}"
    if given is None and bare in tree.folders:
        return f"{got}, though {bare} is; take what stands before it out of 'file_name'"
    if "\\" in first:
        return f"{got} (a backslash reads as a folder's end); put the images there"
    other = next((name for name in tree.folders if name.casefold() == bare.casefold()), None)
    if other is not None:
        return f"{got}; {other!r} is: upper and lower case count, write one like the other"
    return f"{got}; put the images there, or name their folder by --images"
