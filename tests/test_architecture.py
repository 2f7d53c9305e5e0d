"""The rooms of the house and the only arrows between them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"detkds_gp": ROOT / "detkds_gp", "detkds_gp.primitives": ROOT / "primitives"}

ENGINE = {
    "curves", "data", "detections", "detectors", "environment", "errors", "execution", "experiment", "export",
    "fitness", "gain", "language", "lazy", "losses", "noise", "operators", "ranking", "report", "results", "score",
    "search", "settings", "store", "training", "atomic",
}  # fmt: skip
ALLOWED: dict[str, set[str]] = {
    "cli": ENGINE,
    "curves": {"gain"},
    "data": {"detections", "errors", "atomic"},
    "detections": set(),
    "detectors": {"detections", "errors", "environment", "atomic"},
    "environment": {"errors", "operators"},
    "errors": set(),
    "execution": {"errors"},
    "experiment": ENGINE - {"experiment"},
    "export": {"language", "losses", "errors"},
    "fitness": {
        "training", "detectors", "data", "detections", "losses", "language", "operators", "score", "settings", "errors",
        "atomic",
    },
    "gain": set(),
    "language": {"errors"},
    "lazy": set(),
    "losses": {"language", "score", "errors"},
    "operators": {"errors"},
    "noise": {"score"},
    "primitives": {"language"},
    "ranking": {"errors", "noise"},
    "report": {
        "results", "store", "export", "language", "curves", "gain", "noise", "ranking", "score", "errors", "atomic",
    },
    "results": {"store", "language", "gain", "noise", "score", "errors", "atomic"},
    "score": set(),
    "search": {"language", "score", "settings", "errors"},
    "settings": set(),
    "store": {"language", "score", "errors"},
    "training": {"detectors", "language", "losses", "settings", "errors"},
    "atomic": {"errors"},
}  # fmt: skip

EXPERIMENT: dict[str, set[str]] = {
    "evaluation": {"config", "listener"},
    "checks": {"config", "listener", "naming", "prepare", "wiring"},
    "config": set(),
    "experiment": {
        "evaluation", "config", "explanation", "final_round", "halving", "judging", "listener", "prepare", "provenance",
        "searching", "steering", "context",
    },
    "explanation": {"evaluation", "config", "listener"},
    "final_round": {"config", "rungs"},
    "fingerprints": set(),
    "full_training": {"config", "fingerprints", "listener", "naming", "prepare"},
    "baselines": {"evaluation", "listener"},
    "halving": {"evaluation", "rungs"},
    "judging": {"evaluation", "final_round", "steering", "tuning", "context"},
    "listener": set(),
    "naming": {"config", "listener"},
    "prepare": {"config", "fingerprints", "listener", "wiring"},
    "provenance": {"config"},
    "proxy_study": {"evaluation", "config", "listener", "prepare", "context"},
    "rungs": set(),
    "searching": {"evaluation", "listener", "steering"},
    "siblings": set(),
    "steering": {"evaluation", "config", "final_round", "listener", "rungs"},
    "tuning": {
        "evaluation", "config", "final_round", "baselines", "listener", "naming", "prepare", "steering", "context",
    },
    "verify": {"evaluation", "halving", "prepare", "steering"},
    "wiring": {"config"},
    "context": {"evaluation", "config", "baselines", "listener", "naming", "prepare"},
}  # fmt: skip
"""The rooms within `experiment`, and the files that stand beside them: each file counts as a room."""

OPENMMLAB = ("mmdet", "mmcv", "mmengine")
# environment, the check that comes before all of them, asks mmcv what it was compiled for; operators stand under mmcv.
OPENMMLAB_ALLOWED = {
    "detectors": OPENMMLAB,
    "training": OPENMMLAB,
    "experiment": ("mmengine.config",),
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


def inner(name: str) -> str:
    """Return the room or file within the experiment of a dotted name of ours; empty elsewhere."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["detkds_gp", "experiment"] and len(parts) > 2 else ""


IMPORTS = [(name, target) for name, path in modules() for target in imported(name, path)]


def test_the_walk_sees_the_house():
    rooms = {room(name) for name, _ in modules()}
    assert {"language", "search", "detectors", "cli", "primitives", "score"} <= rooms
    assert ("detkds_gp.search.engine", "detkds_gp.score.Score") in IMPORTS
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


def test_every_room_of_the_experiment_is_in_its_table():
    assert {inner(name) for name, _ in modules()} - {""} == set(EXPERIMENT)


@pytest.mark.parametrize("name", sorted(EXPERIMENT))
def test_a_room_of_the_experiment_imports_only_what_its_table_allows(name):
    broken = [
        f"{source} imports {target}"
        for source, target in IMPORTS
        if inner(source) == name and room(target) == "experiment"
        if inner(target) not in EXPERIMENT[name] | {name}
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


@pytest.mark.parametrize("table", [ALLOWED, EXPERIMENT], ids=["house", "experiment"])
def test_the_table_has_no_cycle(table):
    order: list[str] = []
    while len(order) < len(table):
        free = [name for name in table if name not in order and table[name] <= set(order)]
        assert free, f"a cycle among {sorted(set(table) - set(order))}"
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
