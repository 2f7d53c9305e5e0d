"""Files below a data set's folder, and their splits: those that names speak of, and the three that become of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePath

import numpy as np

from detkds_gp.errors import DataError

CONVERSION = "conversion.txt"
"""Marks a folder that a conversion wrote; it is no part of the data set around it."""
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
ROLES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("train", "training", "trainset"), frozenset({"train"})),
    **dict.fromkeys(("val", "valid", "validation", "dev", "selection", "minival", "valset"), frozenset({"val"})),
    **dict.fromkeys(("test", "testing", "testset"), frozenset({"test"})),
    "trainval": frozenset({"train", "val"}),
}
"""The splits that a word in a name speaks of."""
SPLITS = ("train", "selection", "test")
HELD_OUT = 0.2
"""The share of the images that random splits give to selection, and again to test."""

Roles = dict[str, list[Path]]
"""The files of train, val and test."""


def files_below(root: Path) -> list[Path]:
    """Return all files below a folder, sorted.

    Links to folders are entered, each folder once; hidden files and folders (``._*`` of macOS), and what a conversion
    wrote, do not count.

    Raises:
        DataError: a name that is no text, which neither a config nor an annotation file can hold.
    """
    found: list[Path] = []
    entered: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        here = Path(folder)
        real = os.path.realpath(here)
        if real in entered or (here != root and CONVERSION in files):
            folders.clear()
            continue
        entered.add(real)
        # Links come last, so that a folder is known by its own name where it stands beside a link to it.
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=lambda f: ((here / f).is_symlink(), f))
        found += [here / name for name in files if not name.startswith(".")]
    for path in found:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            name = os.fsencode(path)
            raise DataError(f"{name!r} has a name that is not UTF-8; rename it, or unpack it anew") from None
    return sorted((path for path in found if os.path.isfile(path)), key=lambda path: path.parts)


def name_below(path: Path, root: Path) -> str:
    """Return the name of a path in a folder; of one that lies elsewhere, the whole path."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def images_among(files: Iterable[Path]) -> list[Path]:
    """Return the files that are images by their suffix."""
    return [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]


def parting(one: Path, other: Path) -> Path:
    """Return the folder on the way to ``one`` at which it leaves the way to ``other``.

    >>> parting(Path("a/visible/train"), Path("a/infrared/train")).as_posix()
    'a/visible'
    """
    depth = len(shared_start(one.parts, other.parts)) + 1
    return Path(*one.parts[: min(depth, len(other.parts))])


def shared_start(*every: Sequence[str]) -> list[str]:
    """Return what sequences begin with alike."""
    return [one for one, *_ in takewhile(lambda column: len(set(column)) == 1, zip(*every, strict=False))]


def nearness(path: Path, other: Path) -> int:
    """Return how many folders from the root two files have in common."""
    return len(shared_start(path.parent.parts, other.parent.parts))


def words_of(name: str) -> list[str]:
    """Return the words of a file's name, lower case: runs of letters, cut where a capital follows a small one.

    >>> words_of("instances_Train2017"), words_of("trainSet"), words_of("devanagari_val")
    (['instances', 'train'], ['train', 'set'], ['devanagari', 'val'])
    """
    return [word.lower() for word in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))]


def splits_of(path: PurePath, ignored: Sequence[str] = ()) -> frozenset[str]:
    """Return the splits that a relative path speaks of: its last part that names any decides.

    Args:
        path: relative to the data set's folder, whose own name says nothing.
        ignored: words of the last part that say nothing, because its neighbours have them too.
    """
    for depth, part in enumerate(reversed(path.parts)):
        words = words_of(part)
        if depth == 0:
            for word in ignored:
                if word in words:
                    words.remove(word)
        if named := frozenset[str]().union(*(ROLES.get(word, ()) for word in words)):
            return named
    return frozenset()


def shared_words(names: Sequence[str]) -> list[str]:
    """Return the words that all names begin with and all end with; none of a single name."""
    if len(names) < 2:
        return []
    every = [words_of(name) for name in names]
    start = shared_start(*every)
    return start + shared_start(*(words[len(start) :][::-1] for words in every))


def three_splits(
    roles: Mapping[str, Sequence[Path]], every: Sequence[Path], origin: str, seed: int
) -> tuple[str, dict[str, list[Path]]]:
    """Return what decided the splits, and the files of train, selection and test.

    Train, val and test become train, selection and test. Where one of the three is absent, the last of the others
    becomes test, and the first is dealt out 75 : 25 to train and selection, so that what selects never reports. One
    alone, or none, is dealt out 60 : 20 : 20.

    Args:
        roles: the files of train, val and test.
        every: all files.
        origin: what decided the roles.
        seed: of what is dealt out.

    Raises:
        DataError: fewer than 3 files, or one that stands in two of train, val and test.
    """
    train, val, test = (list(roles[name]) for name in ("train", "val", "test"))
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        both = sorted(set(roles[first]) & set(roles[second]))
        if both:
            raise DataError(
                f"got {both[0]} in both {first} and {second} ({len(both)} files are), "
                "wanted separate splits; mend the lists"
            )
    if train and val and test:
        return origin, {"train": train, "selection": val, "test": test}
    rng = np.random.default_rng(seed)
    held = test or val
    pool = train or (val if test else [])
    if pool and held:
        train, selection = _dealt(pool, [HELD_OUT / (1 - HELD_OUT)], rng)
        return origin, {"train": train, "selection": selection, "test": held}
    parts = _dealt([*train, *held] or sorted(every), [HELD_OUT, HELD_OUT], rng)
    return "random", dict(zip(SPLITS, parts, strict=True))


def by_folders(places: Mapping[Path, Sequence[PurePath]]) -> Roles | None:
    """Return files by the split that the folders of their places speak of; None where one speaks of none.

    Of each file the relative paths are given whose folders may speak of its split; the first that does counts.
    """
    roles: Roles = {"train": [], "val": [], "test": []}
    for file in sorted(places):
        named = next((named for place in places[file] if len(named := splits_of(place.parent)) == 1), None)
        if named is None:
            return None
        roles[next(iter(named))].append(file)
    return roles


def _dealt(files: Sequence[Path], shares: list[float], rng: np.random.Generator) -> list[list[Path]]:
    """Split at random into what is left and one part, of 1 file or more, for each share."""
    counts = [max(1, round(share * len(files))) for share in shares]
    rest = len(files) - sum(counts)
    if rest < 1:
        wanted = len(counts) + 1
        raise DataError(f"got {len(files)} images to split, wanted {wanted} at least; add images")
    order = rng.permutation(len(files))
    parts = np.split(order, np.cumsum([rest, *counts])[:-1])
    return [[files[i] for i in sorted(part)] for part in parts]
