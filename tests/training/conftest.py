from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.config import load_config
from detkds_gp.detectors import Pair, build_detector, check_pair, make_batch
from detkds_gp.fitness import SplitImages
from detkds_gp.setup.prepare import load_data
from detkds_gp.training import seed_all

Builder = Callable[[], Any]


@pytest.fixture(scope="session")
def images(tiny_config: Path) -> SplitImages:
    return SplitImages(load_data(load_config(tiny_config).data)["train"], (64, 64), 1 << 20)


@pytest.fixture(scope="session")
def student(tiny_config: Path, images: SplitImages) -> Builder:
    """Give a copy of the one initial student: 4 channels at its root, 8 in its neck."""
    seed_all(0)
    built = build_detector(load_config(tiny_config).student.spec(), images.split.classes)
    return lambda: copy.deepcopy(built)


@pytest.fixture(scope="session")
def teacher(tiny_config: Path, images: SplitImages) -> Builder:
    """Give a copy of the one teacher: 8 channels at its root, 16 in its neck."""
    seed_all(1)
    built = build_detector(load_config(tiny_config).teacher.spec(), images.split.classes)
    return lambda: copy.deepcopy(built)


@pytest.fixture(scope="session")
def pair(student: Builder, teacher: Builder) -> Pair:
    return check_pair(student(), teacher(), (64, 64))


@pytest.fixture
def batch(images: SplitImages) -> dict[str, Any]:
    return make_batch([images[i] for i in range(4)], [False, True, False, True])
