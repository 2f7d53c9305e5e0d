import os
import tempfile
from pathlib import Path

import pytest

from detkds_gp.score import Score, Trial
from detkds_gp.store import Store


def fill(work_dir: Path) -> Path:
    """Make a store of 50 scores, 1000 characters each, and return its file."""
    with Store.open(work_dir) as store:
        for seed in range(50):
            store.record_score(Trial("none", 100, seed), Score(0.5, detail="x" * 1000))
    return work_dir / "store.sqlite"


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The file of a store of 50 scores, in ``tmp_path``."""
    return fill(tmp_path)


@pytest.fixture
def read_only_dir():
    """A work directory that this process may only read; root gives up its rights meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name))
        for file in Path(name).iterdir():
            file.chmod(0o444)
        Path(name).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield Path(name)
        os.seteuid(user)
        Path(name).chmod(0o755)
