"""Finds class names, images, labels and splits in a folder in YOLO format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from detkds_gp.data.deal import Roles
from detkds_gp.data.folders import files_below, images_among, splits_of
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
    return found or [path for path in listed if any(map(_is_label, _texts_below(path.parent, files)))]


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
    count = raw.get("nc")
    notes = (
        (f"{path.name} says nc: {count}, but has {len(classes)} names",) if count not in (None, len(classes)) else ()
    )
    splits = {split: _entries(raw, keys) for split, keys in KEYS.items()}
    return YoloSource(
        path, classes, {s: e for s, e in splits.items() if e}, str(raw.get("path") or ""), "kpt_shape" in raw, notes
    )


def images_by_split(source: YoloSource, src: Path) -> tuple[Roles, list[str]]:
    """Return the images of train, val and test as the source names them, and what is to be said.

    An entry is a folder, a text file of image paths, or a list of both. It is looked for where it says, and, since
    such files name the places of another machine, below the source's folder by the longest end of its path that is
    there and still names its split.

    Raises:
        DataError: the source names images, and none are there.
    """
    place = Places(source, src)
    roles: Roles = {"train": [], "val": [], "test": []}
    notes: list[str] = []
    for split, entries in source.splits.items():
        for entry in entries:
            found = place.find(entry)
            if found is None:
                notes.append(f"{source.path.name} names {entry} for {split}, which is not there")
            elif found.is_dir():
                roles[split] += images_among(files_below(found))
            else:
                listed, missing = _listed(found, place)
                roles[split] += listed
                if missing:
                    notes.append(f"{found.name} lists {missing} images that are not there")
    if source.splits and not any(roles.values()):
        raise DataError(f"{source.path}: {'; '.join(notes) or 'the folders it names hold no images'}; mend its paths")
    return {split: sorted(dict.fromkeys(paths)) for split, paths in roles.items()}, notes


def files_outside(source: YoloSource, src: Path) -> list[Path]:
    """Return what a source names that lies outside of its folder: images, their labels, lists of images."""
    place = Places(source, src)
    named = [place.find(entry) for entries in source.splits.values() for entry in entries]
    images = [image for own in images_by_split(source, src)[0].values() for image in own]
    found = {*(path for path in named if path is not None and path.is_file()), *images, *map(label_of, images)}
    return sorted(path for path in found if path is not None and not path.is_relative_to(src))


def label_of(image: Path) -> Path | None:
    """Return the label file of an image: in ``labels`` for its folder ``images``, else beside it."""
    parts = list(image.parts)
    places = [image.with_suffix(".txt")]
    for depth in range(len(parts) - 2, 0, -1):
        if parts[depth].lower() == "images":
            below = Path(*parts[:depth], "labels", *parts[depth + 1 :])
            places.insert(0, below.with_suffix(".txt"))
            break
    return next((place for place in places if place.is_file()), None)


class Places:
    """Where the paths of a source are on this machine.

    Args:
        source: what names them.
        src: the data set's folder.
    """

    def __init__(self, source: YoloSource, src: Path) -> None:
        home = source.path.parent
        self._starts = [*([home / source.base] if source.base else []), home, src]
        self._home = list(dict.fromkeys([home, src]))

    def find(self, entry: str, *beside: Path) -> Path | None:
        """Return the file or folder of an entry; None if it is nowhere.

        Args:
            entry: as the source has it.
            beside: folders in which it is looked for first.
        """
        slashed = entry.replace("\\", "/")
        for start in (*beside, *self._starts):
            if (start / slashed).exists():
                return _plain(start / slashed)
        parts = [part for part in PurePosixPath(slashed).parts if part not in ("..", ".", "/")]
        named = splits_of(PurePosixPath(*parts))
        while parts and splits_of(PurePosixPath(*parts)) == named:
            for start in self._home:
                if start.joinpath(*parts).exists():
                    return _plain(start.joinpath(*parts))
            parts = parts[1:]
        return None


def _plain(path: Path) -> Path:
    """Resolve ``..`` without following links, so that what lies below is still known by its name."""
    return Path(os.path.normpath(path))


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


def _listed(path: Path, places: Places) -> tuple[list[Path], int]:
    """Return the images that a text file lists, and how many of them are not there."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
    found = [places.find(line, path.parent) for line in lines if line]
    return [image for image in found if image is not None], found.count(None)


def _texts_below(folder: Path, files: Iterable[Path]) -> list[Path]:
    inside = [path for path in files if path.suffix.lower() == ".txt" and path.is_relative_to(folder)]
    return [path for path in inside if path.name.lower() not in NAME_FILES]


def _is_label(path: Path) -> bool:
    """Return whether a text file begins as a label file does: a class number and four shares or more."""
    try:
        words = path.read_text(encoding="utf-8-sig").split("\n", 1)[0].split()
        label, *rest = map(float, words)
    except (OSError, ValueError):
        return False
    return label.is_integer() and len(rest) >= 4
