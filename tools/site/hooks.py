"""Hooks of the documentation site: pages from outside docs/, options of every command, sources of the API pages."""

from __future__ import annotations

import ast
import logging
import posixpath
import re
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command

from detkds_gp.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "build/docs-sources/detkds_gp"
"""The package as it is installed, with ``primitives/`` in its place; mkdocs.yml names the folder above it."""

PAGES = {
    "README.md": "index.md",
    "primitives/README.md": "primitives.md",
    "configs/README.md": "search_configs.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files outside docs/ and the pages they become."""

FOREIGN = {"detkds_gp.detectors.BaseDetector"}
"""Public names that other packages define and document."""

log = logging.getLogger("mkdocs.hooks")
REPOSITORY_PATH = {page: path for path, page in PAGES.items()}


def on_startup(command: str, dirty: bool) -> None:
    """Copy the package's own files and link its folders; they are read there and never imported."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    SOURCES.mkdir(parents=True)
    for source in [*(ROOT / "detkds_gp").iterdir(), ROOT / "primitives"]:
        if source.is_file():  # a linked __init__.py would lead the reader back to where it lies
            shutil.copy(source, SOURCES)
        else:
            (SOURCES / source.name).symlink_to(source)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages from outside docs/."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages, and list the options of commands.

    A link that shows a file's name shows the beginning of that page's heading.
    """
    here = page.file.src_uri
    if here == "index.md":
        page.meta["hide"] = ["navigation"]
    folder = posixpath.dirname(REPOSITORY_PATH.get(here, f"docs/{here}"))

    def linked(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        target = PAGES.get(path, path.removeprefix("docs/"))
        text = _heading(path) if match[1].endswith(".md") and (ROOT / path).is_file() else match[1]
        return f"[{text}]({posixpath.relpath(target, posixpath.dirname(here))}"

    markdown = re.sub(r"\[([^\[\]\n]*)\]\((?!https?:|#)([^)#\s]+)", linked, markdown)
    markdown = re.sub(r"`[^`\n]+`", lambda code: code[0].replace(r"\|", "|"), markdown)  # no escape in code of a table
    return markdown + options() if here == "commands.md" else markdown


def _heading(path: str) -> str:
    first = (ROOT / path).read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")
    return re.split("[,:]", first)[0]


def on_post_build(config: MkDocsConfig) -> None:
    """Warn of what another host is asked for, and of public names that no API page shows; a strict build then fails."""
    fetched = re.compile(r'<(?:script|link|img)\b[^>]+(?:src|href)="https?:[^>]*>')
    for page in Path(config.site_dir).rglob("*.html"):
        for tag in fetched.findall(page.read_text(encoding="utf-8")):
            log.warning("%s asks another host: %s", page, tag)
    pages = [page.read_text(encoding="utf-8") for page in Path(config.site_dir, "api").glob("*.html")]
    shown = {name for page in pages for name in re.findall(r'id="(detkds_gp\.[\w.]+)"', page)}
    for package in sorted(shown):
        source = SOURCES.joinpath(*package.split(".")[1:], "__init__.py")
        for name in _public(source) if source.is_file() else []:
            pattern = re.compile(rf"{package}\.(\w+\.)?{name}")  # a function may be hidden by the module of its name
            if not any(map(pattern.fullmatch, shown | FOREIGN)):
                log.warning("%s.%s has no docstring or is on no API page", package, name)


def _public(source: Path) -> list[str]:
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return ast.literal_eval(statement.value)
    return []


def options() -> str:
    """Return a section for every command with its arguments and options, as Markdown."""
    parts = ["\n## Every option\n"]
    commands = dict(get_command(app).commands)  # type: ignore[attr-defined]
    while commands:
        name, command = next(iter(commands.items()))
        del commands[name]
        if hasattr(command, "commands"):
            commands = {f"{name} {inner}": it for inner, it in command.commands.items()} | commands
            continue
        rows = [_row(parameter) for parameter in command.params]
        parts.append(f"### gp_search {name}\n\n{command.help}\n\n| option | default | meaning |\n|---|---|---|")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(parameter) -> str:  # type: ignore[no-untyped-def]
    flags = [*parameter.opts, *parameter.secondary_opts]
    names = parameter.name.upper() if parameter.param_type_name == "argument" else ", ".join(flags)
    shown = parameter.show_default and parameter.default not in (None, False, ())
    default = f"`{parameter.default}`" if shown else ""
    meaning = (parameter.help or "").replace("|", r"\|").replace("<", "&lt;")
    return f"| `{names}` | {default} | {meaning} |"
