from __future__ import annotations

from pathlib import Path

import pytest

from detkds_gp.data.digits import make_digits

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The folder of a real data set: train.json, val.json, test.json, images/."""
    folder = ROOT.parent / "shared" / "data" / "bccd"
    if not folder.is_dir():
        pytest.skip(f"the BCCD data set is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated data set: train.json (24 scenes), selection.json (8), test.json (8), images/."""
    return make_digits(tmp_path_factory.mktemp("data") / "digits", train=24, selection=8, test=8)
