"""Files below a data set's folder, and the splits that their names speak of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

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
        if not path.name.isascii() or not path.parent.as_posix().isascii():
            _check_text(path)
    return sorted((path for path in found if os.path.isfile(path)), key=lambda path: path.parts)


def _check_text(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError(f"{os.fsencode(path)!r} has a name that is not UTF-8; rename it, or unpack it anew") from None


def images_among(files: Iterable[Path]) -> list[Path]:
    """Return the files that are images by their suffix."""
    return [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]


def parting(one: Path, other: Path) -> Path:
    """Return the folder on the way to ``one`` at which it leaves the way to ``other``.

    >>> parting(Path("a/visible/train"), Path("a/infrared/train")).as_posix()
    'a/visible'
    """
    depth = 0
    for left, right in zip(one.parts, other.parts, strict=False):
        depth += 1
        if left != right:
            break
    return Path(*one.parts[:depth])


def words_of(name: str) -> list[str]:
    """Return the words of a file's name, lower case: runs of letters, cut where a capital follows a small one.

    >>> words_of("instances_Train2017"), words_of("trainSet"), words_of("devanagari_val")
    (['instances', 'train'], ['train', 'set'], ['devanagari', 'val'])
    """
    return [word.lower() for word in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))]


def splits_named(words: Iterable[str]) -> frozenset[str]:
    """Return which of train, val and test the words speak of."""
    return frozenset().union(*(ROLES.get(word, frozenset()) for word in words))


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
        if named := splits_named(words):
            return named
    return frozenset()


def shared_words(names: Sequence[str]) -> list[str]:
    """Return the words that all names begin with and all end with; none of a single name."""
    if len(names) < 2:
        return []
    every = [words_of(name) for name in names]
    start = _shared(every)
    end = _shared([words[len(start) :][::-1] for words in every])
    return [*start, *end]


def _shared(every: Sequence[Sequence[str]]) -> list[str]:
    shared = []
    for column in zip(*every, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return shared
