"""mmdet reads a split as we do, from the file that is written of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.datasets import CocoDataset

from detkds_gp.data.coco import data_hash, load_split
from detkds_gp.data.split import CocoSplit, write_normal


def seen_by_mmdet(split: CocoSplit, path: Path) -> dict[str, Any]:
    """Return boxes and labels by image name, as mmdet's own data set gives them."""
    data = CocoDataset(
        ann_file=str(path), data_prefix={"img": f"{split.image_dir}/"}, metainfo={"classes": split.classes}, pipeline=[]
    )
    found = {}
    for index in range(len(data)):
        info = data.get_data_info(index)
        boxes = [one["bbox"] for one in info["instances"] if not one["ignore_flag"]]
        labels = [one["bbox_label"] for one in info["instances"] if not one["ignore_flag"]]
        found[Path(info["img_path"]).name] = (np.array(boxes).reshape(-1, 4), labels)
    return found


def assert_same(split: CocoSplit, path: Path) -> None:
    found = seen_by_mmdet(split, path)
    assert set(found) == {record.path.name for record in split.images}
    for record in split.images:
        boxes, labels = found[record.path.name]
        np.testing.assert_allclose(boxes, record.boxes, atol=1e-3)
        assert labels == record.labels.tolist()


def test_what_is_written_is_read_as_the_same_split_without_a_word(digits: Path, tmp_path: Path) -> None:
    split = load_split(digits / "train.json", digits / "images", part=(0.2, 0.9))
    again = load_split(write_normal(split, tmp_path), digits / "images")
    assert data_hash(again) == data_hash(split)
    assert again.findings == ()
    assert write_normal(again, tmp_path).read_bytes() == write_normal(split, tmp_path).read_bytes()


@pytest.mark.parametrize(
    ("classes", "part"),
    [(("7", "1", "0"), (0.0, 1.0)), (None, (0.0, 0.3)), (tuple("9876543210"), (0.5, 1.0))],
    ids=["some, in another order", "a part", "both"],
)
def test_classes_in_another_order_and_parts_are_written(
    classes: tuple[str, ...] | None, part: tuple[float, float], digits: Path, tmp_path: Path
) -> None:
    split = load_split(digits / "train.json", digits / "images", classes, part=part)
    path = write_normal(split, tmp_path)
    assert path.parent == tmp_path.resolve()
    assert_same(split, path)
    assert write_normal(split, tmp_path) == path
    assert len(list(tmp_path.iterdir())) == 1


def test_what_mmdet_needs_is_filled_in(digits: Path, tmp_path: Path) -> None:
    raw = json.loads((digits / "train.json").read_text())
    for row in raw["annotations"]:
        for key in ("id", "area", "iscrowd"):
            row.pop(key, None)
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(raw))
    split = load_split(bare, digits / "images")
    assert_same(split, write_normal(split, tmp_path / "out"))
