from __future__ import annotations

import json
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.data.coco import data_hash, load_split
from detkds_gp.data.split import part_of
from detkds_gp.errors import DataError


def _images(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "file_name": f"{number:06d}.jpg"} for number in range(count)]


def _names(images: list[dict[str, Any]]) -> list[str]:
    return [image["file_name"] for image in images]


PARTS = [((0, 1), 500), ((0, 0.2), 100), ((0.3, 0.8), 250), ((0, 0.0001), 1), ((0, 0.999), 500), ((0.98, 1), 10)]


@pytest.mark.parametrize(("part", "count"), PARTS)
def test_takes_as_many_as_asked_for_in_their_order(part: tuple[float, float], count: int) -> None:
    chosen = _names(part_of(_images(500), part))
    assert len(chosen) == count
    assert chosen == sorted(chosen)


def test_order_and_ids_do_not_matter_and_more_holds_less() -> None:
    images = _images(300)
    chosen = set(_names(part_of(images, (0, 0.2))))
    shuffled = [{**image, "id": 7 * image["id"] + 3} for image in random.Random(1).sample(images, len(images))]
    assert set(_names(part_of(shuffled, (0, 0.2)))) == chosen
    assert chosen < set(_names(part_of(images, (0, 0.3))))


def test_parts_that_only_touch_share_nothing_and_together_are_the_whole() -> None:
    images = _images(301)
    parts = [_names(part_of(images, part)) for part in ((0, 0.2), (0.2, 0.98), (0.98, 1))]
    assert sorted(name for part in parts for name in part) == _names(images)


def test_another_process_takes_the_same() -> None:
    code = (
        "from detkds_gp.data.split import part_of;"
        "print([i['id'] for i in part_of([{'id': n, 'file_name': f'{n:06d}.jpg'} for n in range(90)], (0, 0.1))])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(said) == [image["id"] for image in part_of(_images(90), (0, 0.1))]


def test_the_choice_is_no_stride_and_no_beginning() -> None:
    chosen = [image["id"] for image in part_of(_images(1000), (0, 0.2))]
    steps = {b - a for a, b in pairwise(chosen)}
    assert len(steps) > 5
    assert 60 < sum(number < 500 for number in chosen) < 140


@pytest.mark.parametrize("part", [(0, 0), (-0.1, 1), (0, 1.1), (0.5, 0.4), (0, float("nan"))])
def test_a_part_out_of_range_is_refused(part: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="wanted two shares, 0 <= low < high <= 1"):
        part_of(_images(3), part)


def test_a_split_is_what_a_file_of_these_images_gives(digits: Path, tmp_path: Path) -> None:
    part = load_split(digits / "train.json", digits / "images", part=(0, 0.25))
    assert len(part.images) == 6
    coco = json.loads((digits / "train.json").read_text())
    ids = {record.id for record in part.images}
    coco["images"] = [image for image in coco["images"] if image["id"] in ids]
    coco["annotations"] = [row for row in coco["annotations"] if row["image_id"] in ids]
    (tmp_path / "part.json").write_text(json.dumps(coco))
    whole = load_split(tmp_path / "part.json", digits / "images")
    assert data_hash(part) == data_hash(whole)
    assert data_hash(part) != data_hash(load_split(digits / "train.json", digits / "images"))


def test_images_that_are_not_taken_need_not_be_there(digits: Path, tmp_path: Path) -> None:
    part = load_split(digits / "train.json", digits / "images", part=(0, 0.25))
    (tmp_path / "images").mkdir()
    for record in part.images:
        (tmp_path / "images" / record.path.name).write_bytes(record.path.read_bytes())
    again = load_split(digits / "train.json", tmp_path / "images", part=(0, 0.25))
    assert data_hash(again) == data_hash(part)
    with pytest.raises(DataError, match="18 of 24 images are missing"):
        load_split(digits / "train.json", tmp_path / "images")


def test_a_part_without_objects_is_named(digits: Path, tmp_path: Path) -> None:
    coco = json.loads((digits / "train.json").read_text())
    (chosen,) = part_of(coco["images"], (0, 0.01))
    coco["annotations"] = [row for row in coco["annotations"] if row["image_id"] != chosen["id"]]
    (tmp_path / "part.json").write_text(json.dumps(coco))
    with pytest.raises(DataError, match="got 0 annotations .* take a larger part"):
        load_split(tmp_path / "part.json", digits / "images", part=(0, 0.01))
