"""A summary of a data set: what each split holds, what is learned and what is not, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detkds_gp.data.findings import Finding, Tally
from detkds_gp.data.image_contents import count_equal_images, look_at_pixels
from detkds_gp.data.split import CocoSplit

QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}
CLASSES = 8
"""How many classes a line names."""
REASONS = {
    "crowd": "crowds",
    "ignored": "ignored in the file",
    "thin": "thinner than 1 pixel",
    "no_area": "without width or height",
    "outside": "outside their image",
    "other_class": "of no class",
}


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds.

    Attributes:
        ann_file: its annotation file.
        images: how many.
        background: how many of them have no object to learn; they are trained on all the same.
        annotations: on these images.
        learned: how many of them are trained on.
        not_learned: how many are not, by reason; together with ``learned`` they are all.
        by_class: objects to learn by class, of every class.
        object_sizes: quantiles of the square root of width * height of the objects to learn, in pixels.
        image_widths: quantiles, in pixels.
        image_heights: likewise.
        findings: what was mended and what looks wrong.
    """

    ann_file: str
    images: int
    background: int
    annotations: int
    learned: int
    not_learned: dict[str, int]
    by_class: dict[str, int]
    object_sizes: dict[str, float]
    image_widths: dict[str, float]
    image_heights: dict[str, float]
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        """Say it in one line."""
        named = sorted(self.by_class.items(), key=lambda item: -item[1])[:CLASSES]
        classes = ", ".join(f"{name} {count:,}" for name, count in named)
        more = f", and {len(self.by_class) - CLASSES} classes more" if len(self.by_class) > CLASSES else ""
        left = ", ".join(f"{count:,} {REASONS[reason]}" for reason, count in self.not_learned.items())
        size = f"{self.image_widths['median']:g}x{self.image_heights['median']:g}"
        objects = f"{self.learned:,} of {self.annotations:,} objects are learned ({classes}{more})"
        background = f" ({self.background:,} without an object to learn)" if self.background else ""
        return f"{self.images:,} images{background}, the median {size} pixels; {objects}" + (
            f"; not learned: {left}" if left else ""
        )


@dataclass(frozen=True)
class DataSummary:
    """What a data set holds.

    Attributes:
        classes: names in the order of the labels.
        splits: by name.
        findings: what concerns more than one split.
    """

    classes: tuple[str, ...]
    splits: dict[str, SplitSummary]
    findings: tuple[Finding, ...]

    def told(self) -> list[tuple[str, Finding]]:
        """Return all findings with the names of their splits; of one that several splits have, one."""
        merged: dict[tuple[str, str], tuple[list[str], Finding]] = {}
        for name, split in self.splits.items():
            for finding in split.findings:
                merged.setdefault((finding.kind, finding.text), ([], finding))[0].append(name)
        return [*((", ".join(names), finding) for names, finding in merged.values()), *(("", f) for f in self.findings)]

    @property
    def refused(self) -> bool:
        """Whether a search would refuse the data set."""
        return any(finding.level == "refused" for _, finding in self.told())

    def lines(self) -> list[str]:
        """Say it in a line a split and one a finding."""
        heads = [f"{name}: {split}" for name, split in self.splits.items()]
        return [*heads, *(f"{f.level}{f' in {names}' if names else ''}: {f}" for names, f in self.told())]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``lines`` are the whole in words."""
        splits = {
            name: {**asdict(split), "findings": [finding.to_json() for finding in split.findings]}
            for name, split in self.splits.items()
        }
        across = [finding.to_json() for finding in self.findings]
        return {"classes": list(self.classes), "splits": splits, "findings": across, "lines": self.lines()}


def summarize(splits: Mapping[str, CocoSplit]) -> DataSummary:
    """Summarize the splits of a data set, train first, read with one order of classes; look at some images' pixels."""
    told = {name: _summary(split) for name, split in splits.items()}
    first, tally = next(iter(told)), Tally()
    for name, count in told[first].by_class.items():
        if not count:
            have = [f"{told[other].by_class[name]} in {other}" for other in told if told[other].by_class.get(name)]
            tally.add("empty_classes", f"{name!r}" + (f" ({', '.join(have)})" if have else ""))
    count_equal_images(splits, tally)
    return DataSummary(splits[first].classes, told, tally.findings())


def _summary(split: CocoSplit) -> SplitSummary:
    boxes = np.concatenate([record.boxes for record in split.images])
    labels = Counter(np.concatenate([record.labels for record in split.images]).tolist())
    tally = Tally()
    looked = look_at_pixels(split, tally)
    account = split.account
    return SplitSummary(
        ann_file=str(split.ann_file),
        images=len(split.images),
        background=sum(not len(record.labels) for record in split.images),
        annotations=account.total - account.other_part,
        learned=account.learned,
        not_learned=account.not_learned,
        by_class={name: labels[label] for label, name in enumerate(split.classes)},
        object_sizes=_quantiles(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))),
        image_widths=_quantiles([record.width for record in split.images]),
        image_heights=_quantiles([record.height for record in split.images]),
        findings=(*split.findings, *tally.findings(looked)),
    )


def _quantiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Return the quantiles by name, to a tenth; nothing of nothing."""
    if not len(values):
        return {}
    return dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values())).round(1).tolist(), strict=True))
