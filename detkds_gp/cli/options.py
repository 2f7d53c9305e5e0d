"""Options of several commands: how they are declared, and what their values mean."""

from __future__ import annotations

import inspect
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detkds_gp.errors import ConfigError

if TYPE_CHECKING:
    from detkds_gp.config import ExperimentConfig
    from detkds_gp.data.discover import Choice

OPTIONS_FLAG = "--cfg-options"

ConfigFile = Annotated[str, typer.Argument(help="Config file.")]
SearchConfig = Annotated[str, typer.Argument(help="Config file of a search.")]
CfgOptions = Annotated[list[str] | None, typer.Option(OPTIONS_FLAG, help="Config values, k=v ...")]
WorkDir = Annotated[Path, typer.Argument(help="A work directory.")]
SearchDir = Annotated[Path | None, typer.Option("--work-dir", help="Default: work_dirs/<config name>.")]
SetName = Annotated[str | None, typer.Option("--set", help="Primitive set, module:NAME.")]
RandomWeights = Annotated[bool, typer.Option(help="Load no weights; nothing is downloaded.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes.")]
New = Annotated[bool, typer.Option("--new", help="Start anew, in a numbered sibling.")]
Quiet = Annotated[bool, typer.Option(help="Print the result only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Encoding = Annotated[str | None, typer.Option(help="Of XML files that declare none.")]
OnlyImages = Annotated[Path | None, typer.Option("--images", help="Only images in or below it.")]


def read_config(path: str, pairs: Sequence[str] | None, given: Mapping[str, Any] | None = None) -> ExperimentConfig:
    """Check that what is installed works together, and load a config.

    Args:
        path: of its file.
        pairs: the values of ``--cfg-options``.
        given: what other options say, by the dotted key; None where one was not given.

    Raises:
        UserError: what is installed does not work together, or the config is missing or broken.
    """
    from detkds_gp.environment import check_environment

    check_environment()
    from detkds_gp.config import load_config

    said = {key: value for key, value in (given or {}).items() if value is not None}
    return load_config(path, parse_options(pairs or []) | said)


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``k=v`` pairs as mmdet does: ``a.b=1``, ``a=x,y`` or ``a=[x,y]``; else a value is text.

    Raises:
        ConfigError: if a pair has no ``=``.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"{OPTIONS_FLAG} got {pair!r}, wanted key=value")
        options[key] = _value(value)
    return options


def _value(text: str) -> object:
    """Return a Python literal, a list of what stands between commas (formulas are left whole), or text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        inner = text[1:-1] if text[:1] + text[-1:] in ("[]", "()") else text
    if "(" in inner or (inner == text and "," not in text):
        return text
    return [_value(part.strip()) for part in inner.split(",")]


def spread_options(arguments: Sequence[str]) -> list[str]:
    """Repeat ``--cfg-options`` before each of its values: mmdet's users write ``--cfg-options a=1 b=2``."""
    spread: list[str] = []
    open_flag = False
    for argument in arguments:
        if argument == OPTIONS_FLAG:
            open_flag = True
        elif open_flag and "=" in argument and not argument.startswith("-"):
            spread += [OPTIONS_FLAG, argument]
        else:
            open_flag = False
            spread.append(argument)
    return spread


def reads_folder(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, after its own options, those of `_choice`; it calls ``choice`` for what they say.

    That imports what reads images, so the command checks its other options and the environment before.
    """
    types = {"Choice": Any}  # its module is heavy
    own, folder = (inspect.signature(f, eval_str=True, locals=types).parameters for f in (command, _choice))

    @wraps(command)
    def wrapped(**values: Any) -> None:
        command(
            **{name: value for name, value in values.items() if name in own},
            choice=partial(_choice, **{name: value for name, value in values.items() if name in folder}),
        )

    shown = [parameter for name, parameter in own.items() if name != "choice"] + list(folder.values())
    wrapped.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return wrapped


def _choice(
    layout: Annotated[
        str | None, typer.Option("--format", help="coco, voc or yolo, where the folder holds several.")
    ] = None,
    train_json: Annotated[Path | None, typer.Option(help="COCO file to train on.")] = None,
    val_json: Annotated[Path | None, typer.Option(help="COCO file to select by.")] = None,
    test_json: Annotated[Path | None, typer.Option(help="COCO file to report.")] = None,
    images: OnlyImages = None,
    train_images: Annotated[Path | None, typer.Option(help="The same, to train.")] = None,
    val_images: Annotated[Path | None, typer.Option(help="The same, to select.")] = None,
    test_images: Annotated[Path | None, typer.Option(help="The same, to report.")] = None,
    encoding: Encoding = None,
) -> Choice:
    """Return how a data set's folder is to be read, where it can be read in two ways.

    Raises:
        ConfigError: the format is unknown.
    """
    from detkds_gp.data.discover import Choice
    from detkds_gp.data.formats import LAYOUTS

    if layout not in (None, *LAYOUTS):
        raise ConfigError(f"--format got {layout!r}, wanted {', '.join(LAYOUTS)}")
    files = {"train": train_json, "val": val_json, "test": test_json}
    folders = {"": images, "train": train_images, "val": val_images, "test": test_images}
    json, kept = ({split: path for split, path in paths.items() if path is not None} for paths in (files, folders))
    return Choice(layout, json, kept, encoding)


def check_writable(path: Path) -> None:
    """Make a file's folder and see that the file can be written; it is what it was, or is not there.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        path.open("a").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r} ({error.strerror}); give -o a file in a writable folder"
        ) from error
