"""Finds annotations, images and splits in a Pascal VOC folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from detkds_gp.errors import DataError

SPLITS = ("train", "selection", "test")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
ROLES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
HELD_OUT = 0.2  # share of the images that random splits give to selection, and again to test


def find_annotations(src: Path) -> list[Path]:
    """Return all XML files below ``src``, sorted."""
    return [path for path in _files(src) if path.suffix.lower() == ".xml"]


def find_images(src: Path) -> dict[str, list[Path]]:
    """Return the images below ``src`` by name and by stem, lower case.

    Segmentation folders do not count: their masks bear the names of images.
    """
    images: dict[str, list[Path]] = {}
    for path in _files(src):
        folders = path.relative_to(src).parts[:-1]
        masks = any(folder.lower().startswith("segmentation") for folder in folders)
        if path.suffix.lower() in IMAGE_SUFFIXES and not masks:
            for key in (path.name.lower(), path.stem.lower()):
                images.setdefault(key, []).append(path)
    return images


def image_of(xml: Path, filename: str, images: dict[str, list[Path]]) -> Path | None:
    """Return the image of the stem of ``xml``, else called ``filename``; of several the nearest."""
    named = Path(filename.replace("\\", "/")).name.lower()
    keys = xml.stem.lower(), named, Path(named).stem
    candidates = next((images[key] for key in keys if key in images), [])

    def rank(path: Path) -> tuple[bool, bool, int]:
        return path.stem == xml.stem, path.name.lower() == named, _shared_folders(path, xml)

    return max(candidates, key=rank, default=None)


def voc_splits(src: Path, xmls: Sequence[Path], seed: int) -> tuple[str, dict[str, list[Path]]]:
    """Return what decided the splits, and the annotation files of train, selection and test.

    The lists train, val, trainval and test of ``ImageSets/Main`` (or ``ImageSets``) decide; without
    lists, folders called train, val (valid, validation) and test; without either all is dealt out
    60 : 20 : 20 by ``seed``.

    Train, val and test become train, selection and test; trainval is what it lists beyond these.
    Where one of the three is absent, the last of the others becomes test, and the first is dealt
    out 75 : 25 to train and selection, so that what selects never reports. One alone is dealt out
    60 : 20 : 20. A list whose annotations are not here counts as absent.

    Raises:
        DataError: fewer than 3 annotation files, or one that stands in two of train, val and test.
    """
    origin, roles = "lists", _listed(src, xmls)
    if not any(roles.values()):
        origin, roles = "folders", _foldered(src, xmls)
    train, val, test = roles["train"], roles["val"], roles["test"]
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
    everything = [*train, *held] or sorted(xmls)
    parts = _dealt(everything, [HELD_OUT, HELD_OUT], rng)
    return "random", dict(zip(SPLITS, parts, strict=True))


def _dealt(xmls: Sequence[Path], shares: list[float], rng: np.random.Generator) -> list[list[Path]]:
    """Split at random into what is left and one part, of 1 file or more, for each share."""
    counts = [max(1, round(share * len(xmls))) for share in shares]
    rest = len(xmls) - sum(counts)
    if rest < 1:
        wanted = len(counts) + 1
        raise DataError(f"got {len(xmls)} images to split, wanted {wanted} at least; add images")
    order = rng.permutation(len(xmls))
    parts = np.split(order, np.cumsum([rest, *counts])[:-1])
    return [[xmls[i] for i in sorted(part)] for part in parts]


def _listed(src: Path, xmls: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the annotation files that ImageSets lists as train, val and test."""
    by_stem: dict[str, list[Path]] = {}
    for xml in sorted(xmls):
        by_stem.setdefault(xml.stem, []).append(xml)
    lists: dict[str, dict[Path, None]] = {role: {} for role in ("train", "val", "test", "trainval")}
    for path in _files(src):
        folders = [part.lower() for part in path.relative_to(src).parts[:-1]]
        in_place = folders[-2:] == ["imagesets", "main"] or folders[-1:] == ["imagesets"]
        if in_place and path.suffix.lower() == ".txt" and path.stem.lower() in lists:
            lines = path.read_text(errors="replace").splitlines()
            found = (_entry(line.strip(), by_stem, path) for line in lines)
            lists[path.stem.lower()].update(dict.fromkeys(xml for xml in found if xml))
    held = {**lists["val"], **lists["test"]}
    rest = dict.fromkeys(xml for xml in lists["trainval"] if xml not in held)
    train = sorted({**lists["train"], **rest})
    return {"train": train, "val": sorted(lists["val"]), "test": sorted(lists["test"])}


def _entry(line: str, by_stem: dict[str, list[Path]], list_file: Path) -> Path | None:
    """Return what a line names (a stem, a file, a stem and a flag), of several the nearest."""
    for name in (line, Path(line).stem, line.split()[0] if line else ""):
        if name in by_stem:
            return max(by_stem[name], key=lambda xml: _shared_folders(xml, list_file))
    return None


def _foldered(src: Path, xmls: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the annotation files below folders train, val and test, if all are below one."""
    roles: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
    for xml in sorted(xmls):
        folders = [part.lower() for part in xml.relative_to(src).parts[:-1]]
        role = next((ROLES[folder] for folder in folders if folder in ROLES), None)
        if role is None:
            return {role: [] for role in roles}
        roles[role].append(xml)
    return roles


def _files(src: Path) -> list[Path]:
    """Return all files below ``src``, sorted; hidden ones (``._*`` of macOS) do not count."""

    def hidden(path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(src).parts)

    return [path for path in sorted(src.rglob("*")) if not hidden(path) and path.is_file()]


def _shared_folders(path: Path, other: Path) -> int:
    """Return how many folders from the root the two have in common."""
    depth = 0
    for one, two in zip(path.parts[:-1], other.parts[:-1], strict=False):
        if one != two:
            break
        depth += 1
    return depth
