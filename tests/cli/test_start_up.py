"""No command imports what it does not need: each class of commands in a fresh process, which tells what it has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from detkds_gp.cli.app import app

DETECTORS = {"mmdet", "mmcv", "mmengine", "torchvision", "cv2", "pycocotools", "faster_coco_eval"}
DRAWING = {"matplotlib", "plotly", "networkx", "PIL"}
STATISTICS = {"sklearn", "scipy", "pandas"}
NUMBERS = {"torch", "numpy", "deap"}

CALLED = """
import json, sys
from detkds_gp.cli.app import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["gp_search", *arguments]
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
print(json.dumps([codes, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def roots(*commands: list[str], code: int = 0) -> set[str]:
    """Run commands in one fresh process and return the packages that it imported."""
    run = [sys.executable, "-c", CALLED, json.dumps(commands)]
    ended = subprocess.run(run, check=True, capture_output=True, text=True)
    codes, modules = json.loads(ended.stdout.splitlines()[-1])
    assert codes == [code] * len(commands), ended.stderr
    return set(modules)


def every_help() -> list[list[str]]:
    """Return the help of the program, its groups and all their commands."""
    found = [["--help"]]
    for name, command in get_command(app).commands.items():
        found.append([name, "--help"])
        found += [[name, inner, "--help"] for inner in getattr(command, "commands", {})]
    return found


def test_help_imports_nothing_that_computes_or_reads():
    helps = every_help()
    assert ["run", "--help"] in helps
    assert ["store", "check", "--help"] in helps
    assert not roots(*helps) & (DETECTORS | DRAWING | STATISTICS | NUMBERS | {"sqlalchemy", "jinja2", "pebble"})


def test_who_watches_or_stops_a_run_imports_no_numbers(copied: Path):
    watched = roots(["status", str(copied)], ["store", "check", str(copied)])
    stopped = roots(["stop", str(copied)], code=2)
    assert not watched & (DETECTORS | DRAWING | STATISTICS | NUMBERS | {"jinja2", "pebble"})
    assert not stopped & (DETECTORS | DRAWING | STATISTICS | NUMBERS | {"jinja2", "pebble", "sqlalchemy"})


def test_who_reads_a_run_or_injects_imports_no_torch(copied: Path):
    injected = roots(["inject", str(copied), "l2(unit_channel(global))"])
    assert not injected & (DETECTORS | DRAWING | STATISTICS | {"torch", "sqlalchemy", "jinja2", "pebble"})
    read = roots(
        ["show", str(copied)], ["zoo"], *(["export", str(copied), "--to", fmt] for fmt in ("text", "json", "latex"))
    )
    assert not read & (DETECTORS | DRAWING | (STATISTICS - {"scipy"}) | {"torch", "jinja2", "pebble"})


def test_who_draws_a_run_imports_no_torch(copied: Path):
    drawn = roots(*(["export", str(copied), "--to", fmt] for fmt in ("dot", "svg")))
    assert not drawn & (DETECTORS | {"torch", "sklearn", "plotly", "jinja2", "pebble"})
    reported = roots(["report", str(copied), "-o", str(copied / "page.html")])
    assert not reported & (DETECTORS | {"torch", "pebble"})


def test_who_checks_a_folder_of_data_with_a_sheet_imports_no_torch(digits: Path, tmp_path: Path):
    checked = roots(["data", "check", str(digits), "-o", str(tmp_path / "sheet.png")])
    assert not checked & ((DETECTORS - {"cv2"}) | STATISTICS | {"torch", "sqlalchemy", "jinja2", "pebble"})


def test_who_computes_a_formula_imports_no_detectors():
    formula = "l2(unit_channel(global))"
    computed = roots(["primitives"], ["lint", formula], ["export", formula])
    assert "torch" in computed
    assert not computed & (DETECTORS | DRAWING | STATISTICS | {"sqlalchemy", "jinja2", "pebble"})
    written = roots(["export", formula, "--to", "python"])  # from a template
    assert not written & (DETECTORS | DRAWING | STATISTICS | {"sqlalchemy", "pebble"})


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("from detkds_gp.config import ExperimentConfig as C; C(student={'config': 's'}, teacher={'config': 't'}, "
         "data={'digits': {'root': 'r'}}, search={'max_depth': 4}, proxy={'iterations': 3})",
         DETECTORS | DRAWING | STATISTICS | NUMBERS),
        ("from detkds_gp.language import parse_distiller, PrimitiveSet, learned, transform; "
         "from detkds_gp.store import Store", DETECTORS | DRAWING | STATISTICS | {"torch"}),
        ("from detkds_gp.primitives import OMNI; from detkds_gp.losses import DistillationLoss; DistillationLoss"
         "('l2(global)', OMNI)", DETECTORS | DRAWING | STATISTICS | {"sqlalchemy", "pydantic"}),
    ],
    ids=["config", "language", "loss"],
)  # fmt: skip
def test_a_room_imports_what_it_needs(statement, without):
    told = f"{statement}; import sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    assert not {name.partition(".")[0] for name in ended.stdout.split()} & without
