"""Finds annotations, images and splits in a Pascal VOC folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from detkds_gp.data.deal import Roles, by_folders, three_splits
from detkds_gp.data.folders import images_among, parting
from detkds_gp.errors import DataError


class VocImages:
    """The images below a VOC folder, by name and by stem.

    Segmentation folders do not count: their masks bear the names of images.

    Args:
        src: the VOC folder.
        files: all files below it.
        within: only images below this folder count; None: all.
    """

    def __init__(self, src: Path, files: Iterable[Path], within: Path | None = None) -> None:
        self.ambiguous: dict[Path, list[Path]] = {}
        self._by_key: dict[str, list[Path]] = {}
        for path in images_among(files):
            folders = path.relative_to(src).parts[:-1]
            masks = any(folder.lower().startswith("segmentation") for folder in folders)
            if not masks and (within is None or path.is_relative_to(within)):
                for key in {path.name.lower(), path.stem.lower()}:
                    self._by_key.setdefault(key, []).append(path)

    def image_of(self, xml: Path, filename: str) -> Path | None:
        """Return the image of the stem of ``xml``, else called ``filename``; of several the nearest.

        Where two are as near, the first is returned and all are noted in ``ambiguous``.
        """
        named = Path(filename.replace("\\", "/")).name.lower()
        keys = xml.stem.lower(), named, Path(named).stem
        candidates = next((self._by_key[key] for key in keys if key in self._by_key), [])
        ranks = {path: (path.stem == xml.stem, path.name.lower() == named, _nearness(path, xml)) for path in candidates}
        best = [path for path in candidates if ranks[path] == max(ranks.values())]
        if len(best) > 1:
            self.ambiguous[xml] = best
        return best[0] if best else None

    def check(self) -> None:
        """Refuse annotation files that have two images.

        Raises:
            DataError: there are some.
        """
        if not self.ambiguous:
            return
        xml, (first, second, *_) = next(iter(self.ambiguous.items()))
        more = f" ({len(self.ambiguous)} files are so)" if len(self.ambiguous) > 1 else ""
        one, other = parting(first.parent, second.parent), parting(second.parent, first.parent)
        remedy = f"say which folder counts: --images {one} or --images {other}" if one != other else "take one away"
        raise DataError(f"{xml} fits {first} and {second}{more}; {remedy}")


def voc_splits(
    src: Path, files: Iterable[Path], images: Mapping[Path, Path], seed: int
) -> tuple[str, dict[str, list[Path]]]:
    """Return what decided the splits, and the annotation files of train, selection and test.

    The lists train, val, trainval and test of ``ImageSets/Main`` (or ``ImageSets``) decide; without lists, folders
    called train, val (valid, validation) and test, of the annotations or else of the images; without either all is
    dealt out by ``seed``: see `three_splits`. trainval is what it lists beyond the others. A list whose annotations
    are not here counts as absent.

    Args:
        src: the VOC folder.
        files: all files below it.
        images: the image of every annotation file.
        seed: of what is dealt out.

    Raises:
        DataError: fewer than 3 annotation files, or one that stands in two of train, val and test.
    """
    xmls = sorted(images)
    roles = _listed(src, files, xmls)
    if any(roles.values()):
        return three_splits(roles, xmls, "lists", seed)
    places = {xml: (xml.relative_to(src), images[xml].relative_to(src)) for xml in xmls}
    found = by_folders(xmls, places)
    return three_splits(found or {"train": [], "val": [], "test": []}, xmls, "folders", seed)


def _listed(src: Path, files: Iterable[Path], xmls: Sequence[Path]) -> Roles:
    """Return the annotation files that ImageSets lists as train, val and test."""
    by_stem: dict[str, list[Path]] = {}
    for xml in xmls:
        by_stem.setdefault(xml.stem, []).append(xml)
    lists: dict[str, dict[Path, None]] = {role: {} for role in ("train", "val", "test", "trainval")}
    for path in files:
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


def _entry(line: str, by_stem: Mapping[str, list[Path]], list_file: Path) -> Path | None:
    """Return what a line names (a stem, a file, a stem and a flag), of several the nearest."""
    for name in (line, Path(line).stem, line.split()[0] if line else ""):
        if name in by_stem:
            return max(by_stem[name], key=lambda xml: _nearness(xml, list_file))
    return None


def _nearness(path: Path, other: Path) -> int:
    """Return how many folders from the root the two have in common."""
    depth = 0
    for one, two in zip(path.parts[:-1], other.parts[:-1], strict=False):
        if one != two:
            break
        depth += 1
    return depth
