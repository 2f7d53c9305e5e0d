"""Broken installations, made from the real one by leaving out or replacing files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from detkds_gp.environment import EnvironmentFault, check_environment, describe_environment
from detkds_gp.errors import UserError

ROOT = Path(__file__).parents[1]
SITE = Path(sysconfig.get_path("purelib"))
CHECK = """
import sys
sys.path[:0] = sys.argv[1:]
from detkds_gp.environment import EnvironmentFault, check_environment
try:
    check_environment()
except EnvironmentFault as fault:
    print(fault)
"""


def link(source: Path, target: Path, without: tuple[str, ...] = ()) -> Path:
    """Fill ``target`` with links to all of ``source`` whose names do not start so."""
    target.mkdir(exist_ok=True)
    for entry in source.iterdir():
        if not entry.name.startswith(without):
            (target / entry.name).symlink_to(entry)
    return target


def link_packages(site: Path, without: str) -> None:
    """Fill ``site`` with all installed packages but one; cv2's loader follows links: copied."""
    link(SITE, site, without=(without, "cv2"))
    if without != "cv2":
        shutil.copytree(SITE / "cv2", site / "cv2", copy_function=copy_source)


def distribution(site: Path, name: str, version: str) -> None:
    """Say in ``site`` that a distribution is installed."""
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def copy_source(source: str, target: str) -> None:
    if source.endswith(".py"):
        shutil.copy(source, target)
    else:
        Path(target).symlink_to(source)


def verdict(site: Path) -> str:
    """Return what a fresh interpreter says that knows ``site`` in place of its own packages."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CHECK, str(site), str(ROOT)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def mmcv_missing(site: Path) -> None:
    link_packages(site, without="mmcv")


def mmcv_without_operators(site: Path) -> None:
    link_packages(site, without="mmcv-")
    (site / "mmcv").unlink()
    link(SITE / "mmcv", site / "mmcv", without=("_ext",))


def mmcv_of_another_version(site: Path) -> None:
    link_packages(site, without="mmcv-")
    distribution(site, "mmcv", "2.0.1")


def mmcv_too_new(site: Path) -> None:
    link_packages(site, without="mmcv")
    link(SITE / "mmcv", site / "mmcv", without=("version.py", "__pycache__"))
    text = (SITE / "mmcv/version.py").read_text()
    (site / "mmcv/version.py").write_text(text.replace("'2.1.0'", "'2.2.0'"))


def mmcv_for_another_torch(site: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no compiler to make operators with")
    mmcv_without_operators(site)
    source = "int _ZN3c10goneEv(); int PyInit__ext() { return _ZN3c10goneEv(); }"
    compile_ = ["gcc", "-x", "c", "-", "-shared", "-fPIC", "-o", str(site / "mmcv/_ext.so")]
    subprocess.run(compile_, input=source, text=True, check=True)


def mmcv_cut_short(site: Path) -> None:
    mmcv_without_operators(site)
    (site / "mmcv/_ext.so").touch()


def torch_too_old(site: Path) -> None:
    link_packages(site, without="torch-")
    distribution(site, "torch", "2.3.1")


def torch_from_another_index(site: Path) -> None:
    link_packages(site, without="torchvision")
    link(SITE / "torchvision", site / "torchvision", without=("_C",))


def setuptools_82(site: Path) -> None:
    link_packages(site, without="pkg_resources")


def mmdet_missing(site: Path) -> None:
    link_packages(site, without="mmdet")


def broken_opencv(message: str) -> Callable[[Path], None]:
    def make(site: Path) -> None:
        link_packages(site, without="cv2")
        (site / "cv2.py").write_text(f"raise ImportError({message!r})")

    return make


NO_GL = "libGL.so.1: cannot open shared object file: No such file or directory"
OLD_NUMPY = "numpy.core.multiarray failed to import"
LITE = "pip uninstall -y mmcv; pip install --force-reinstall --no-deps mmcv-lite==2.1.0"
FAULTS = [
    (mmcv_missing, "No module named 'mmcv'", LITE),
    (mmcv_of_another_version, "mmcv 2.0.1, mmcv-lite 2.1.0", LITE),
    (mmcv_too_new, "MMCV==2.2.0", LITE),
    (mmcv_for_another_torch, "undefined symbol: _ZN3c10goneEv", LITE),
    (mmcv_cut_short, "_ext.so: file too short", LITE),
    (torch_too_old, "torch 2.3.1", "pip install --upgrade torch torchvision"),
    (torch_from_another_index, "torchvision::nms", "pip install --force-reinstall torch torchvision"),
    (setuptools_82, "pkg_resources", 'pip install "setuptools<82"'),
    (mmdet_missing, "No module named 'mmdet'", "pip install mmdet==3.3.0"),
    (broken_opencv(NO_GL), "libGL.so.1", "--no-deps opencv-python-headless"),
    (broken_opencv(OLD_NUMPY), "multiarray", 'pip install "numpy>=2"'),
]
NAMES = [getattr(make, "__qualname__", "").split(".")[0] + f"-{got[:9]}" for make, got, _ in FAULTS]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "got", "remedy"), FAULTS, ids=NAMES)
def test_a_broken_installation_is_told_in_one_line_with_its_cure(
    make: Callable[[Path], None], got: str, remedy: str, tmp_path: Path
) -> None:
    make(tmp_path)
    said = verdict(tmp_path)
    assert said.count("\n") == 1
    assert said.startswith("got ")
    before, after = said.split(", wanted ")
    assert got in before
    assert after.rstrip().endswith(remedy)


@pytest.mark.slow
def test_a_whole_installation_passes_in_a_fresh_interpreter(tmp_path: Path) -> None:
    link_packages(tmp_path, without="nothing")
    assert verdict(tmp_path) == ""


@pytest.mark.slow
def test_an_mmcv_without_operators_passes_with_torchvisions(tmp_path: Path) -> None:
    mmcv_without_operators(tmp_path)
    assert verdict(tmp_path) == ""


def test_operators_without_cuda_are_refused_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmcv.ops

    check_environment("cpu")
    monkeypatch.setattr(mmcv.ops, "get_compiling_cuda_version", lambda: "13.0")
    check_environment("cuda:0")
    monkeypatch.setattr(mmcv.ops, "get_compiling_cuda_version", lambda: "not available")
    with pytest.raises(EnvironmentFault, match="for the CPU only") as raised:
        check_environment("cuda:0")
    assert isinstance(raised.value, UserError)


@pytest.mark.slow
def test_the_check_says_whose_operators_are_in_use() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "detkds_gp.environment"], capture_output=True, text=True, check=True
    )
    assert done.stdout == describe_environment() + "\n"
    assert done.stdout.endswith((", compiled\n", f"operators of torchvision {version('torchvision')}\n"))
