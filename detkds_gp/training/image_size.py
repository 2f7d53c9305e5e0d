"""The image size of a full training: what resizes, crops, pads or pastes images in a config's pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from mmengine.config import Config

from detkds_gp.errors import ConfigError

RESIZES = ("Resize", "RandomResize", "RandomChoiceResize", "FixScaleResize")
CANVASES = {
    "Mosaic": "img_scale",
    "CachedMosaic": "img_scale",
    "MixUp": "img_scale",
    "CachedMixUp": "img_scale",
    "RandomCrop": "crop_size",
    "RandomCenterCropPad": "crop_size",
    "Pad": "size",
}
"""By steps that make an image of a fixed size: the key of its (width, height)."""
OF_A_RANGE = "absolute_range"
"""A crop whose sides are drawn between two numbers of pixels."""

Size = tuple[int, int]


def set_image_size(config: Config, size: Size) -> None:
    """Resize to one (height, width) wherever a pipeline resizes; one with crops or a canvas (mosaics) is scaled whole.

    Raises:
        ConfigError: a loader's pipeline has no step of a known type that resizes, crops or pads.
    """
    wanted = (size[1], size[0])
    for name in LOADERS:
        if config.get(name) and not any(map(_sizes, chain.from_iterable(_pipelines([config[name]])))):
            got = f"no step in the {name} of the student's config resizes, crops or pads images to a size"
            remedy = f"give one a Resize in full_training.options: {name}.dataset.pipeline=[...]"
            raise ConfigError(f"{got}, wanted one of {', '.join((*RESIZES, *CANVASES))} to set to {size}; {remedy}")
    for pipeline in _pipelines([config.get(name) for name in LOADERS] + [config.get("custom_hooks")]):
        canvas, largest = _canvas(pipeline), _largest(pipeline)
        for step in pipeline:
            if canvas is not None:
                _scale(step, canvas, wanted)
            elif largest is not None:
                _scale_edges(step, largest, wanted)
            elif _type(step) in RESIZES:
                _resize(step, wanted)


LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def _pipelines(part: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the pipelines of data sets, of what mixes their images, and of hooks that switch to another one."""
    for key, child in part.items() if isinstance(part, dict) else enumerate(part if isinstance(part, list) else ()):
        if key in ("pipeline", "switch_pipeline") and isinstance(child, (list, tuple)):
            yield list(_steps(child))
        else:
            yield from _pipelines(child)


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of a pipeline, after each those that it chooses from; Albu's are another library's."""
    if isinstance(part, dict):
        yield part
        if _type(part) != "Albu":
            yield from _steps(part.get("transforms"))
    elif isinstance(part, (list, tuple)):
        for step in part:
            yield from _steps(step)


def _type(step: dict[str, Any]) -> str:
    """Return the name of a step's type, which may come with its scope or its module."""
    return str(step.get("type")).rpartition(".")[2]


def _sizes(step: dict[str, Any]) -> bool:
    return _type(step) in RESIZES or step.get(CANVASES.get(_type(step), "")) is not None


def _canvas(pipeline: list[dict[str, Any]]) -> Size | None:
    """Return the (width, height) of the images that a pipeline makes, where its steps fix it."""
    for step in reversed(pipeline):
        size = step.get(CANVASES.get(_type(step), ""))
        if size is not None and step.get("crop_type") != OF_A_RANGE and all(isinstance(side, int) for side in size):
            return size[0], size[1]
    return None


def _largest(pipeline: list[dict[str, Any]]) -> Size | None:
    """Return the (short, long) edges of the largest images of a pipeline that crops sides of a range, as a DETR's."""
    resizes = [edges for step in pipeline if (edges := _edges(step))]
    crops = any(step.get("crop_type") == OF_A_RANGE for step in pipeline)
    return max(resizes[-1]) if crops and resizes else None


def _edges(step: dict[str, Any]) -> list[Size]:
    """Return the (short, long) edges of all sizes that a step resizes to; none where it names no size."""
    sizes = step.get("scales", step.get("scale")) if _type(step) in RESIZES else None
    if sizes is None:
        return []
    return [(min(size), max(size)) for size in ([sizes] if isinstance(sizes[0], int) else sizes)]


def _scale_edges(step: dict[str, Any], largest: Size, wanted: Size) -> None:
    """Scale the edges that a step names as the largest images are scaled; a crop's are both short ones."""
    ends = min(wanted), max(wanted)
    if edges := _edges(step):
        key, scaled = "scales" if "scales" in step else "scale", [_scaled(size, largest, ends) for size in edges]
        step[key] = scaled[0] if isinstance(step[key][0], int) else scaled
    if step.get("crop_type") == OF_A_RANGE:
        step["crop_size"] = tuple(int(side * ends[0] / largest[0]) for side in step["crop_size"])


def _resize(step: dict[str, Any], wanted: Size) -> None:
    """Make a step resize to one size, keeping the ratio."""
    for key in [key for key in step if key != "_scope_"]:
        del step[key]
    step.update(type="Resize", scale=wanted, keep_ratio=True)


def _scale(step: dict[str, Any], canvas: Size, wanted: Size) -> None:
    """Scale the sizes that a step names as the canvas is scaled."""
    for key in ("img_scale", "crop_size", "size", "scale", "scales", "border"):
        if step.get(key) is not None and step.get("crop_type", "absolute").startswith("absolute"):
            step[key] = _scaled(step[key], canvas, wanted)


def _scaled(value: Any, canvas: Size, wanted: Size) -> Any:
    """Scale a (width, height), or each of several."""
    if not all(isinstance(side, int) for side in value):
        return type(value)(_scaled(one, canvas, wanted) for one in value)
    sides = zip(value, wanted, canvas, strict=True)
    return type(value)(int(side * new / old) for side, new, old in sides)
