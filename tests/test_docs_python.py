"""Python of the documents: the blocks of a page run in their order, in one namespace."""

from __future__ import annotations

import ast
import inspect
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from detkds_gp.cli.app import app
from detkds_gp.detectors.sources import registry
from detkds_gp.run import Outcome

from .documents import PAGES, ROOT, blocks, named

ELSEWHERE = {
    "docs/pictures.md": "tests/export/test_pictures_page.py runs it",
    "primitives/README.md": "tests/primitives/test_readme.py runs it",
    "docs/guides/own_data.md": "a detector's config, and a trained student: tried by two tests below",
}
RUN = [page for page in PAGES if blocks(page, "python") and named(page) not in ELSEWHERE]
OWN_DATA = blocks(ROOT / "docs/guides/own_data.md", "python")


@pytest.fixture
def folder(tmp_path: Path, finished: Outcome, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the blocks read: a finished search, a file of primitives, an exported loss."""
    shutil.copytree(finished.work_dir, tmp_path / "work_dirs/quickstart")
    (tmp_path / "my_primitives.py").write_text(blocks(ROOT / "primitives/README.md", "python")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_primitives", raising=False)  # that of another test's folder
    with pytest.raises(SystemExit):
        app(["export", "l2(global)", "--to", "python", "-o", "distiller.py"])
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=named)
def test_python_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands under the main guard of a script is left to the test below."""
    module = ModuleType("imported")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    monkeypatch.setattr(registry, "_registered", {})  # what a page registers is gone after it
    for block in blocks(page, "python"):
        exec(block, vars(module))


@pytest.mark.slow
def test_the_search_of_the_readme_runs(folder: Path, tiny_config: Path) -> None:
    block = blocks(ROOT / "README.md", "python")[0].replace("configs/quickstart.py", str(tiny_config))
    script = folder / "search.py"
    script.write_text(block)
    runpy.run_path(str(script), run_name="__main__")
    assert (folder / "work_dirs/mine/store.sqlite").exists()


def test_what_is_run_elsewhere_exists() -> None:
    assert all(blocks(ROOT / page, "python") for page in ELSEWHERE)


def test_the_config_of_the_guide_is_one_of_mmdet(tmp_path: Path) -> None:
    from detkds_gp.detectors import DetectorSpec, build_detector

    (tmp_path / "student.py").write_text(OWN_DATA[0])
    spec = DetectorSpec(str(tmp_path / "student.py"), {"model.backbone.init_cfg": None})
    assert build_detector(spec, classes=("cell",)).neck.out_channels == 64


def test_the_inference_of_the_guide_fits_what_mmdet_takes() -> None:
    """It needs a student that was trained for minutes, so its calls are bound to the signatures and not made."""
    from mmdet.apis import DetInferencer

    tree = ast.parse(OWN_DATA[1])
    calls = {ast.unparse(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for name, takes in (("DetInferencer", DetInferencer.__init__), ("inferencer", DetInferencer.__call__)):
        arguments = [None] * (1 + len(calls[name].args))
        inspect.signature(takes).bind(*arguments, **{str(k.arg): None for k in calls[name].keywords})
