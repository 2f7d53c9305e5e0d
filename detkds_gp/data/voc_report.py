"""What a conversion of a Pascal VOC folder kept, mended and left out."""

from __future__ import annotations

from dataclasses import dataclass

from detkds_gp.data.conversion import few, split_by


@dataclass(frozen=True)
class VocReport:
    """What a conversion kept, mended and left out.

    Attributes:
        classes: names, sorted; the labels of all three files.
        images: written images of each split.
        boxes: written boxes of each split.
        origin: what decided the splits: ``lists``, ``folders`` or ``random``.
        difficult: boxes marked ``ignore`` because VOC calls them difficult.
        clipped: boxes that reached out of the image, cut at its edge.
        swapped: boxes whose corners were exchanged, mended.
        dropped: objects without a name or four numbers, of no width or height, or wholly outside.
        scaled: annotation files of images that were resized since, their boxes scaled by the ratio.
        wrong_sizes: annotation files that state another size than their image has, which their boxes fit.
        example: the first of ``scaled``, else of ``wrong_sizes``, with its sizes.
        folders: annotation files of each folder, by its path in the data set.
        unlisted: annotation files that no list names; left out.
        encodings: how many files are not UTF-8, by encoding.
        detected: the encoding that no file declares, told from the bytes, or empty.
        left_out: annotation files that could not be used, each with the reason.
    """

    classes: tuple[str, ...]
    images: dict[str, int]
    boxes: dict[str, int]
    origin: str
    difficult: int
    clipped: int
    swapped: int
    dropped: int
    scaled: int
    wrong_sizes: int
    example: str
    folders: dict[str, int]
    unlisted: int
    encodings: dict[str, int]
    detected: str
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a few lines, naming the files that were left out."""
        splits = ", ".join(f"{n} {split} images ({self.boxes[split]} boxes)" for split, n in self.images.items())
        mended = f"{self.clipped} clipped, {self.swapped} with swapped corners mended"
        return "\n".join(
            [
                f"classes {', '.join(self.classes)}; {splits}; {split_by(self.origin)}",
                f"boxes: {self.dropped} dropped, {mended}, {self.difficult} difficult",
                *self._said(),
            ]
        )

    def _said(self) -> list[str]:
        """Return the lines on what is not as it should be."""
        encodings = ", ".join(f"{count} in {name}" for name, count in self.encodings.items())
        told = f" ({self.detected} is not declared but told from their bytes: check the class names)"
        kept_example = "" if self.scaled else f" ({self.example})"
        folders = [f"{name} ({count})" for name, count in self.folders.items()]
        lines = [
            (
                len(folders) > 1,
                f"annotations of {len(folders)} folders are taken together: {few(folders)}; give one of them, or the "
                "one above it, if they do not belong together",
            ),
            (
                self.scaled,
                f"{self.scaled} images have another size than their XML states ({self.example}): "
                "boxes scaled by the ratio",
            ),
            (
                self.wrong_sizes,
                f"{self.wrong_sizes} XML files state a size that is not their image's{kept_example}, "
                "but their boxes fit it: read as they are",
            ),
            (len(encodings), f"files that are not UTF-8: {encodings}{told if self.detected else ''}"),
            (self.unlisted, f"left out, named by no list: {self.unlisted}"),
            (len(self.left_out), f"{len(self.left_out)} files left out: {few(self.left_out)}"),
        ]
        return [line for count, line in lines if count]
