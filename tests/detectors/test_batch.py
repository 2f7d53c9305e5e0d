from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS, TRANSFORMS

from detkds_gp.detectors import ImageInput, build_detector, make_batch, predict

CLASSES = ("red", "white", "plate")
SIZE = 128
BOXES = [[10.0, 20.0, 60.0, 70.0], [30.0, 5.0, 130.0, 50.0], [0.5, 0.25, 3.0, 92.0]]
"""The second reaches beyond the image: it is clipped."""
LABELS = [0, 2, 1]


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, np.ndarray]:
    image = np.random.default_rng(3).integers(0, 256, (93, 121, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    assert cv2.imwrite(str(path), image)
    return path, image


def _ours(image: np.ndarray) -> ImageInput:
    height, width = image.shape[:2]
    small = mmcv.imrescale(image, (SIZE, SIZE))
    array = np.zeros((SIZE, SIZE, 3), np.uint8)
    array[: small.shape[0], : small.shape[1]] = small
    return ImageInput(
        array=array,
        resized=small.shape[:2],
        scale=(small.shape[1] / width, small.shape[0] / height),
        original=(height, width),
        boxes=np.array(BOXES),
        labels=np.array(LABELS),
        image_id=4,
    )


def _mmdets(path: Path, flip: bool, pad: bool) -> dict:
    """Run mmdet's own pipeline on the stored image."""
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "Resize", "scale": (SIZE, SIZE), "keep_ratio": True},
        {"type": "RandomFlip", "prob": float(flip)},
        *([{"type": "Pad", "size": (SIZE, SIZE)}] if pad else []),
        {"type": "PackDetInputs"},
    ]
    instances = [{"bbox": box, "bbox_label": label, "ignore_flag": 0} for box, label in zip(BOXES, LABELS, strict=True)]
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    packed = pipeline({"img_path": str(path), "img_id": 4, "instances": instances})
    return {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}


@pytest.mark.parametrize("flip", [False, True])
def test_pixels_boxes_and_metainfo_are_those_of_mmdets_pipeline(student, stored, flip: bool):
    path, image = stored
    ours, theirs = make_batch([_ours(image)], [flip]), _mmdets(path, flip, pad=True)
    if not flip:
        assert torch.equal(ours["inputs"][0], theirs["inputs"][0])
    preprocessor = MODELS.build(
        {
            "type": "DetDataPreprocessor",
            "mean": [9, 8, 7],
            "std": [3, 4, 5],
            "pad_size_divisor": 128,
        }
    )
    unpadded = _mmdets(path, flip, pad=False)
    sizes = unpadded["inputs"][0].shape[1:]
    assert torch.equal(ours["inputs"][0][:, : sizes[0], : sizes[1]], unpadded["inputs"][0])
    assert not ours["inputs"][0][:, sizes[0] :].any()
    ours, theirs = preprocessor(ours), preprocessor(unpadded)
    (ours,), (theirs,) = ours["data_samples"], theirs["data_samples"]
    assert torch.equal(ours.gt_instances.bboxes, theirs.gt_instances.bboxes)
    assert torch.equal(ours.gt_instances.labels, theirs.gt_instances.labels)
    meta = {key: theirs.get(key) for key in theirs.metainfo_keys() if key != "img_path"}
    assert {key: ours.get(key) for key in ours.metainfo_keys()} == meta


def test_a_flip_moves_the_boxes_with_their_pixels():
    array = np.zeros((8, 16, 3), np.uint8)
    array[2:5, 1:4] = 200
    item = ImageInput(array, (8, 10), (1.0, 1.0), (8, 10), np.array([[1, 2, 4, 5]]), np.array([0]), 1)
    batch = make_batch([item], [True])
    x1, y1, x2, y2 = batch["data_samples"][0].gt_instances.bboxes[0].int().tolist()
    pixels = batch["inputs"][0]
    assert (pixels[:, y1:y2, x1:x2] == 200).all()
    assert (pixels == 200).sum() == 3 * 9
    assert (array[:, 10:] == 0).all()
    assert not pixels[:, :, 10:].any()


def test_an_image_without_objects_gives_empty_boxes(items):
    sample = make_batch(items)["data_samples"][1].gt_instances
    assert sample.bboxes.shape == (0, 4)
    assert sample.labels.shape == (0,)


def test_a_count_of_flips_that_does_not_fit_is_refused(items):
    with pytest.raises(ValueError, match="argument"):
        make_batch(items, [True])


@pytest.fixture(scope="module")
def eager(spec):
    """A detector that reports whatever it sees."""
    torch.manual_seed(2)
    overrides = {**spec("student").overrides, "model.test_cfg.score_thr": 0.0}
    return build_detector(replace(spec("student"), overrides=overrides), CLASSES)


def test_predictions_are_in_original_pixels_and_leave_no_trace(eager, items):
    batch = make_batch(items)
    eager.neck.eval()
    flags = [module.training for module in eager.modules()]
    state = {key: value.clone() for key, value in eager.state_dict().items()}
    found = predict(eager, batch)
    assert [module.training for module in eager.modules()] == flags
    assert all(torch.equal(value, state[key]) for key, value in eager.state_dict().items())
    assert batch["inputs"][0].dtype == torch.uint8
    assert "pred_instances" not in batch["data_samples"][0]
    assert len(found) == 2
    for one in found:
        boxes, scores, labels = one.boxes, one.scores, one.labels
        assert one.masks is None
        assert len(boxes) == len(scores) == len(labels) > 0
        assert boxes[:, 2].max() > 90
        assert boxes[:, 3].max() > 70
        assert (boxes >= 0).all()
        assert (boxes[:, 0::2] <= 100 + 1e-3).all()
        assert (boxes[:, 1::2] <= 80 + 1e-3).all()
        assert ((scores >= 0) & (scores <= 1)).all()
        assert set(labels) <= {0, 1, 2}


def test_predictions_on_a_mirrored_image_are_mirrored_back(eager, items):
    item = items[0]
    turned = item.array.copy()
    turned[:102] = item.array[:102, ::-1]
    (flipped,) = predict(eager, make_batch([replace(item, array=turned)], [True]))
    (plain,) = predict(eager, make_batch([item]))
    x1, y1, x2, y2 = plain.boxes.T
    np.testing.assert_allclose(flipped.boxes, np.stack([100 - x2, y1, 100 - x1, y2], axis=1), atol=1e-3)
    np.testing.assert_array_equal(flipped.scores, plain.scores)
