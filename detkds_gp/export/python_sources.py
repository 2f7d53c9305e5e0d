"""The source of primitives, with all that they use of their own modules, as text that needs torch alone."""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import resolve_name
from itertools import count
from typing import Any

from detkds_gp.errors import UserError

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class Sources:
    """Collects definitions in an order in which they can be run.

    What two modules call by one name and define differently gets a number behind its name.

    Args:
        reserved: names that are taken already.

    Attributes:
        imports: lines, such as ``import torch``.
        constants: lines, in the order of their use.
        definitions: functions and classes, each after all that it uses.
    """

    def __init__(self, reserved: tuple[str, ...] = ()) -> None:
        self.imports: dict[str, None] = {}
        self.constants: list[str] = []
        self.definitions: list[str] = []
        self._names: dict[tuple[str, str], str] = {}
        self._texts: dict[str, str] = dict.fromkeys(reserved, "")

    def add(self, function: Callable[..., Any]) -> str:
        """Take a function or class of a module, and all that it uses; return what it is called in the text.

        Raises:
            UserError: if its source cannot be read, or needs more than torch and Python.
        """
        return self._take(function.__module__, function.__qualname__)

    def _take(self, module: str, name: str) -> str:
        key = (module, name)
        if key not in self._names:
            outline = _outline(module)
            if name in outline.imported:
                return self._import(name, *outline.imported[name])
            if name not in outline.defined:
                raise UserError(f"cannot export {name!r} of {module}: it is not defined at the top of the module")
            self._define(key, outline)
        return self._names[key]

    def _import(self, bound: str, module: str, name: str | None, lines: str) -> str:
        """Import what is torch's or Python's as its module binds it; take the source of anything else."""
        root = module.partition(".")[0]
        if root == "torch" or root in sys.stdlib_module_names:
            self.imports.update(dict.fromkeys(lines.splitlines()))
            return bound
        if name is None:
            raise UserError(f"cannot export: a primitive uses the module {module!r}, wanted torch and Python alone")
        return self._take(module, name)

    def _define(self, key: tuple[str, str], outline: _Outline) -> None:
        node = outline.defined[key[1]]
        _check_decorators(key[1], node, outline)
        renamed = {used: self._take(key[0], used) for used in _used(node, outline) if used != key[1]}
        for name in numbered(key[1]):
            text = outline.text(node, {**renamed, key[1]: name})
            if self._texts.get(name, text) == text:
                break
        if name not in self._texts:
            self._texts[name] = text
            constant = isinstance(node, (ast.Assign, ast.AnnAssign))
            (self.constants if constant else self.definitions).append(text)
        self._names[key] = name


def numbered(name: str) -> Iterator[str]:
    """Yield a name, then the same with 2, 3, ... behind it."""
    yield name
    yield from (f"{name}_{number}" for number in count(2))


@dataclass(frozen=True)
class _Outline:
    """What stands at the top of a module.

    Attributes:
        lines: of its source.
        defined: functions, classes and constants by name.
        imported: by name: module, its name there (None for the module itself), and the lines that import it; several
            where parts of one package are imported under the package's name.
    """

    lines: list[str]
    defined: dict[str, Definition]
    imported: dict[str, tuple[str, str | None, str]]

    def text(self, node: Definition, renamed: dict[str, str]) -> str:
        """Return a definition without decorators, with other names where asked."""
        start = node.lineno - 1
        lines = self.lines[start : node.end_lineno]
        places = [place for place in _places(node) if renamed.get(place[2], place[2]) != place[2]]
        for line, column, name in sorted(places, reverse=True):
            row = lines[line - 1 - start].encode()
            kept = row[:column], row[column + len(name.encode()) :]
            lines[line - 1 - start] = (kept[0] + renamed[name].encode() + kept[1]).decode()
        return "\n".join(lines)


def _places(node: Definition) -> Iterator[tuple[int, int, str]]:
    """Yield line, column in bytes and name of every name in a definition, its own among them."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        keyword = "def " if isinstance(node, ast.FunctionDef) else "class "
        yield node.lineno, node.col_offset + len(keyword), node.name
    decorators = getattr(node, "decorator_list", [])
    skipped = {id(part) for decorator in decorators for part in ast.walk(decorator)}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and id(part) not in skipped:
            yield part.lineno, part.col_offset, part.id


@lru_cache(maxsize=64)
def _outline(module: str) -> _Outline:
    try:
        source = inspect.getsource(import_module(module))
    except (OSError, TypeError) as error:
        raise UserError(f"cannot export: the source of {module} cannot be read; keep it in a file") from error
    defined: dict[str, Definition] = {}
    imported: dict[str, tuple[str, str | None, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                defined[target.id] = node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                line = ast.unparse(ast.Import([alias]))
                before = imported.get(name)
                if before is not None and before[1] is None and not alias.asname:
                    line = f"{before[2]}\n{line}"
                imported[name] = (alias.name, None, line)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), module.rpartition(".")[0])
            for alias in node.names:
                line = ast.unparse(ast.ImportFrom(origin, [alias], 0))
                imported[alias.asname or alias.name] = (origin, alias.name, line)
    return _Outline(source.splitlines(), defined, imported)


def _used(node: Definition, outline: _Outline) -> list[str]:
    """Return the names of a module's top that a definition uses, in the order of the text."""
    known = {**outline.defined, **outline.imported}
    free = set(_global_names(symtable.symtable(outline.text(node, {}), "<primitive>", "exec")))
    notes = [getattr(part, key, None) for part in ast.walk(node) for key in ("annotation", "returns")]
    annotated = {part.id for note in notes if note for part in ast.walk(note) if isinstance(part, ast.Name)}
    for _, _, name in _places(node):
        if name in free - known.keys() - annotated and not hasattr(builtins, name):
            got = f"a primitive uses {name!r}, which the top of its module neither imports, defines nor sets by itself"
            raise UserError(f"cannot export: {got}; write {name} = ... in a line of its own, outside of any block")
    names = [name for _, _, name in sorted(_places(node)) if name in known and name in free]
    return list(dict.fromkeys(names))


def _check_decorators(name: str, node: Definition, outline: _Outline) -> None:
    """Refuse a decorator that changes what a definition does: only a primitive's own is left out of its text."""
    for decorator in getattr(node, "decorator_list", []):
        written = ast.unparse(decorator)
        first = next((part.id for part in ast.walk(decorator) if isinstance(part, ast.Name)), "")
        origin = outline.imported.get(first, ("", None, ""))[0]
        if origin.partition(".")[0] not in ("detkds_gp", "functools"):
            got = f"{name!r} is decorated by @{written}, which does not stand in the exported text"
            raise UserError(f"cannot export: {got}; do what it does within the function")


def _global_names(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names that a scope and those inside it take from the module."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_global() or (top and symbol.is_referenced()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_names(child)
