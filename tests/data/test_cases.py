"""Files as people have them: each is read as its table says, or refused, and scored with one number by everyone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmdet.datasets import CocoDataset

from detkds_gp.data.average_precision import AveragePrecision
from detkds_gp.data.coco import SplitSource, checked, read_splits
from detkds_gp.data.split import CocoSplit, write_normal
from detkds_gp.data.summary import summarize
from detkds_gp.detections import Detections
from detkds_gp.errors import DataError

from .scored import scores

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"train": "train", "selection": "val", "test": "test"}
ROBOFLOW = {"train": "train", "selection": "valid", "test": "test"}
CVAT = {"train": "Train", "selection": "Validation", "test": "Test"}
THIRDS = {"train": (0.0, 0.7), "selection": (0.7, 0.85), "test": (0.85, 1.0)}

READ = {
    "02-roboflow-root-category": {"annotation_ids", "root_category"},
    "03-roboflow-one-class": {"same_name"},
    "04b-iscrowd-null": {"flags"},
    "06-annotation-id-zero": {"annotation_ids"},
    "08-xyxy": {"reaching_out"},
    "09b-exif-square": {"orientation"},
    "11-backslash": {"backslashes"},
    "12-same-names-split-folders": set[str](),
    "13-png16": {"deep", "dark"},
    "22-names-devanagari": set[str](),
    "25-numbers-as-strings": {"numbers"},
    "26b-two-annotators-odd": {"entries"},
    "33-val-other-categories": {"lacking"},
}
"""What is said of the cases that are read."""
REFUSED = {
    "10-wrong-size-in-test": r"test\.json: 1 of 8 images have another size .* test_005\.jpg has 96x64 pixels, the file "
    r"says 64x96, exchanged",
    "15-huge": r"train\.json: 1 of 9 images cannot be read.* huge\.png has 40,000 x 40,000 pixels, and OpenCV reads at "
    r"most 1,073,741,824",
    "31c-empty-val": r"val\.json: got no annotations",
}


def sources(case: str) -> dict[str, SplitSource]:
    folder = ROOT.parent / "shared" / "cases" / case
    if not folder.is_dir():
        pytest.skip(f"the case is not at {folder}")
    if "roboflow" in case:
        return {
            name: SplitSource(folder / own / "_annotations.coco.json", folder / own) for name, own in ROBOFLOW.items()
        }
    if case.startswith("12"):
        files = {name: folder / f"annotations/instances_{own}.json" for name, own in CVAT.items()}
        return {name: SplitSource(path, folder / "images" / CVAT[name]) for name, path in files.items()}
    if case.startswith("26b"):
        return {
            name: SplitSource(folder / "annotations.json", folder / "images", part) for name, part in THIRDS.items()
        }
    stem = "devanagari_{}.json" if case.startswith("22") else "{}.json"
    images = folder if case.startswith("11") else folder / "images"
    return {name: SplitSource(folder / stem.format(own), images) for name, own in NAMES.items()}


@pytest.fixture(params=sorted(READ))
def case(request: pytest.FixtureRequest) -> tuple[str, dict[str, CocoSplit]]:
    return request.param, read_splits(sources(request.param), None)


def test_is_read_and_what_was_found_is_told(case: tuple[str, dict[str, CocoSplit]]) -> None:
    name, splits = case
    summary = summarize(splits)
    assert {finding.kind for _, finding in summary.told()} == READ[name]
    assert not summary.refused
    assert len(summary.lines()) == 3 + len(summary.told())
    for split in splits.values():
        assert checked(split) is split
        assert split.account.learned + split.account.other_part == split.account.total
        assert split.classes == splits["train"].classes


def test_everyone_gives_one_number(case: tuple[str, dict[str, CocoSplit]], tmp_path: Path) -> None:
    for number, split in enumerate(case[1].values()):
        ours, pycocotools, mmdet = scores(split, tmp_path, number)
        assert 0.02 < ours < 0.98
        assert ours == pytest.approx(pycocotools, abs=1e-12)
        assert mmdet == round(ours, 3)


def test_mmdet_learns_what_we_learn_and_perfect_detections_are_perfect(
    case: tuple[str, dict[str, CocoSplit]], tmp_path: Path
) -> None:
    split = case[1]["train"]
    data = CocoDataset(
        ann_file=str(write_normal(split, tmp_path)),
        data_prefix={"img": f"{split.image_dir}/"},
        metainfo={"classes": split.classes},
        pipeline=[],
    )
    rows = [data.get_data_info(index) for index in range(len(data))]
    assert len(rows) == len(split.images)
    for row, record in zip(rows, split.images, strict=True):
        learned = [one for one in row["instances"] if not one["ignore_flag"]]
        assert Path(row["img_path"]) == record.path
        assert (row["img_id"], row["width"], row["height"]) == (record.id, record.width, record.height)
        np.testing.assert_allclose(np.reshape([one["bbox"] for one in learned], (-1, 4)), record.boxes, atol=1e-4)
        assert [one["bbox_label"] for one in learned] == record.labels.tolist()
    perfect = [Detections(r.boxes, np.ones(len(r.boxes), np.float32), r.labels) for r in split.images]
    assert AveragePrecision(split)(perfect) == 1.0


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_is_refused_in_one_line(name: str) -> None:
    given = sources(name)
    with pytest.raises(DataError, match=REFUSED[name]) as caught:
        [checked(split) for split in read_splits(given, None).values()]
    assert "\n" not in str(caught.value)


def test_what_a_root_category_is_called_and_what_boxes_look_like_is_said() -> None:
    lines = "\n".join(summarize(read_splits(sources("02-roboflow-root-category"), None)).lines())
    assert "left out, e.g. category 0 'animals'" in lines
    lines = "\n".join(summarize(read_splits(sources("08-xyxy"), None)).lines())
    assert "30 of 48 boxes reach out of their image: read as x1, y1, x2, y2 all would fit" in lines
    lines = "\n".join(summarize(read_splits(sources("13-png16"), None)).lines())
    assert "nearly black: they use a few of their 16 bits" in lines
    assert "its brightest value is 8 of 255" in lines
    lines = "\n".join(summarize(read_splits(sources("09b-exif-square"), None)).lines())
    assert "12 of 12 images carry an EXIF orientation: they are turned upright" in lines


def test_a_cut_keeps_two_entries_of_one_image_together() -> None:
    splits = read_splits(sources("26b-two-annotators-odd"), None)
    names = {name: {record.path.name for record in split.images} for name, split in splits.items()}
    assert sum(map(len, names.values())) == len(set.union(*names.values())) == 41
    assert sum(len(split.images) for split in splits.values()) == 82


def test_what_one_split_does_not_list_is_read_by_name() -> None:
    splits = read_splits(sources("33-val-other-categories"), None)
    counted = summarize(splits).splits["selection"].by_class
    assert counted == {"cat": 6, "dog": 4, "cow": 0}
