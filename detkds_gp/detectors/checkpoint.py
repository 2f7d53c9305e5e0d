"""Reads and writes weights without ever running code from a file."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from mmengine.utils import digit_version
from torch import nn

from detkds_gp.atomic import atomic_tensors
from detkds_gp.errors import DetectorError, listed

from .weight_names import beginning_with, renamed, unnamed_classes

SHOWN_FAULTS = 4
FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"

LOGGED = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",  # of HistoryBuffer's methods
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",  # numpy 2
    "numpy._core.multiarray.scalar",
)
"""What mmengine's training checkpoints hold besides tensors and plain types: logged losses."""


def load_weights(detector: BaseDetector, path: str | Path, classes: Sequence[str] | None) -> None:
    """Load a checkpoint of mmengine, a ``{"state_dict": ...}`` or a bare state dict.

    What other tools write before the names (``module.``, ``model.``, ``architecture.``, ``ema_``) is taken away.

    Args:
        detector: takes the weights; unusable after an error.
        path: the file; it is read with ``weights_only``, so it cannot run code.
        classes: the detector's class names; those the checkpoint names must be the same, in the same order. None:
            whatever the checkpoint names.

    Raises:
        DetectorError: the file is missing, unreadable or holds other objects than weights, its classes differ, its
            keys or shapes are not the detector's, or it holds several such detectors.
    """
    content = _read(Path(path))
    found = None if classes is None else _classes_of(content.get("meta"))
    if classes is not None and found is not None and found != tuple(classes):
        raise DetectorError(
            f"checkpoint {path} was trained on the classes {listed(found)}, "
            f"wanted {listed(classes)} in this order; give a checkpoint of these classes"
        )
    own = detector.state_dict()
    state = renamed(content["state_dict"], own.keys(), path)
    faults = _load(detector, state)
    if faults:
        more = f" and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        remedy = unnamed_classes(state, own, len(classes)) if classes is not None and found is None else None
        raise DetectorError(
            f"checkpoint {path} does not fit the detector: {', '.join(faults[:SHOWN_FAULTS])}{more}; "
            f"{remedy or 'give the config and overrides it was trained with'}"
        )


def checkpoint_classes(path: str | Path) -> tuple[str, ...] | None:
    """Return the class names that a checkpoint was trained on, or None if it does not say.

    Raises:
        DetectorError: the file is missing, unreadable or holds other objects than weights.
    """
    return _classes_of(_read(Path(path)).get("meta"))


def save_weights(state: Mapping[str, torch.Tensor], path: str | Path, classes: Sequence[str] | None) -> None:
    """Write weights that plain mmdet (``init_detector``) and ``load_weights`` load.

    The file holds plain types only, ``{"state_dict", "meta": {"dataset_meta": {"classes": ...}}}``, without the
    classes where they are None; it appears whole or not at all, and equal weights give equal bytes. Missing folders
    are made.

    Raises:
        StoreError: the file cannot be written.
    """
    path = Path(path)
    weights = {key: value.detach().cpu().clone() for key, value in state.items()}
    content = {"state_dict": weights, "meta": {} if classes is None else {"dataset_meta": {"classes": tuple(classes)}}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_tensors(path, "the weights") as file:
        torch.save(content, file)


def rewrite_weights(
    source: Path, target: Path, *, prefix: str = "", classes: Sequence[str] | None = None, trusted: bool = False
) -> None:
    """Write a checkpoint's weights and class names alone, as ``save_weights`` does.

    Args:
        source: a checkpoint as ``load_weights`` reads it.
        target: what is written, whole or not at all.
        prefix: write only the weights whose names begin so, without it.
        classes: names to write in place of the checkpoint's, in its order; None: those that it has.
        trusted: unpickle all that the file holds, which RUNS WHATEVER CODE ITS AUTHOR PUT THERE.

    Raises:
        DetectorError: the target exists; the source is missing, unreadable or holds no weights (of this prefix), or
            more than weights though it is not trusted; it names another number of classes.
    """
    if target.exists():
        raise DetectorError(f"{target} exists, and nothing is overwritten; name another file")
    content = _read(source, trusted)
    found = _classes_of(content.get("meta"))
    if classes is not None and found is not None and len(found) != len(classes):
        raise DetectorError(
            f"got {len(classes)} classes, but checkpoint {source} has {len(found)}, {listed(found)}; name each"
        )
    save_weights(beginning_with(prefix, content["state_dict"], source), target, classes or found)


@contextmanager
def weights_only() -> Iterator[None]:
    """Let torch read nothing but weights within, wherever mmengine reads a pretrained backbone from."""
    before = os.environ.get(FORCE_WEIGHTS_ONLY)
    os.environ[FORCE_WEIGHTS_ONLY] = "1"
    try:
        with _skipping():
            yield
    finally:
        os.environ.pop(FORCE_WEIGHTS_ONLY)
        if before is not None:
            os.environ[FORCE_WEIGHTS_ONLY] = before


def _read(path: Path, trusted: bool = False) -> dict[str, Any]:
    """Return the file's content; its ``state_dict`` is one."""
    if not path.is_file():
        raise DetectorError(f"got checkpoint {str(path)!r}, but there is no such file")
    try:
        with nullcontext() if trusted else _skipping():
            content = torch.load(path, map_location="cpu", weights_only=not trusted)
    except Exception as error:
        raise DetectorError(f"checkpoint {path} {_refusal(path, error)}") from error
    if isinstance(content, Mapping) and "state_dict" not in content:
        content = {"state_dict": content}
    state = content["state_dict"] if isinstance(content, Mapping) else None
    weights = state.values() if isinstance(state, Mapping) else ()
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights):
        raise DetectorError(f"checkpoint {path} holds no weights, wanted a state dict or {{'state_dict': ...}}")
    return dict(content)


class _Skipped:
    """Stands in for an object of a checkpoint that is no weight: takes anything, does nothing."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _skipping() -> AbstractContextManager[Any]:
    """Let mmengine's training checkpoints be read without making one of the objects they log."""
    if digit_version(torch.__version__) < digit_version("2.6"):  # cannot rename: refuses the file
        return nullcontext()
    return torch.serialization.safe_globals([(_Skipped, name) for name in LOGGED])


def _refusal(path: Path, error: Exception) -> str:
    """Say in words why a file was not opened."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and found:
        got = f"holds more than weights ({found[1]}), wanted weights alone, so it is not opened"
        return f"{got}; if you trust its author: gp_search weights {path} --trust -o NEW.pth"
    return f"cannot be read ({type(error).__name__}); it is no torch file, or cut off"


def _classes_of(meta: Any) -> tuple[str, ...] | None:
    """Return the class names of a checkpoint's ``meta``, which mmdet 2 and 3 write differently."""
    dataset = meta.get("dataset_meta", meta) if isinstance(meta, Mapping) else None
    found = dataset.get("classes", dataset.get("CLASSES")) if isinstance(dataset, Mapping) else None
    if found is None:
        return None
    return (found,) if isinstance(found, str) else tuple(found)


def _load(detector: nn.Module, state: Mapping[str, torch.Tensor]) -> list[str]:
    """Load the weights and return what does not fit, in words."""
    try:
        result = detector.load_state_dict(state, strict=False)
    except RuntimeError as error:
        return [line.strip().rstrip(".") for line in str(error).splitlines()[1:]]
    return [f"no weights for {key}" for key in result.missing_keys] + [
        f"unexpected {key}" for key in result.unexpected_keys
    ]
