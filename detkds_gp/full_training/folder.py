"""The work directory of a full training: it is bound to one, as soon as something was trained."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config

from detkds_gp.atomic import atomic_file
from detkds_gp.errors import ConfigError
from detkds_gp.store import differing

ASKED_FILE, RESULT_FILE = "training.json", "result.json"
FOUND_FILE = "detections.json"
"""What student and teacher find on a few test images."""
CONFIG_FILE, STUDENT_CONFIG = "config.py", "student.py"
LAST_CHECKPOINT = "last_checkpoint"
"""What mmengine writes beside the first checkpoint."""
CONFIG = "config"
"""Key of the settings that holds the whole mmdet config."""
DERIVED = ("protocol", "siblings")
"""Keys of the settings that follow from the others, and are not compared."""

Settings = dict[str, Any]


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder to write in; it goes again where a mistake is found before anything was written.

    Raises:
        ConfigError: if there can be no such folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--work-dir {folder} cannot be written: {error.strerror}; name another folder") from None
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def bind(folder: Path, whole: Config, student: Config, settings: Settings) -> None:
    """Write what a training is, or check that the folder holds this one.

    A folder in which nothing was trained yet is bound anew.

    Args:
        folder: the work directory.
        whole: the training.
        student: the student alone.
        settings: all that the training is, the nested values of ``whole`` under `CONFIG`.

    Raises:
        ConfigError: if the folder holds another training: says the first setting that differs.
    """
    path, wanted = folder / ASKED_FILE, json.loads(json.dumps(settings, default=str))
    if (folder / LAST_CHECKPOINT).is_file() or (folder / RESULT_FILE).is_file():
        remedy = "give another --work-dir"
        if not path.is_file():
            raise ConfigError(f"{folder} holds a training, but no {path.name} that says which; {remedy}")
        changed = first_difference(*({**one, **dict.fromkeys(DERIVED)} for one in (read(path, remedy), wanted)))
        if changed is not None:
            raise ConfigError(f"{folder} holds another training ({changed}); {remedy}")
        return
    for name, config in ((CONFIG_FILE, whole), (STUDENT_CONFIG, student)):
        write(folder / name, config.pretty_text)
    write(path, json.dumps(wanted, indent=2) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read(path: Path, remedy: str) -> Settings:
    """Return a file's JSON object.

    Raises:
        ConfigError: if it is broken; ends with the remedy.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is broken, such as one that was cut off: wanted a JSON object; {remedy}")
    return found


def results_in(folders: Path) -> Iterator[tuple[Path, Settings]]:
    """Yield work directories among the sub-folders with what their `RESULT_FILE` tells.

    What cannot be read, such as what other tools left under this name, is passed over.
    """
    for path in sorted(folders.glob(f"*/{RESULT_FILE}")):
        with suppress(ConfigError, OSError):
            told = read(path, "it is passed over")
            yield path.parent, told


def first_difference(found: Settings, wanted: Settings) -> str | None:
    """Say the first value that differs in nested ones, by its dotted key; None where all are the same."""
    texts = (f"{key.removeprefix(f'{CONFIG}.')} is {a!r}, asked for {b!r}" for key, a, b in differing(found, wanted))
    return next(texts, None)
