"""The rooms of the house and the only arrows between them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"detkds_gp": ROOT / "detkds_gp", "detkds_gp.primitives": ROOT / "primitives"}

ENGINE = {
    "config", "curves", "data", "detections", "detectors", "environment", "errors", "evaluation", "execution",
    "explanation", "export", "final_round", "fitness", "full_training", "gain", "language", "lazy", "listener",
    "losses", "naming", "noise", "operators", "preflight", "ranking", "report", "results", "run", "score",
    "screening", "search", "settings", "setup", "steering", "store", "training", "tuning", "turns", "atomic",
}  # fmt: skip
ALLOWED: dict[str, set[str]] = {
    "cli": ENGINE,
    "config": {"data", "detectors", "errors", "execution", "fitness", "screening", "search", "settings", "training"},
    "setup": {
        "config", "curves", "data", "detectors", "errors", "evaluation", "execution", "fitness", "language",
        "listener", "naming", "operators", "results", "score", "search", "store", "training",
    },
    "naming": {"config", "detectors", "errors", "fitness", "language", "listener", "results", "store"},
    "evaluation": {
        "config", "errors", "execution", "fitness", "language", "listener", "score", "search", "store", "turns",
    },
    "steering": {
        "atomic", "config", "errors", "evaluation", "final_round", "fitness", "language", "listener", "results",
        "score", "search", "store", "turns",
    },
    "final_round": {"config", "data", "evaluation", "fitness", "language", "results", "score", "search", "store"},
    "run": {
        "config", "environment", "errors", "evaluation", "explanation", "export", "final_round", "fitness",
        "language", "listener", "ranking", "results", "score", "screening", "search", "setup", "steering", "store",
        "tuning", "turns",
    },
    "preflight": {
        "config", "curves", "data", "detectors", "errors", "fitness", "language", "listener", "losses", "naming",
        "score", "screening", "setup", "training",
    },
    "explanation": {
        "config", "data", "detections", "detectors", "errors", "evaluation", "fitness", "language", "listener",
        "losses", "results", "score", "search", "store", "training",
    },
    "tuning": {
        "config", "errors", "evaluation", "final_round", "language", "listener", "naming", "results", "score",
        "search", "setup", "steering", "store",
    },
    "full_training": {
        "atomic", "config", "data", "detectors", "errors", "fitness", "language", "listener", "naming", "report",
        "score", "setup", "store", "training",
    },
    "listener": {"score"},
    "curves": {"gain"},
    "data": {"detections", "errors", "atomic"},
    "detections": set(),
    "detectors": {"detections", "errors", "environment", "atomic"},
    "environment": {"errors", "operators"},
    "errors": set(),
    "execution": {"errors", "settings"},
    "export": {"language", "losses", "errors", "atomic"},
    "fitness": {
        "training", "detectors", "data", "detections", "losses", "language", "operators", "score", "screening",
        "settings", "errors", "atomic",
    },
    "gain": set(),
    "language": {"errors"},
    "lazy": set(),
    "losses": {"language", "errors"},
    "operators": {"errors"},
    "noise": {"score"},
    "primitives": {"language"},
    "ranking": {"errors", "noise"},
    "report": {
        "results", "store", "export", "language", "curves", "gain", "noise", "ranking", "score", "errors", "atomic",
    },
    "results": {"store", "language", "gain", "noise", "score", "errors", "atomic"},
    "score": set(),
    "screening": {"language", "losses", "score", "settings", "store", "errors"},
    "search": {"language", "score", "screening", "settings", "errors", "turns"},
    "settings": set(),
    "store": {"language", "score", "errors"},
    "training": {"detectors", "language", "losses", "settings", "errors"},
    "turns": set(),
    "atomic": {"errors"},
}  # fmt: skip

OPENMMLAB = ("mmdet", "mmcv", "mmengine")
# environment, the check that comes before all of them, asks mmcv what it was compiled for; operators stand under mmcv.
OPENMMLAB_ALLOWED = {
    "detectors": OPENMMLAB,
    "training": OPENMMLAB,
    "config": ("mmengine.config",),
    "full_training": ("mmengine.config",),
    "environment": ("mmcv.ops",),
    "operators": ("mmcv.ops",),
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module's dotted name and file."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), path


def imported(name: str, path: Path) -> Iterator[str]:
    """Yield the dotted name of all that a module imports, wherever in the file."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """Return the room of a dotted name of ours."""
    return [*name.split("."), ""][1]


IMPORTS = [(name, target) for name, path in modules() for target in imported(name, path)]


def test_the_walk_sees_the_house():
    rooms = {room(name) for name, _ in modules()}
    assert {"language", "search", "detectors", "cli", "primitives", "score"} <= rooms
    assert ("detkds_gp.search.loop", "detkds_gp.score.Score") in IMPORTS
    assert any(room(name) == "primitives" and "language" in target for name, target in IMPORTS)


def test_every_room_is_in_the_table():
    assert {room(name) for name, _ in modules()} - {""} <= set(ALLOWED)


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_room_imports_only_what_the_table_allows(name):
    broken = [
        f"{source} imports {target}"
        for source, target in IMPORTS
        if room(source) == name and target.split(".")[0] == "detkds_gp"
        if room(target) not in ALLOWED[name] | {name, "lazy"}  # every package may give its names lazily
    ]
    assert not broken


def test_the_engine_never_imports_the_primitives():
    assert not [
        (source, target)
        for source, target in IMPORTS
        if room(source) != "primitives"
        if target.startswith(("detkds_gp.primitives", "primitives"))
    ]


def origins(package: str) -> dict[str, str]:
    """Return by name the module that a package gives it from."""
    path = dict(modules())[package]
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.name == "__init__.py" else ast.Module([], [])
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def for_types_alone(tree: ast.Module) -> set[ast.stmt]:
    """Return the statements under ``if TYPE_CHECKING:``."""
    guards = (n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    return {statement for guard in guards for statement in guard.body}


def test_no_file_needs_itself_by_way_of_others():
    files, house = dict(modules()), nx.DiGraph()
    given = {name: origins(name) for name in files}
    for name, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typed = for_types_alone(tree)
        for node in ast.walk(tree) if path.name != "__init__.py" else ():
            if isinstance(node, ast.ImportFrom) and node not in typed and node.module in files:
                named = (f"{node.module}.{alias.name}" for alias in node.names)
                found = [
                    whole if whole in files else given[node.module].get(whole.rpartition(".")[2], node.module)
                    for whole in named
                ]
                house.add_edges_from((name, target) for target in found if target != name)
    assert house.number_of_edges() > 1000
    assert [sorted(circle) for circle in nx.strongly_connected_components(house) if len(circle) > 1] == []


def test_only_two_rooms_know_mmdet():
    broken = [
        f"{source} imports {target}"
        for source, target in IMPORTS
        if target.split(".")[0] in OPENMMLAB
        if not target.startswith(OPENMMLAB_ALLOWED.get(room(source), ()))
    ]
    assert not broken


def test_the_houses_own_numbers_agree():
    told = json.loads(subprocess.check_output([sys.executable, ROOT / "tools" / "house.py", "--json"], text=True))
    assert told["circles"] == []
    assert told["files"] == len(list(modules()))
    assert told["lines"]["all"] == sum(len(path.read_text(encoding="utf-8").splitlines()) for _, path in modules())
    assert sum(map(len, told["holders"].values())) <= 4


def test_the_table_has_no_cycle():
    order: list[str] = []
    while len(order) < len(ALLOWED):
        free = [name for name in ALLOWED if name not in order and ALLOWED[name] <= set(order)]
        assert free, f"a cycle among {sorted(set(ALLOWED) - set(order))}"
        order += free


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("import detkds_gp.store.records as r", "detkds_gp.store.records"),
        ("from detkds_gp import store", "detkds_gp.store"),
        ("from ..store import Store", "detkds_gp.store.Store"),
        ("def f():\n    from .engine import Search", "detkds_gp.search.engine.Search"),
    ],
)
def test_no_spelling_of_an_import_escapes(tmp_path, source, target):
    path = tmp_path / "sly.py"
    path.write_text(source, encoding="utf-8")
    assert list(imported("detkds_gp.search.sly", path)) == [target]
