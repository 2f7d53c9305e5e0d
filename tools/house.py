"""The house in numbers: lines of every room, what a room needs, circles, and who holds a run's whole config.

    python tools/house.py [--json]

A circle is a set of files that import each other, by way of others too; imports for types alone do not count. A holder
is a class that keeps an `ExperimentConfig`.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"detkds_gp": ROOT / "detkds_gp", "detkds_gp.primitives": ROOT / "primitives"}
CONFIG = "ExperimentConfig"


def files() -> Iterator[tuple[str, Path]]:
    """Yield every module's dotted name and file."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), path


def imported(name: str, path: Path) -> Iterator[str]:
    """Yield the dotted names of ours that a module imports."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    for_types = {statement for guard in guards for statement in guard.body} if path.name != "__init__.py" else set()
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("detkds_gp"))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            if source.startswith("detkds_gp"):
                yield from (f"{source}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """Return the room of a dotted name."""
    return name.split(".")[1] if name != "detkds_gp" else "."


def circles(known: dict[str, Path]) -> list[list[str]]:
    """Return the files that import each other; what a package gives of its own files is no import of the package."""
    house = nx.DiGraph()
    for name, path in known.items():
        if path.name == "__init__.py":
            continue
        for target in imported(name, path):
            file = target if target in known else target.rpartition(".")[0]
            if file in known and known[file].name != "__init__.py" and file != name:
                house.add_edge(name, file)
    return [sorted(found) for found in nx.strongly_connected_components(house) if len(found) > 1]


def holders(path: Path) -> Iterator[str]:
    """Yield the classes of a file that keep a whole config: as a field, or given to the constructor and assigned."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = [ast.unparse(one.annotation) for one in node.body if isinstance(one, ast.AnnAssign)]
        kept = [
            ast.unparse(one.value)
            for one in ast.walk(node)
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]).startswith("self.")
        ]
        if CONFIG in fields or any(value == "config" or value.endswith(".config") for value in kept):
            yield node.name


def measured() -> dict[str, Any]:
    """Return lines, needs, circles and holders as JSON values."""
    known = dict(files())
    lines: dict[str, int] = defaultdict(int)
    needs: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        lines[room(name)] += len(path.read_text(encoding="utf-8").splitlines())
        needs[room(name)] |= {room(target) for target in imported(name, path)} - {room(name), "lazy", "."}
    return {
        "lines": {"all": sum(lines.values()), **dict(sorted(lines.items(), key=lambda pair: -pair[1]))},
        "files": len(known),
        "needs": {name: sorted(rooms) for name, rooms in sorted(needs.items())},
        "circles": circles(known),
        "holders": {name: found for name, path in known.items() if (found := list(holders(path)))},
    }


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = measured()
    if parser.parse_args().json:
        print(json.dumps(told))
        return
    for name, count in told["lines"].items():
        print(f"{count:7,}  {name:14} {', '.join(told['needs'].get(name, ()))}")
    print(f"{told['files']} files; circles: {told['circles'] or 'none'}")
    for name, found in told["holders"].items():
        print(f"holds the config: {name}: {', '.join(found)}")


if __name__ == "__main__":
    main()
