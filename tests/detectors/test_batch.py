from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS, TRANSFORMS

from detkds_gp.detectors import DetectorSpec, ImageInput, build_detector, finds_masks, make_batch, predict
from detkds_gp.detectors.masks import run_lengths
from detkds_gp.errors import DataError

CLASSES = ("red", "white", "plate")
SIZE = 128
BOXES = [[10.0, 20.0, 60.0, 70.0], [30.0, 5.0, 130.0, 50.0], [0.5, 0.25, 3.0, 92.0]]
"""The second reaches beyond the image: it is clipped."""
LABELS = [0, 2, 1]
POLYGONS = [[[10.0, 20.0, 60.0, 22.5, 40.0, 70.0]], [[30, 5, 60, 5, 60, 50], [70, 10, 125, 10, 90, 45.5]]]
"""Of the first two boxes; the third is a run-length code."""


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, np.ndarray]:
    image = np.random.default_rng(3).integers(0, 256, (93, 121, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    assert cv2.imwrite(str(path), image)
    return path, image


def _strip(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[1:92, 1:3] = 1
    mask[40:50, 2:9] = 1
    return mask


def _runs(mask: np.ndarray) -> list[int]:
    """Count along the columns, pixel by pixel."""
    counts, last = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            counts.append(0)
        counts[-1] += 1
        last = pixel
    return counts


def _unrolled(rle: dict) -> np.ndarray:
    """Read a compressed run-length code character by character, as the COCO API documents it."""
    counts, text = [], rle["counts"]
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[position]) - 48
            value |= (code & 31) << shift
            more, position, shift = bool(code & 32), position + 1, shift + 5
        if code & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    pixels = np.concatenate([np.full(count, number % 2, np.uint8) for number, count in enumerate(counts)])
    height, width = rle["size"]
    return pixels.reshape(width, height).T


def _ours(image: np.ndarray) -> ImageInput:
    height, width = image.shape[:2]
    segmentations = [*POLYGONS, {"size": [height, width], "counts": _runs(_strip(height, width))}]
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
        masks=segmentations,
    )


def _mmdets(path: Path, flip: bool, pad: bool, masks: bool = False) -> dict:
    """Run mmdet's own pipeline on the stored image."""
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": masks},
        {"type": "Resize", "scale": (SIZE, SIZE), "keep_ratio": True},
        {"type": "RandomFlip", "prob": float(flip)},
        *([{"type": "Pad", "size": (SIZE, SIZE)}] if pad else []),
        {"type": "PackDetInputs"},
    ]
    height, width = cv2.imread(str(path)).shape[:2]
    drawn = [*POLYGONS, {"size": [height, width], "counts": _runs(_strip(height, width))}]
    instances = [
        {"bbox": box, "bbox_label": label, "ignore_flag": 0, "mask": mask}
        for box, label, mask in zip(BOXES, LABELS, drawn, strict=True)
    ]
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    image = {"img_path": str(path), "img_id": 4, "instances": instances, "height": height, "width": width}
    packed = pipeline(image)
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
    assert "masks" not in ours.gt_instances
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


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("flip", [False, True])
def test_masks_are_those_of_mmdets_pipeline(student, stored, flip: bool):
    path, image = stored
    (ours,) = make_batch([_ours(image)], [flip], masks=True)["data_samples"]
    (theirs,) = _mmdets(path, flip, pad=False, masks=True)["data_samples"]
    height, width = theirs.img_shape
    masks = ours.gt_instances.masks
    assert (masks.height, masks.width) == (SIZE, SIZE)
    assert masks.masks.dtype == np.uint8
    np.testing.assert_array_equal(masks.masks[:, :height, :width], theirs.gt_instances.masks.masks)
    assert masks.masks[:, :height, :width].any(axis=(1, 2)).all()
    assert not masks.masks[:, height:].any()
    assert not masks.masks[:, :, width:].any()


def _as_polygon(mask: np.ndarray) -> list[list[float]]:
    (y1, *_, y2), (x1, *_, x2) = (mask.any(axis=axis).nonzero()[0].tolist() for axis in (1, 0))
    return [[x1, y1, x2 + 1, y1, x2 + 1, y2 + 1, x1, y2 + 1]]


def _as_compressed(mask: np.ndarray) -> dict:
    (rle,) = run_lengths(mask[None])
    return rle


@pytest.mark.parametrize("form", ["polygon", "counts", "compressed"])
@pytest.mark.parametrize("flip", [False, True])
def test_masks_of_every_form_are_resized_padded_and_flipped(form: str, flip: bool):
    full = np.zeros((2, 30, 50), np.uint8)
    full[0, 3:17, 5:40] = 1
    full[1, 0:30, 31:50] = 1
    if form != "polygon":  # rectangles alone are exact as polygons
        full ^= np.random.default_rng(0).integers(0, 2, full.shape, np.uint8)
    shapes = {
        "polygon": _as_polygon,
        "counts": lambda mask: {"size": [30, 50], "counts": _runs(mask)},
        "compressed": _as_compressed,
    }
    boxes, labels = np.array([[5, 3, 40, 17], [31, 0, 50, 30]]), np.array([0, 1])
    array, masks = np.zeros((64, 96, 3), np.uint8), [shapes[form](mask) for mask in full]
    item = ImageInput(array, (51, 85), (1.7, 1.7), (30, 50), boxes, labels, 1, masks)
    (sample,) = make_batch([item], [flip], masks=True)["data_samples"]
    wanted = np.zeros((2, 64, 96), np.uint8)
    for one, mask in zip(wanted, full, strict=True):
        one[:51, :85] = cv2.resize(mask, (85, 51), interpolation=cv2.INTER_NEAREST)
        if flip:
            one[:, :85] = one[:, :85][:, ::-1].copy()
    np.testing.assert_array_equal(sample.gt_instances.masks.masks, wanted)


def test_an_image_without_objects_gives_empty_boxes_and_masks(items):
    sample = make_batch([replace(items[1], masks=())], masks=True)["data_samples"][0].gt_instances
    assert sample.bboxes.shape == (0, 4)
    assert sample.labels.shape == (0,)
    assert sample.masks.masks.shape == (0, SIZE, SIZE)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (None, "image 7: got none masks for 2 boxes, wanted one each .* label masks"),
        ([POLYGONS[0]], "got 1 masks for 2 boxes"),
        ([POLYGONS[0], None], "image 7: the segmentation None cannot be drawn"),
        ([POLYGONS[0], []], r"the segmentation \[\] cannot be drawn"),
        ([POLYGONS[0], [1, 2, 3, 4, 5, 6]], "cannot be drawn"),
        ([POLYGONS[0], {"size": [80, 100]}], "cannot be drawn"),
        ([POLYGONS[0], {"size": [80, 100], "counts": "#"}], "cannot be drawn"),
        ([POLYGONS[0], {"size": [100, 80], "counts": [8000]}], "a mask of 80x100 pixels, the image has 100x80"),
    ],
)
def test_boxes_without_masks_are_named_where_masks_are_wanted(items, masks, message):
    with pytest.raises(DataError, match=message) as caught:
        make_batch([replace(items[0], masks=masks)], masks=True)
    assert "\n" not in str(caught.value)
    assert make_batch([replace(items[0], masks=masks)])  # box detectors never look


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


@pytest.fixture(scope="module", params=["mask_rcnn", "cascade_mask"])
def segmenter(spec, request):
    """A detector of masks that reports whatever it sees."""
    torch.manual_seed(2)
    overrides = {**spec(request.param).overrides, "model.test_cfg.rcnn.score_thr": 0.0}
    return build_detector(replace(spec(request.param), overrides=overrides), CLASSES)


def test_only_detectors_with_a_mask_head_find_masks(student, segmenter):
    assert finds_masks(segmenter)
    assert not finds_masks(student)


def test_predicted_masks_are_run_lengths_of_the_original_image(segmenter, items):
    found = predict(segmenter, make_batch(items))[0]
    assert len(found.masks) == len(found.boxes) > 0
    batch = segmenter.data_preprocessor(make_batch(items), False)
    with torch.no_grad():
        samples = segmenter.eval().predict(batch["inputs"], batch["data_samples"], rescale=True)
    for rle, mask in zip(found.masks, samples[0].pred_instances.masks.numpy(), strict=True):
        assert rle["size"] == [80, 100]
        np.testing.assert_array_equal(_unrolled(rle), mask)
    assert sum(_unrolled(rle).any() for rle in found.masks) > 0
    strict = copy.deepcopy(segmenter)
    strict.roi_head.test_cfg.score_thr = 1.0
    assert [one.masks for one in predict(strict, make_batch(items))] == [(), ()]


def test_predicted_masks_on_a_mirrored_image_are_mirrored_back(segmenter, items):
    turned = items[0].array.copy()
    turned[:102] = items[0].array[:102, ::-1]
    batch = make_batch([replace(items[0], array=turned)], [True])
    (flipped,) = predict(segmenter, batch)
    assert batch["data_samples"][0].flip
    (plain,) = predict(segmenter, make_batch([items[0]]))
    seen = [_unrolled(rle) for rle in plain.masks]
    assert any(not np.array_equal(mask, mask[:, ::-1]) for mask in seen)
    for rle, mask in zip(flipped.masks, seen, strict=True):
        np.testing.assert_array_equal(_unrolled(rle), mask[:, ::-1])


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ("centernet/centernet_r18_8xb16-crop512-140e_coco.py", SIZE),  # asks for the border of its own test pipeline
        ("ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py", 320),  # asks for a loss that it does not have
    ],
)
def test_detectors_predict_whose_mmdet_asks_for_more_than_it_gives(config: str, size: int) -> None:
    torch.manual_seed(0)
    overrides = {"model.backbone.init_cfg": None, "model.test_cfg.score_thr": 0.0}
    detector = build_detector(DetectorSpec(f"mmdet::{config}", overrides), CLASSES, initialise=False)
    array = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    item = ImageInput(array, (size, size), (2.0, 2.0), (size // 2, size // 2), np.zeros((0, 4)), np.zeros(0), 0)
    (found,) = predict(detector, make_batch([item]))
    assert len(found.boxes) > 0
    assert np.isfinite(found.boxes).all()
