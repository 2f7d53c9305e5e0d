"""Every tiny config, prepared once: the pair, its grammar and a shortly trained teacher."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.config import load_config
from detkds_gp.fitness import ProxyTraining
from detkds_gp.listener import Listener
from detkds_gp.setup.prepare import gather, prepare

TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny"
FAMILIES = (
    "retinanet", "fcos", "atss", "gfl", "reppoints", "tood", "vfnet", "yolox", "rtmdet",
    "faster_rcnn", "cascade_rcnn", "mask_rcnn", "cascade_mask_rcnn",
)  # fmt: skip
QUERIES = ("detr", "dino", "sparse_rcnn")
UNLIKE = ("gfl_to_retinanet", "cascade_mask_to_faster", "retinanet34_to_fcos18")
OF_PREDICTIONS = ("dino_to_retinanet", "dino_to_rtmdet", "faster_rcnn_to_fcos", "cascade_mask_to_fcos")
"""Pairs of unlike kinds, which share their maps and matched predictions."""


@pytest.fixture(scope="session")
def proxy_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ProxyTraining]:
    """Prepare a tiny config with every knowledge of OMNI, its teacher trained for one step."""
    folder, made = tmp_path_factory.mktemp("pairs"), dict[str, ProxyTraining]()

    def make(name: str, **options: Any) -> ProxyTraining:
        key = f"{name} {options}"
        if key not in made:
            work_dir = Path(tempfile.mkdtemp(dir=folder))
            fixed = {
                "data.digits.root": str(folder / "digits"),
                "cache_dir": str(folder / "cache"),
                "primitive_set": "detkds_gp.primitives:OMNI",
                "teacher.train.iterations": 1,
            }
            config = load_config(TINY / f"{name}.py", fixed | options)
            proxy = ProxyTraining(prepare(config, gather(config), work_dir, Listener()))
            assert proxy.prepare_teacher().ok
            made[key] = proxy
        return made[key]

    return make
