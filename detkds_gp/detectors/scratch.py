"""Overrides of a backbone that starts from scratch: nothing of it is loaded, frozen or kept in eval mode."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmdet.registry import MODELS


def from_scratch(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides for the arguments that a backbone takes, by dotted keys.

    Args:
        backbone: its config, whose type is registered.
    """
    known = _defaults(MODELS.get(str(backbone.get("type"))))
    found: dict[str, Any] = {"init_cfg": None}
    if "frozen_stages" in known:  # -1 freezes nothing of most, 0 of EfficientNet: it is each one's default
        found["frozen_stages"] = known["frozen_stages"]
    if "norm_eval" in known:
        found["norm_eval"] = False
    if backbone.get("pretrained"):
        found["pretrained"] = False if backbone["pretrained"] is True else None
    if (backbone.get("norm_cfg") or {}).get("eps") == 0:  # NAS-FCOS': good for frozen statistics alone
        found["norm_cfg.eps"] = 1e-5
    return {f"model.backbone.{key}": value for key, value in found.items()}


def _defaults(kind: Any) -> dict[str, Any]:
    """Return the arguments that a class takes and their defaults, those of its bases too where it passes them on."""
    found: dict[str, Any] = {}
    for one in inspect.getmro(kind) if inspect.isclass(kind) else ():
        own = vars(one).get("__init__")
        if own is not None:
            parameters = inspect.signature(own).parameters
            found = {name: parameter.default for name, parameter in parameters.items()} | found
            if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return found
