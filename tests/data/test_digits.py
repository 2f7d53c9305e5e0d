from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from detkds_gp.data.coco import load_split
from detkds_gp.data.digits import _exemplars, make_digits
from detkds_gp.errors import DataError

SPLITS = ("train", "selection", "test")
SMALL = {"train": 5, "selection": 2, "test": 2}


def _bytes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digest = {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}
    return {name: hashlib.sha256(content).hexdigest() for name, content in digest.items()}


def test_every_split_is_a_coco_split_of_ten_digits(digits):
    for name, count in zip(SPLITS, (24, 8, 8), strict=True):
        split = load_split(digits / f"{name}.json", digits / "images")
        assert split.classes == tuple("0123456789")
        assert len(split.images) == count
        assert split.account.not_learned == {}
        assert split.findings == ()
        assert all(2 <= len(record.boxes) <= 7 for record in split.images)
    sides = np.concatenate([r.boxes[:, 3] - r.boxes[:, 1] for r in split.images])
    assert sides.min() < 25 < 45 < sides.max()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_boxes_are_tight_around_the_visible_masks(digits):
    mask_api = pytest.importorskip("pycocotools.mask")
    for record in load_split(digits / "train.json", digits / "images").images:
        decoded = [mask_api.decode(mask_api.frPyObjects(mask, *mask["size"])).astype(bool) for mask in record.masks]
        assert np.sum(decoded, axis=0).max() == 1  # a pixel belongs to one digit at most
        for mask, box, annotation in zip(decoded, record.boxes, record.annotations, strict=True):
            ys, xs = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
            assert box.tolist() == [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]
            assert annotation.area == mask.sum() >= 8


def test_a_second_process_writes_the_same_bytes(tmp_path):
    make_digits(tmp_path / "one", seed=4, **SMALL)
    call = f"make_digits({str(tmp_path / 'two')!r}, seed=4, **{SMALL})"
    code = f"from detkds_gp.data.digits import make_digits; {call}"
    subprocess.run([sys.executable, "-c", code], check=True)
    one = _bytes(tmp_path / "one")
    assert len(one) == 5 + 2 + 2 + 3 + 1
    assert one == _bytes(tmp_path / "two")
    make_digits(tmp_path / "three", seed=5, **SMALL)
    assert not set(one.values()) & set(_bytes(tmp_path / "three").values())


def test_a_larger_set_begins_with_the_smaller_one(tmp_path):
    small = _bytes(make_digits(tmp_path / "small", **SMALL) / "images")
    large = _bytes(make_digits(tmp_path / "large", **(SMALL | {"train": 7})) / "images")
    assert small.items() < large.items()


def test_no_exemplar_is_in_two_splits():
    parts = [{image.tobytes() for image in part.images} for part in _exemplars(seed=0)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1797
    assert [round(len(part) / 1797, 2) for part in parts] == [0.6, 0.2, 0.2]
    assert all(set(part.labels) == set(range(10)) for part in _exemplars(seed=0))


def test_the_same_set_is_left_alone_and_another_refused(tmp_path):
    folder = make_digits(tmp_path / "digits", **SMALL)
    (folder / "images" / "train_00000.jpg").write_bytes(b"mine")
    assert make_digits(folder, **SMALL) == folder
    assert (folder / "images" / "train_00000.jpg").read_bytes() == b"mine"
    with pytest.raises(DataError, match="choose another folder"):
        make_digits(folder, seed=1, **SMALL)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files"):
        make_digits(tmp_path / "full", **SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "full"]


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detkds_gp.data.digits._annotations", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_digits(tmp_path / "digits", **SMALL)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path):
    make_digits(tmp_path, **SMALL)
    assert json.loads((tmp_path / "digits.json").read_text())["train"] == 5


@pytest.mark.parametrize("wrong", [{"train": 0}, {"size": 32}, {"seed": -1}])
def test_numbers_out_of_range(tmp_path, wrong):
    with pytest.raises(DataError, match="wanted 1 scene or more"):
        make_digits(tmp_path / "digits", **wrong)
