"""Finds the folder that the image names of an annotation file start from."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from detkds_gp.data.folders import images_among, parting, splits_of
from detkds_gp.errors import DataError


class ImageTree:
    """The images below a folder, by name.

    Args:
        root: the data set's folder.
        files: all files below it.
    """

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        self.root = root
        self._folders: dict[str, list[PurePosixPath]] = defaultdict(list)
        below: dict[Path, PurePosixPath] = {}
        for path in images_among(files):
            folder = path.parent
            if folder not in below:
                below[folder] = PurePosixPath(folder.relative_to(root))
            self._folders[path.name].append(below[folder])

    def coverage(self, names: Iterable[str]) -> Counter[Path]:
        """Return, for every folder that one of the names can start from, how many of them it holds."""
        counts: Counter[Path] = Counter()
        for name in names:
            path = PurePosixPath(name)
            above = [part for part in path.parts[:-1] if part != "."]
            for folder in self._folders.get(path.name, ()):
                if not above or list(folder.parts[-len(above) :]) == above:
                    start = folder.parts[: len(folder.parts) - len(above)]
                    counts[self.root.joinpath(*start)] += 1
        return counts

    def spelt_otherwise(self, name: str) -> str | None:
        """Return an image that differs from ``name`` in upper and lower case only."""
        wanted = PurePosixPath(name).name
        return next((other for other in self._folders if other.casefold() == wanted.casefold()), None)

    def holds(self, name: str) -> bool:
        """Return whether an image of this name, whatever the folders before it, lies anywhere."""
        return PurePosixPath(name).name in self._folders


def image_folder(tree: ImageTree, ann_file: Path, names: Sequence[str], split: str | None, given: Path | None) -> Path:
    """Return the folder that an annotation file's image names start from.

    It holds all of them. Of several, the one whose name speaks of the split counts, then the annotation file's own.

    Args:
        tree: where to look.
        ann_file: the file.
        names: its image names.
        split: train, val or test; None where the file holds them all.
        given: only this folder and those below it count; None: all.

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
    full = [folder for folder, count in counts.items() if count == len(wanted)]
    readings = _narrowed(full or _most(counts), ann_file, split, tree.root)
    if len(readings) > 1:
        first, second, *_ = readings
        raise DataError(
            f"{ann_file}: its images are in {first} and in {second}; say which folder counts, such as "
            f"{images_flag(None)} {parting(first, second)}"
        )
    if not readings:
        raise DataError(f"{ann_file}: {_absent(tree, names, given)}")
    return readings[0]


def images_flag(split: str | None) -> str:
    """Return the option of ``gp_search init`` that names the image folder of a split."""
    return "--images" if split is None else f"--{split}-images"


def _most(counts: Counter[Path]) -> list[Path]:
    """Return the folders that hold the most images: loading then names what they lack."""
    most = max(counts.values(), default=0)
    return [folder for folder, count in counts.items() if count == most]


def _narrowed(folders: list[Path], ann_file: Path, split: str | None, root: Path) -> list[Path]:
    distinct = list({os.path.realpath(folder): folder for folder in sorted(folders, reverse=True)}.values())[::-1]
    if split is not None:
        named = {
            folder: splits_of(folder.relative_to(root)) if folder.is_relative_to(root) else frozenset()
            for folder in distinct
        }
        own = [folder for folder in distinct if split in named[folder]]
        open_ones = [folder for folder in distinct if not named[folder]]
        distinct = own or open_ones or distinct
    beside = [folder for folder in distinct if folder == ann_file.parent]
    return beside or distinct


def _absent(tree: ImageTree, names: Sequence[str], given: Path | None) -> str:
    first = names[0]
    slashed = first.replace("\\", "/")
    where = f"below {given}" if given is not None else f"below {tree.root}"
    got = f"its image {first!r} is in no folder {where}"
    if given is None and tree.holds(slashed):
        return f"{got}, though {PurePosixPath(slashed).name} is; take what stands before it out of 'file_name'"
    if "\\" in first:
        return f"{got} (a backslash reads as a folder's end); put the images there"
    other = tree.spelt_otherwise(slashed)
    if other is not None:
        return f"{got}; {other!r} is: upper and lower case count, write one like the other"
    return f"{got}; put the images there, or name their folder by --images"
