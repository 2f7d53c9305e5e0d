"""The three splits of a data set that has other ones, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from detkds_gp.data.folders import splits_of
from detkds_gp.errors import DataError

SPLITS = ("train", "selection", "test")
HELD_OUT = 0.2
"""The share of the images that random splits give to selection, and again to test."""

Roles = dict[str, list[Path]]
"""The files of train, val and test."""


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
    everything = [*train, *held] or sorted(every)
    parts = _dealt(everything, [HELD_OUT, HELD_OUT], rng)
    return "random", dict(zip(SPLITS, parts, strict=True))


def by_folders(files: Iterable[Path], places: Mapping[Path, Sequence[PurePath]]) -> Roles | None:
    """Return the files by the split that the folders of their places speak of; None where one speaks of none.

    Args:
        files: what is to be split.
        places: of each file the relative paths whose folders may speak of its split, the first that does counts.
    """
    roles: Roles = {"train": [], "val": [], "test": []}
    for file in sorted(files):
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
