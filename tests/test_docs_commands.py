"""Command lines of the documents: the real programs know every command, option, file and name; cheap ones are run."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from typer.main import get_command

from detkds_gp.cli.app import app
from detkds_gp.cli.options import parse_options, spread_options
from detkds_gp.config import load_config
from detkds_gp.language import load_zoo, parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.run import Outcome

from . import documents
from .documents import ROOT, blocks, named, spans
from .test_packaging import dependencies

PAGES = [page for page in documents.PAGES if page.name != "CHANGELOG.md"]  # it tells of what was, too
FOREIGN = {
    "python tools/train.py distilled.py": "mmdet's own script, in a clone of mmdet",
    "python FILE": "FILE is what `gp_search export --to python` writes; tests/export/test_python.py runs one",
    "tensorboard": "another program",
    "uv": "another program",
}
"""Beginnings of commands that are neither run nor parsed, and why."""

PROGRAMS = {"gp_search", "install.sh", "make", "pip", "pytest", "python", "tensorboard", "torchrun", "uv"}
CHEAP = {"primitives", "report", "show", "status", "store check", "verify", "zoo"}
CHEAP_IN_FULL = CHEAP | {"compare", "export", "lint"}
"""Commands that are run on a finished search where they name no config; the last three need all their arguments.

The others train, wait, serve or need a data set: tests/cli runs each on a tiny config.
"""
STANDING_FOR = {
    "N": "3", "COMMAND": "show", "FORMULA": "l2(global)", "NAME": "pkd", "FORMAT": "text",
    "module:NAME": "detkds_gp.primitives:OMNI",
    "DIR": "work_dirs/quickstart", "WORK_DIR": "work_dirs/quickstart", "$seed": "0", "$distiller": "pkd",
    "configs/NAME.py": "configs/quickstart.py", "configs/coco/PAIR.py": "configs/coco/gfl_r101_to_r50.py",
}  # fmt: skip
INSTALLED = "$(which gp_search)"
GP_SEARCH: Any = get_command(app)


def simple_commands(line: str) -> Iterator[list[str]]:
    """Return the commands of a shell line, word by word, without loops and variables."""
    words = shlex.shlex(line.replace(INSTALLED, "gp_search"), posix=True, punctuation_chars=";&")
    words.whitespace_split = True
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";&"):
            yield from [command] if command and command[0] not in ("for", "done") else []
            command = []
        elif not (word == "do" or (not command and re.fullmatch(r"[A-Z_]+=\S*", word))):
            command.append(STANDING_FOR.get(word, word))


def alternatives(span: str) -> Iterator[list[str]]:
    """Return the commands that a synopsis such as ``export DIR|NAME [--diff]`` stands for."""
    plain = re.sub(r"[\[\]\\]|\.\.\.", "", span.replace(INSTALLED, "gp_search"))
    words = shlex.split(plain)
    longest = max(len(word.split("|")) for word in words)
    for number in range(longest):
        chosen = [word.split("|")[number % len(word.split("|"))] for word in words]
        yield [STANDING_FOR.get(word, word) for word in chosen]


def documented() -> Iterator[tuple[str, list[str], bool]]:
    """Return (page, command, whether it is whole: prose may leave arguments out)."""
    for page in PAGES:
        for block in blocks(page, "bash", "sh"):
            for line in block.splitlines():
                yield from ((named(page), command, True) for command in simple_commands(line))
        for span in spans(page):
            first = Path(span.split(" ")[0]).name
            if first in GP_SEARCH.commands and " --" in span:
                span, first = f"gp_search {span}", "gp_search"
            if first in PROGRAMS:
                yield from ((named(page), command, False) for command in alternatives(span))


COMMANDS = list(documented())


def parsed(words: list[str], whole: bool) -> tuple[str, dict[str, Any]]:
    """Parse the words after ``gp_search`` and return the command's name and values.

    Raises:
        Exception: typer's usage error, for an unknown command or option, a wrong value or, if whole, a missing one.
    """
    command, name = GP_SEARCH, ""
    if words == ["--help"]:
        return name, {}
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, name, words = command.commands[words[0]], f"{name} {words[0]}".strip(), words[1:]
    if hasattr(command, "commands") or "--help" in words:
        return name, {}
    try:
        return name, command.make_context(name, spread_options(words)).params
    except Exception as error:
        if whole or type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):
            raise
        _knows(words, {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)})
        return name, {}


def _knows(words: list[str], options: set[str]) -> None:
    flags = {word for word in words if re.match(r"--?[a-z]", word)}
    assert flags <= options, f"unknown: {flags - options}"


def script_options(script: Path) -> set[str]:
    """Return the options that a script gives its argument parser."""
    calls = [node for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    added = [call.args for call in calls if ast.unparse(call.func).endswith("add_argument")]
    return {str(argument.value) for arguments in added for argument in arguments if isinstance(argument, ast.Constant)}


def check_gp_search(words: list[str], whole: bool) -> None:
    name, values = parsed(words, whole)
    options = [pair for pair in values.get("cfg_options") or [] if pair != "k=v"]
    config = values.get("config") if "/" in str(values.get("config")) else "configs/bccd.py"
    if name in ("run", "train", "check"):
        budget = {"budget": values["budget"]} if values.get("budget") else {}
        load_config(str(ROOT / str(config)), parse_options(options) | budget)
    if values.get("config") and "/" in str(values["config"]):
        assert (ROOT / str(values["config"])).is_file()
    known = load_zoo("detkds_gp.primitives.zoo:ZOO").named
    for text in [values.get("distiller") or "", *(values.get("sources") or [])]:
        if "(" in text:
            parse_distiller(text, OMNI)
        elif re.fullmatch("[a-z_]+", text):
            assert text in {*known, "none"}


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None
        return
    script = ROOT / words[0]
    assert script.is_file()
    _knows(words, script_options(script))


def check_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets)


def check_pip(words: list[str]) -> None:
    ours = [word for word in words if word.startswith("detkds_gp")]
    for requirement in map(Requirement, ours):
        assert requirement.extras <= {"cluster", "tensorboard"}
    assert all(Requirement(word) in dependencies() for word in words if "==" in word)


@pytest.mark.parametrize(("page", "command", "whole"), COMMANDS, ids=[f"{p}: {' '.join(c)}" for p, c, _ in COMMANDS])
def test_the_program_knows_it(page: str, command: list[str], whole: bool) -> None:
    if any(" ".join(command).startswith(foreign) for foreign in FOREIGN):
        return
    program, words = Path(command[0]).name, command[1:]
    if program == "torchrun":
        program, words = "gp_search", words[words.index("gp_search") + 1 :]
    if program == "gp_search":
        check_gp_search(words, whole)
    elif program == "python" and words:
        check_python(words)
    elif program == "make":
        check_make(words)
    elif program == "pip":
        check_pip(words)
    elif program == "pytest":
        assert (ROOT / words[0]).exists()
    elif program == "install.sh":
        assert all(f"{word}) " in (ROOT / "install.sh").read_text() for word in words)
    else:
        assert not words, f"say in FOREIGN why {program} is not checked"


def test_every_reason_is_still_needed() -> None:
    lines = [" ".join(command) for _, command, _ in COMMANDS]
    assert [foreign for foreign in FOREIGN if not any(line.startswith(foreign) for line in lines)] == []


def _flags(command: Any) -> set[str]:
    inner = set().union(*map(_flags, getattr(command, "commands", {}).values()))
    return inner.union(*([*option.opts, *option.secondary_opts] for option in command.params))


@cache
def every_option() -> set[str]:
    scripts = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tools").glob("*.py")]
    return _flags(GP_SEARCH).union({"--help"}, *map(script_options, scripts))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_options_in_the_prose_exist(page: Path) -> None:
    words = [word for span in spans(page) if span.startswith("--") for word in shlex.split(span)]
    _knows(words, every_option())
    pairs = [word for word in words if "=" in word and word != "k=v"]
    load_config(str(ROOT / "configs/bccd.py"), parse_options(pairs))


def runnable() -> list[list[str]]:
    """Return the cheap commands, each once."""
    found = {}
    for _, command, whole in COMMANDS:
        if Path(command[0]).name != "gp_search" or "--help" in command:
            continue
        try:
            name, values = parsed(command[1:], whole)
        except Exception:  # the test above names it
            continue
        own = str(values.get("primitive_set") or values.get("zoo") or "detkds_gp").split(".")[0] != "detkds_gp"
        if values and not values.get("config") and not own and name in (CHEAP_IN_FULL if whole else CHEAP):
            found[tuple(command[1:])] = None
    return [list(command) for command in found]


@pytest.fixture
def place(finished: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the work directories and files that commands name."""
    for name in ("quickstart", "bccd", "mine", "search"):
        shutil.copytree(finished.work_dir, tmp_path / "work_dirs" / name)
    shutil.copy(finished.work_dir / "distiller.json", tmp_path / "FILE")
    (tmp_path / "docs/images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", runnable(), ids=" ".join)
def test_cheap_commands_run(words: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(spread_options(["out" if before == "-o" else word for before, word in zip(["", *words], words)]))  # noqa: B905
    assert ended.value.code == 0, capsys.readouterr().err
    assert capsys.readouterr().out or (place / "out").exists()
