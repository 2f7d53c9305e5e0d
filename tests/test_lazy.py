"""Packages that give their names lazily give what type checkers see, whatever is imported first."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import detkds_gp

ROOT = Path(detkds_gp.__file__).parent
PACKAGES = sorted(
    ".".join(("detkds_gp", *path.parent.relative_to(ROOT).parts))
    for path in ROOT.rglob("__init__.py")
    if "import_lazily(__name__)" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("package", [*PACKAGES, "detkds_gp.primitives"])
def test_every_name_of_a_package_can_be_imported(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018
    with pytest.raises(ImportError, match="nothing"):
        exec(f"from {package} import nothing")


def test_the_packages_are_found():
    assert {"detkds_gp.language", "detkds_gp.run", "detkds_gp.config"} <= set(PACKAGES)


@pytest.mark.parametrize(
    "first",
    [
        "import detkds_gp.language.canonical",
        "from detkds_gp.language import canonical",
        "from detkds_gp.language.canonical import _Term",
    ],
)
def test_a_function_is_not_hidden_by_the_module_of_its_name(first):
    code = f"{first}; import detkds_gp.language as l, types; assert isinstance(l.canonical, types.FunctionType)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_differ_from_all_are_refused(tmp_path, monkeypatch):
    (tmp_path / "uneven").mkdir()
    (tmp_path / "uneven" / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nfrom detkds_gp.lazy import import_lazily\n"
        "if TYPE_CHECKING:\n    from uneven.one import a, b\n__all__ = ['a', 'c']\nimport_lazily(__name__)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match="differ in b, c"):
        importlib.import_module("uneven")
