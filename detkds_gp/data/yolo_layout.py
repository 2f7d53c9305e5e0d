"""Finds class names, images, labels and splits in a folder in YOLO format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from detkds_gp.data.folders import Roles, files_below, images_among, splits_of
from detkds_gp.errors import DataError

KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
NAME_FILES = ("classes.txt", "obj.names")
"""What lists the class names, a line each, where there is no yaml: Label Studio and labelImg; CVAT and darknet."""


@dataclass(frozen=True)
class YoloSource:
    """What describes a YOLO data set.

    Attributes:
        path: the file with the class names.
        classes: names, by number.
        splits: where the images of train, val and test are, as the file says; empty: it does not say.
        base: the folder that these start from, as the file says.
        keypoints: whether its labels hold key points.
        notes: what is odd about it.
    """

    path: Path
    classes: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]
    base: str = ""
    keypoints: bool = False
    notes: tuple[str, ...] = ()


def yolo_files(files: Iterable[Path]) -> list[Path]:
    """Return the files that describe a YOLO data set: yaml files with names and splits, else lists of names.

    A list of names counts only if label files lie about: other tools write ``classes.txt`` too.
    """
    files = list(files)
    found = [path for path in files if path.suffix.lower() in (".yaml", ".yml") and _is_data_yaml(path)]
    listed = [path for path in files if path.name.lower() in NAME_FILES or path.suffix.lower() == ".names"]
    return found or [
        path for path in listed if any(_is_label(file) for file in files if file.is_relative_to(path.parent))
    ]


def read_source(path: Path) -> YoloSource:
    """Return what a file of `yolo_files` says.

    Raises:
        DataError: it is broken or names no classes.
    """
    if path.suffix.lower() not in (".yaml", ".yml"):
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
        return YoloSource(path, _checked(path, [name for name in names if name]), _darknet_splits(path))
    raw = _loaded(path)
    if not isinstance(raw, Mapping) or "names" not in raw:
        raise DataError(f"{path}: has no 'names', wanted a data.yaml with names, train and val; add them")
    classes = _checked(path, _by_number(path, raw["names"]))
    count = raw.get("nc", len(classes))
    notes = () if count in (None, len(classes)) else (f"{path.name} says nc: {count}, but has {len(classes)} names",)
    splits = {split: entries for split, keys in KEYS.items() if (entries := _entries(raw, keys))}
    return YoloSource(path, classes, splits, str(raw.get("path") or ""), "kpt_shape" in raw, notes)


def images_by_split(source: YoloSource, src: Path) -> tuple[Roles, list[str]]:
    """Return the images of train, val and test as the source names them, and what is to be said.

    An entry is a folder, a text file of image paths, or a list of both. It is looked for where it says, and, since
    such files name the places of another machine, below the source's folder by the longest end of its path that is
    there and still names its split.

    Raises:
        DataError: the source names images, and none are there.
    """
    roles: Roles = {"train": [], "val": [], "test": []}
    notes: list[str] = []
    for split, entries in source.splits.items():
        for entry in entries:
            found = _found(entry, source, src)
            if found is None:
                notes.append(f"{source.path.name} names {entry} for {split}, which is not there")
            elif found.is_dir():
                roles[split] += images_among(files_below(found))
            else:
                lines = map(str.strip, found.read_text(encoding="utf-8-sig", errors="replace").splitlines())
                listed = [_found(line, source, src, beside=found.parent) for line in lines if line]
                roles[split] += [image for image in listed if image is not None]
                if None in listed:
                    notes.append(f"{found.name} lists {listed.count(None)} images that are not there")
    if source.splits and not any(roles.values()):
        raise DataError(f"{source.path}: {'; '.join(notes) or 'the folders it names hold no images'}; mend its paths")
    return {split: sorted(dict.fromkeys(paths)) for split, paths in roles.items()}, notes


def files_outside(source: YoloSource, src: Path) -> list[Path]:
    """Return what a source names that lies outside of its folder: images, their labels, lists of images."""
    named = [_found(entry, source, src) for entries in source.splits.values() for entry in entries]
    images = [image for own in images_by_split(source, src)[0].values() for image in own]
    found = {*(path for path in named if path is not None and path.is_file()), *images, *map(label_of, images)}
    return sorted(path for path in found if path is not None and not path.is_relative_to(src))


def label_of(image: Path) -> Path | None:
    """Return the label file of an image: in ``labels`` for its folder ``images``, else beside it."""
    parts = image.parts
    depth = max((depth for depth, part in enumerate(parts[:-1]) if part.lower() == "images"), default=0)
    beside = image.with_suffix(".txt")
    places = [Path(*parts[:depth], "labels", *parts[depth + 1 :]).with_suffix(".txt"), beside] if depth else [beside]
    return next((place for place in places if place.is_file()), None)


def _found(entry: str, source: YoloSource, src: Path, beside: Path | None = None) -> Path | None:
    """Return where the file or folder of an entry is on this machine, first ``beside``; None if it is nowhere."""
    found = next((place for place in _places(entry, source, src, beside) if place.exists()), None)
    # Without following links, so that what lies below is still known by its name.
    return None if found is None else Path(os.path.normpath(found))


def _places(entry: str, source: YoloSource, src: Path, beside: Path | None) -> Iterator[Path]:
    home, slashed = source.path.parent, entry.replace("\\", "/")
    starts = (beside, home / source.base, home, src)
    yield from (start / slashed for start in starts if start is not None)
    parts = [part for part in PurePosixPath(slashed).parts if part not in ("..", ".", "/")]
    named = splits_of(PurePosixPath(*parts))
    while parts and splits_of(PurePosixPath(*parts)) == named:
        yield from (home.joinpath(*parts), src.joinpath(*parts))
        parts = parts[1:]


def _loaded(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: broken YAML ({reason:.120}); mend it") from None


def _is_data_yaml(path: Path) -> bool:
    try:
        raw = _loaded(path)
    except DataError:
        return path.name.lower() in ("data.yaml", "data.yml")
    return isinstance(raw, Mapping) and "names" in raw and any(key in raw for keys in KEYS.values() for key in keys)


def _entries(raw: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    value = next((raw[key] for key in keys if raw.get(key)), ())
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _by_number(path: Path, names: Any) -> list[str]:
    """Return names given as a list, or as a mapping from their numbers."""
    if isinstance(names, list):
        return [str(name) for name in names]
    try:
        numbered = {int(number): str(name) for number, name in names.items()}
        return [numbered[number] for number in range(len(numbered))]
    except (AttributeError, TypeError, ValueError, KeyError):
        got = f"{names!r:.60}"
        raise DataError(f"{path}: names are {got}, wanted a list, or a mapping of 0, 1, 2, ... to names") from None


def _checked(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    twice = [name for name in names if names.count(name) > 1]
    if twice or not names:
        raise DataError(f"{path}: names {f'hold {twice[0]!r} twice' if twice else 'are empty'}; give each class one")
    return tuple(names)


def _darknet_splits(names: Path) -> dict[str, tuple[str, ...]]:
    """Return the lists of images that darknet's ``.data`` file beside the names gives (CVAT: ``obj.data``)."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(names.parent.glob("*.data")):
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = (part.strip() for part in line.partition("="))
            split = next((split for split, keys in KEYS.items() if key in keys), None)
            if split is not None and value:
                found[split] = (*found.get(split, ()), value)
    return found


def _is_label(path: Path) -> bool:
    """Return whether a file begins as a label file does: a class number and four shares or more."""
    if path.suffix.lower() != ".txt" or path.name.lower() in NAME_FILES:
        return False
    try:
        words = path.read_text(encoding="utf-8-sig").split("\n", 1)[0].split()
        label, *rest = map(float, words)
    except (OSError, ValueError):
        return False
    return label.is_integer() and len(rest) >= 4
