"""Which operators Python finds under mmcv's name, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from detkds_gp import operators

ROOT = Path(operators.__file__).parents[2]
STARTUP = "import detkds_gp.operators; detkds_gp.operators.serve_operators()\n"
SHOW = "from importlib.util import find_spec; print(find_spec('mmcv._ext').origin)"
OURS = str(Path(operators.__file__).with_name("extension.py"))
ACTIVE = "from detkds_gp.operators import active_operators; print(active_operators())"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make a folder of packages with an mmcv 2.1.0 of its own, which has no operators, and a torchvision 0.99."""
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv/__init__.py").touch()
    for name, version in (("mmcv_lite", "2.1.0"), ("torchvision", "0.99")):
        metadata = tmp_path / f"{name}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return tmp_path


def said(site: Path, code: str, *, served: bool = True) -> str:
    """Return what a fresh interpreter prints, whose packages are those of ``site`` before all others."""
    start = f"import sys; sys.path[:0] = [{str(site)!r}, {str(ROOT)!r}]\n"
    serve = "from detkds_gp.operators import serve_operators; serve_operators(); serve_operators()\n" if served else ""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", start + serve + code], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_ours_are_found_where_there_are_none(site: Path) -> None:
    assert said(site, SHOW).strip() == OURS
    assert said(site, ACTIVE).strip() == "mmcv 2.1.0, operators of torchvision 0.99"


def test_compiled_ones_are_found_first_and_used_as_they_are(site: Path) -> None:
    (site / "mmcv/_ext.py").touch()
    metadata = site / "mmcv-2.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mmcv\nVersion: 2.1.0\n")
    assert said(site, SHOW).strip() == str(site / "mmcv/_ext.py")
    assert said(site, ACTIVE).strip() == "mmcv 2.1.0, compiled"


def test_broken_compiled_ones_are_not_replaced_in_silence(site: Path) -> None:
    (site / "mmcv/_ext.py").write_text("raise ImportError('undefined symbol')")
    assert said(site, "import mmcv._ext").strip().endswith("ImportError: undefined symbol")


def test_an_installation_serves_them_to_any_program(site: Path) -> None:
    (site / "detkds_gp_operators.pth").write_text(STARTUP)
    start = f"import site; site.addsitedir({str(site)!r})\n"  # as Python does with an environment's own packages
    assert said(site, start + SHOW, served=False).strip() == OURS


def test_serving_imports_neither_torch_nor_mmcv(site: Path) -> None:
    heavy = "print(sorted({'torch', 'torchvision', 'mmcv', 'numpy', 'pathlib'} & set(sys.modules)))"
    start = "import sys; before = set(sys.modules)\n"
    code = start + f"sys.path[:0] = [{str(ROOT)!r}]\nimport detkds_gp.operators as o; o.serve_operators()\n"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code + heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
