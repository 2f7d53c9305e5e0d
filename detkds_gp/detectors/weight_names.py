"""Names of weights: what other tools write before them, and the classes that their shapes tell of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from torch import Tensor

from detkds_gp.errors import DetectorError

State = Mapping[str, Tensor]

EMA = "ema_"
COCO_CLASSES = 80


def renamed(state: State, own: Collection[str], path: str | Path) -> State:
    """Return a checkpoint's weights under the detector's own names.

    Taken away are averages beside the weights (``ema_backbone_conv1_weight`` of mmcv 1, which has swapped the two:
    the plain names hold the averages), and any beginning after which exactly the detector's names are left, such as
    ``module.``, ``model.``, ``architecture.`` or ``ema_``.

    Args:
        state: the checkpoint's weights.
        own: the names of the detector's weights.
        path: the checkpoint, for messages.

    Raises:
        DetectorError: after several beginnings exactly the detector's names are left.
    """
    own = set(own)
    if own <= state.keys():
        averages = {name for name in state.keys() - own if name.startswith(EMA)}
        return {name: value for name, value in state.items() if name not in averages}
    found = {prefix: rest for prefix in _prefixes(state, own) if (rest := _after(prefix, state)).keys() == own}
    if len(found) > 1:
        first = next(iter(found))
        raise DetectorError(
            f"checkpoint {path} holds several such detectors ({', '.join(found)}); write one of them alone: "
            f"gp_search weights {path} --prefix {first} -o NEW.pth"
        )
    if found:
        return next(iter(found.values()))
    flat = {EMA + name.replace(".", "_"): name for name in own}
    if flat.keys() == state.keys():
        return {flat[name]: value for name, value in state.items()}
    shared = [prefix for prefix in _prefixes(state, own) if all(name.startswith(prefix) for name in state)]
    return _after(shared[0], state) if shared else state


def beginning_with(prefix: str, state: State, path: Path) -> State:
    """Return the weights whose names begin with a prefix, without it; raises DetectorError if there are none."""
    found = _after(prefix, state)
    if not found:
        known = sorted({name.split(".")[0] + "." for name in state})
        raise DetectorError(
            f"checkpoint {path} has no names that begin with {prefix!r}; they begin with {', '.join(known)}"
        )
    return found


def unnamed_classes(state: State, own: State, classes: int) -> str | None:
    """Return the remedy for a checkpoint without class names whose head has another number of classes than ours.

    None where something else does not fit. Both states have the detector's names.
    """
    if state.keys() != own.keys():
        return None
    pairs = [(state[name].shape, own[name].shape) for name in own if state[name].shape != own[name].shape]
    if not pairs or any(theirs[1:] != ours[1:] for theirs, ours in pairs):
        return None
    counts = set.intersection(*(set(_counts(theirs[0], ours[0], classes)) for theirs, ours in pairs))
    if len(counts) != 1:
        return None
    count = counts.pop()
    coco = " (COCO's are mmdet.datasets.CocoDataset.METAINFO['classes'])" if count == COCO_CLASSES else ""
    return (
        f"it was trained on {count} classes, whose names it does not hold, and the detector has {classes}: for a "
        f"teacher set teacher.classes to the {count} names in their order{coco}"
    )


def _prefixes(state: State, own: Collection[str]) -> list[str]:
    """Return what stands before one of the detector's names in the checkpoint, in its order."""
    name = min(own)
    return list(dict.fromkeys(key[: -len(name)] for key in state if key != name and key.endswith(name)))


def _after(prefix: str, state: State) -> State:
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}


def _counts(theirs: int, ours: int, classes: int) -> Iterator[int]:
    """Yield how many classes a layer of so many rows may have been made for: with and without one for background."""
    for background in (0, 1):
        if ours % (classes + background) == 0 and theirs % (ours // (classes + background)) == 0:
            yield theirs // (ours // (classes + background)) - background
