"""The script that recorded `recorded.npz` with a compiled mmcv: python -m tests.operators.record."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("recorded.npz")


def record() -> None:
    """Write what every case and family gives, and with which versions; in an environment with a compiled mmcv."""
    import mmcv._ext

    if mmcv._ext.__spec__.origin.endswith(".py"):
        sys.exit("got no compiled mmcv, wanted one to record; see docs/setup.md")
    from tests.operators.cases import CASES
    from tests.operators.families import FAMILIES, one_step

    outcomes = {name: case() for name, case in CASES.items()} | {name: one_step(name) for name in FAMILIES}
    arrays = {f"{name}/{part}": value.numpy() for name, found in outcomes.items() for part, value in found.items()}
    versions = [f"{name} {version(name)}" for name in ("mmcv", "mmdet", "torch", "numpy")]
    np.savez_compressed(FILE, versions=np.array(versions), **arrays)
    print(f"{len(outcomes)} cases, {FILE.stat().st_size / 1024:.0f} KiB: {', '.join(versions)}")


def recorded() -> dict[str, dict[str, np.ndarray]]:
    """Return what was recorded: arrays by their names within a case, by case."""
    cases: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FILE) as file:
        for key in file.files:
            case, _, part = key.partition("/")
            cases.setdefault(case, {})[part] = file[key]
    return cases


if __name__ == "__main__":
    record()
