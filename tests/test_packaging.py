"""What is installed, from a wheel and from the checkout, and what the pins cover."""

from __future__ import annotations

import configparser
import doctest
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import detkds_gp
import detkds_gp.primitives

ROOT = Path(__file__).parents[1]
PARTS = ("detkds_gp", "primitives", "configs")
IMPORT = """
import importlib.resources
import detkds_gp.primitives
print(detkds_gp.__file__)
print(detkds_gp.primitives.__file__)
print(importlib.resources.files("detkds_gp.configs") / "quickstart.py")
"""


def places(cwd: Path, *path: Path) -> list[Path]:
    """Return where an interpreter outside the checkout finds engine, primitives and a config."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    shown = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in shown.splitlines()]


def sources() -> list[Path]:
    """Return the Python files that belong to the distribution, relative to the root."""
    return sorted(
        path.relative_to(ROOT)
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def carried_as(source: Path) -> str:
    """Return a source's place in the wheel."""
    inside = source if source.parts[0] == "detkds_gp" else "detkds_gp" / source
    return inside.as_posix()


def module_names() -> Iterator[str]:
    for package in (detkds_gp, detkds_gp.primitives):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.startswith("detkds_gp.configs"):
                yield module.name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "detkds_gp_operators.pth", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(copy / "dist"), str(copy)], check=True)
    return next((copy / "dist").glob("detkds_gp-*.whl"))


def test_the_checkout_is_importable_from_anywhere(tmp_path: Path) -> None:
    engine, primitives, config = places(tmp_path)
    assert engine == ROOT / "detkds_gp/__init__.py"
    assert primitives == ROOT / "primitives/__init__.py"
    assert config == ROOT / "configs/quickstart.py"
    assert config.is_file()


@pytest.mark.slow
def test_a_wheel_carries_every_source_and_the_primitives_guide(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {carried_as(source) for source in sources()} <= names
    assert "detkds_gp/primitives/README.md" in names
    for package in ("report", "export"):
        folder = f"detkds_gp/{package}/templates"
        templates = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir()}
        assert templates
        assert templates <= names
    operators = "detkds_gp_operators.pth"
    assert {name.split("/")[0] for name in names} == {"detkds_gp", "detkds_gp-0.1.0.dist-info", operators}


@pytest.mark.slow
def test_an_installed_wheel_needs_no_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True)
    engine, primitives, config = places(tmp_path, site)
    assert engine == site / "detkds_gp/__init__.py"
    assert primitives == site / "detkds_gp/primitives/__init__.py"
    assert config.read_text() == (ROOT / "configs/quickstart.py").read_text()
    served = "import detkds_gp.operators; detkds_gp.operators.serve_operators()\n"
    assert (site / "detkds_gp_operators.pth").read_text() == served
    script = (site / "bin/gp_search").read_text()
    assert "from detkds_gp.cli.app import main" in script


@pytest.mark.parametrize("name", sorted(module_names()))
def test_a_module_imports_and_its_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def dependencies() -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    asked = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    return [Requirement(line) for line in "\n".join(asked).split()]


def pins(name: str) -> dict[str, str]:
    """Return the versions of a constraints file by distribution."""
    lines = (ROOT / name).read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pinned}


def test_every_dependency_is_pinned_inside_its_range() -> None:
    versions = pins("constraints.txt")
    for requirement in dependencies():
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_oldest_set_is_the_lower_end_of_every_range() -> None:
    lowest = {
        canonicalize_name(requirement.name): specifier.version
        for requirement in dependencies()
        for specifier in requirement.specifier
        if specifier.operator in (">=", "==")
    }
    assert pins("constraints-oldest.txt") == lowest
