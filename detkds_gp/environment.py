"""Says whether torch, mmcv and mmdet work together here, and which command mends them if not."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from detkds_gp.errors import UserError

BUILD_MMCV = (
    'pip install "setuptools<81" wheel ninja && pip uninstall -y mmcv mmcv-lite && '
    "MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir mmcv==2.1.0"
)
OLD_SETUPTOOLS = 'pip install "setuptools<81"'


class EnvironmentFault(UserError):
    """An installation that cannot train: says got, wanted and the command that mends it."""


@dataclass(frozen=True)
class Symptom:
    """How one fault of an installation shows itself, and its cure.

    Attributes:
        pattern: regular expression met in ``module: ErrorType: message`` of a failed import.
        wanted: what would work.
        remedy: a command line.
    """

    pattern: str
    wanted: str
    remedy: str


# The first that fits is told; the order is from the particular to the general.
SYMPTOMS = (
    Symptom(
        r"lib(GL|EGL|gthread|glib|SM|Xext|Xrender|xcb)\S*\.so",
        "an OpenCV that needs no window system, or its libraries (libgl1, libglib2.0-0)",
        "pip uninstall -y opencv-python && pip install --force-reinstall --no-deps opencv-python-headless==4.13.0.92",
    ),
    Symptom(
        r"torchvision::nms does not exist",
        "torch and torchvision from one index, in one call",
        "pip install --force-reinstall torch==2.11.0 torchvision==0.26.0",
    ),
    Symptom(r"No module named 'pkg_resources", "setuptools below 81", OLD_SETUPTOOLS),
    Symptom(
        r"(?i)numpy|_ARRAY_API|\bnp\.",
        "the numpy that the compiled packages know",
        'pip install "numpy>=2,<2.3"',
    ),
    Symptom(
        r"(?i)mmcv\S* is used but incompatible",
        "mmcv from 2.0.0rc4 to below 2.2, as mmdet 3.3.0 asks",
        BUILD_MMCV,
    ),
    Symptom(r"No module named 'mmcv'", "mmcv 2.1.0 with its compiled operators", BUILD_MMCV),
    Symptom(
        r"No module named 'mmcv\.(_ext|ops)'|cannot import name 'ops'",
        "mmcv 2.1.0 with its compiled operators (mmcv-lite has none)",
        BUILD_MMCV,
    ),
    Symptom(
        r"mmcv.*(undefined symbol|cannot open shared object file|_ext)",
        "mmcv's operators compiled for this torch",
        BUILD_MMCV,
    ),
    Symptom(r"No module named 'mmdet'", "mmdet 3.3.0", "pip install mmdet==3.3.0"),
)
CUDA_OPERATORS = Symptom("", "mmcv's operators compiled for CUDA", BUILD_MMCV.replace("MMCV_", "FORCE_CUDA=1 MMCV_", 1))
MODULES = ("torch", "torchvision", "cv2", "pycocotools.mask", "mmengine", "mmcv.ops", "mmdet")
SHOWN = ("torch", "torchvision", "numpy", "setuptools", "mmcv", "mmcv-lite", "mmdet")


def check_environment(device: str = "cpu") -> None:
    """Import what a training needs, once, and raise if anything does not work.

    Costs the imports that a training makes anyway; a second call costs microseconds.

    Args:
        device: the torch device of the training; on a GPU mmcv's operators must be there for CUDA.

    Raises:
        EnvironmentFault: a package is missing or does not fit the others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in MODULES:
            _check_import(module)
    if find_spec("pkg_resources") is None:
        raise _fault("pkg_resources: ModuleNotFoundError: No module named 'pkg_resources'")
    if device.startswith("cuda"):
        from mmcv.ops import get_compiling_cuda_version

        if get_compiling_cuda_version() == "not available":
            raise _told("mmcv: its operators were compiled for the CPU only", CUDA_OPERATORS)


def _check_import(module: str) -> None:
    if module in sys.modules:
        return
    try:
        importlib.import_module(module)
    except Exception as error:  # Import-, Runtime-, Attribute-, Assertion-, OSError: all are seen
        raise _fault(f"{module}: {type(error).__name__}: {error}") from error


def _fault(shown: str) -> EnvironmentFault:
    """Make the error for what a failed import showed: ``module: ErrorType: message``."""
    for symptom in SYMPTOMS:
        if re.search(symptom.pattern, shown, re.DOTALL):
            return _told(shown, symptom)
    missing = re.search(r"No module named '(\w+)", shown)
    package = missing[1] if missing else shown.split(":")[0].split(".")[0]
    command = "pip install" if missing else "pip install --force-reinstall"
    return _told(shown, Symptom("", f"a {package} that imports", f"{command} {package}"))


def _told(shown: str, symptom: Symptom) -> EnvironmentFault:
    first_line = next(iter(shown.strip().splitlines()))
    return EnvironmentFault(
        f"got {first_line!r} (installed: {_installed()}), wanted {symptom.wanted}; {symptom.remedy}"
    )


def _installed() -> str:
    """Return the packages that matter here with their versions, as ``torch 2.11.0, mmcv 2.1.0``."""
    found = []
    for name in SHOWN:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    try:
        check_environment()
    except EnvironmentFault as fault:
        sys.exit(f"detkds_gp: {fault}")
