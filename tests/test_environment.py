"""Broken installations, made from the real one by leaving out or replacing files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from detkds_gp.environment import EnvironmentFault, check_environment
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
    link_packages(site, without="mmcv")
    link(SITE / "mmcv", site / "mmcv", without=("_ext",))


def mmcv_lite(site: Path) -> None:
    link_packages(site, without="mmcv")
    link(SITE / "mmcv", site / "mmcv", without=("_ext", "ops"))
    metadata = site / "mmcv_lite-2.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mmcv-lite\nVersion: 2.1.0\n")


def mmcv_too_new(site: Path) -> None:
    link_packages(site, without="mmcv")
    link(SITE / "mmcv", site / "mmcv", without=("version.py", "__pycache__"))
    text = (SITE / "mmcv/version.py").read_text()
    (site / "mmcv/version.py").write_text(text.replace("'2.1.0'", "'2.2.0'"))


def mmcv_for_another_torch(site: Path) -> None:
    link_packages(site, without="mmcv")
    link(SITE / "mmcv", site / "mmcv", without=("_ext",))
    source = "int _ZN3c10goneEv(); int PyInit__ext() { return _ZN3c10goneEv(); }"
    compile_ = ["gcc", "-x", "c", "-", "-shared", "-fPIC", "-o", str(site / "mmcv/_ext.so")]
    subprocess.run(compile_, input=source, text=True, check=True)


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
BUILD = "MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir mmcv==2.1.0"
FAULTS = [
    (mmcv_missing, "No module named 'mmcv'", BUILD),
    (mmcv_without_operators, "No module named 'mmcv._ext'", BUILD),
    (mmcv_lite, "mmcv-lite 2.1.0", "pip uninstall -y mmcv mmcv-lite && " + BUILD),
    (mmcv_too_new, "MMCV==2.2.0", BUILD),
    (mmcv_for_another_torch, "undefined symbol: _ZN3c10goneEv", BUILD),
    (torch_from_another_index, "torchvision::nms", "torch==2.11.0 torchvision==0.26.0"),
    (setuptools_82, "pkg_resources", 'pip install "setuptools<81"'),
    (mmdet_missing, "No module named 'mmdet'", "pip install mmdet==3.3.0"),
    (broken_opencv(NO_GL), "libGL.so.1", "--no-deps opencv-python-headless==4.13.0.92"),
    (broken_opencv(OLD_NUMPY), "multiarray", 'pip install "numpy>=2,<2.3"'),
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


def test_operators_without_cuda_are_refused_for_a_gpu() -> None:
    from mmcv.ops import get_compiling_cuda_version

    check_environment("cpu")
    if get_compiling_cuda_version() != "not available":
        check_environment("cuda:0")
        return
    with pytest.raises(EnvironmentFault, match="FORCE_CUDA=1 MMCV_WITH_OPS=1") as raised:
        check_environment("cuda:0")
    assert isinstance(raised.value, UserError)
