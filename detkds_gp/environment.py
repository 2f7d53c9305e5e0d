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
from detkds_gp.operators import active_operators, serve_operators

MMCV_LITE = "pip uninstall -y mmcv; pip install --force-reinstall --no-deps mmcv-lite==2.1.0"
"""The command that takes compiled operators away, so that torchvision's are used."""
OLD_SETUPTOOLS = 'pip install "setuptools<82"'
OLDEST_TORCH = (2, 4)


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
        "pip uninstall -y opencv-python && pip install --force-reinstall --no-deps opencv-python-headless",
    ),
    Symptom(
        r"torchvision::nms does not exist",
        "torch and torchvision from one index, in one call",
        "pip install --force-reinstall torch torchvision",
    ),
    Symptom(r"No module named 'pkg_resources", "setuptools below 82, which mmengine asks for packages", OLD_SETUPTOOLS),
    Symptom(
        r"(?i)numpy|_ARRAY_API|\bnp\.",
        "the numpy that the compiled packages know",
        'pip install "numpy>=2"',
    ),
    Symptom(
        r"(?i)mmcv\S* is used but incompatible",
        "mmcv from 2.0.0rc4 to below 2.2, as mmdet 3.3.0 asks",
        MMCV_LITE,
    ),
    Symptom(r"No module named 'mmcv", "mmcv-lite 2.1.0", MMCV_LITE),
    Symptom(
        r"mmcv.*(undefined symbol|cannot open shared object file|_ext)",
        "mmcv's operators compiled for this torch, or none: torchvision's are used then",
        MMCV_LITE,
    ),
    Symptom(r"No module named 'mmdet'", "mmdet 3.3.0", "pip install mmdet==3.3.0"),
)
NO_CUDA = Symptom("", "operators for CUDA; torchvision's wheels have them", MMCV_LITE)
TWO_MMCV = Symptom("", "mmcv and mmcv-lite of one version: they share their files", MMCV_LITE)
OLD_TORCH = Symptom("", "torch 2.4 or newer", "pip install --upgrade torch torchvision")
MODULES = ("torch", "torchvision", "cv2", "pycocotools.mask", "mmengine", "mmcv.ops", "mmdet")
PACKAGES = ("torch", "torchvision", "cv2", "pycocotools", "pkg_resources", "mmengine", "mmcv", "mmdet")
SHOWN = ("torch", "torchvision", "numpy", "setuptools", "mmcv", "mmcv-lite", "mmdet")


def check_environment(device: str = "cpu") -> None:
    """Import what a training needs, once, and raise if anything does not work.

    Costs the imports that a training makes anyway; a second call costs microseconds. Where mmcv has no operators
    compiled, it gets those of ``detkds_gp.operators``.

    Args:
        device: the torch device of the training; on a GPU mmcv's operators must be there for CUDA.

    Raises:
        EnvironmentFault: a package is missing or does not fit the others.
    """
    serve_operators()
    _check_versions()
    for package in PACKAGES:
        if package not in sys.modules and find_spec(package) is None:
            raise _fault(f"{package}: ModuleNotFoundError: No module named '{package}'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in MODULES:
            _check_import(module)
    if device.startswith("cuda"):
        from mmcv.ops import get_compiling_cuda_version

        if get_compiling_cuda_version() == "not available":
            raise _told(f"operators of {active_operators()} for the CPU only", NO_CUDA)


def describe_environment() -> str:
    """Return what is installed and whose operators mmcv uses, in one line."""
    return f"{_installed()}; operators: {active_operators()}"


def _check_versions() -> None:
    """Refuse what is known not to work before it is imported.

    Raises:
        EnvironmentFault: torch is too old, or compiled and plain mmcv differ.
    """
    installed = {name: _version(name) for name in ("torch", "mmcv", "mmcv-lite")}
    if installed["torch"] and tuple(map(int, installed["torch"].split(".")[:2])) < OLDEST_TORCH:
        raise _told(f"torch {installed['torch']}", OLD_TORCH)
    if installed["mmcv"] and installed["mmcv-lite"] and installed["mmcv"] != installed["mmcv-lite"]:
        raise _told("two versions of mmcv in one folder", TWO_MMCV)


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
    """Return the packages that matter here with their versions, as ``torch 2.14.1, mmcv-lite 2.1.0``."""
    return ", ".join(f"{name} {_version(name)}" for name in SHOWN if _version(name))


def _version(name: str) -> str:
    """Return a distribution's version; empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    try:
        check_environment()
    except EnvironmentFault as fault:
        sys.exit(f"detkds_gp: {fault}")
    print(describe_environment())
