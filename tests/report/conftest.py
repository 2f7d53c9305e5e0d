from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from detkds_gp.primitives import DETKDS
from detkds_gp.report import Run, collect, render_report, write_page

from ..scripts import benchmark

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def made_run() -> ModuleType:
    """`benchmarks/made_run.py`: runs whose APs follow a rule with known effects."""
    return benchmark("made_run")


@pytest.fixture(scope="session")
def small(made_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a finished run of about 100 evaluations."""
    folder = tmp_path_factory.mktemp("made") / "small"
    made_run.make_run(folder, 100)
    return folder


@pytest.fixture(scope="session")
def run(small: Path) -> Run:
    return collect(small)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A headless Chromium that logs its console and its network."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; sudo apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as browser:
        browser.set_page_load_timeout(60)
        yield browser


@pytest.fixture
def page(tmp_path: Path) -> Callable[[Path], Path]:
    """Write the report of a work directory and return its file."""

    def written(work_dir: Path) -> Path:
        path = tmp_path / "report.html"
        write_page(render_report(collect(work_dir), DETKDS), path)
        return path

    return written
