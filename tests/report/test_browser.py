"""The report of a real run, and of a hostile one, in a real browser."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from detkds_gp.primitives import DETKDS
from detkds_gp.report import collect, render_report, write_page
from detkds_gp.report.dashboard import Fresh, make_server
from detkds_gp.report.students import Student
from detkds_gp.report.trainings import render_trainings
from detkds_gp.run import Outcome
from detkds_gp.store import Store

ARTIFACTS = Path(__file__).resolve().parents[2] / "work_dirs" / "test-artifacts"
"""Screenshots are kept here, to be looked at."""

HOSTILE = (
    "<script>document.title='taken'</script>\"'&{{7*7}}</style><img src=x onerror=alert(1)>"
    "\u202egnitfel\u202c-" + "long" * 30
)
"""A name that would run, break out, or turn the page around if it were not shown as text; over 200 characters."""

DRAWN = "return [...document.querySelectorAll('.plot')].map(p => (p.data || []).map(t => t.x.length))"

CUT = "return [...document.querySelectorAll('.stacked')].filter(t => t.scrollWidth > t.parentNode.clientWidth).length"


def opened(browser: Any, page: Path | str, width: int = 1400) -> None:
    """Open a page and wait until its figures are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get_log("browser"), browser.get_log("performance")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get(page.as_uri() if isinstance(page, Path) else page)
    WebDriverWait(browser, 30).until(lambda b: all(b.execute_script(DRAWN)))


def complaints(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def requested(browser: Any) -> list[str]:
    """Return what was asked for but the page itself and what it carries."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("file://", "data:", "blob:"))]


def photographed(browser: Any, name: str, width: int) -> Path:
    """Keep a picture of the whole page."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    path = ARTIFACTS / f"{name}-{width}.png"
    assert browser.save_screenshot(str(path))
    return path


@pytest.mark.parametrize("width", [1400, 420])
def test_a_real_run_is_shown_without_complaint_or_network(
    chromium: Any, finished: Outcome, page: Callable[[Path], Path], width: int
) -> None:
    opened(chromium, page(finished.work_dir), width)
    assert complaints(chromium) == []
    assert requested(chromium) == []
    figures = chromium.execute_script(DRAWN)
    assert len(figures) >= 2
    assert all(any(figure) for figure in figures)
    overflow = chromium.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, "the page must not scroll sideways"
    assert chromium.execute_script(CUT) == 0, "formulas and their numbers must be read without scrolling"
    photographed(chromium, "report", width)


@pytest.mark.parametrize("width", [1400, 420])
def test_the_page_of_trainings_is_shown_without_complaint_or_network(chromium: Any, tmp_path: Path, width: int) -> None:
    names = {"teacher": {-1: 0.5}, HOSTILE: {0: 0.4, 1: 0.41, 2: 0.43}, "student alone": {0: 0.3, 1: 0.32, 2: 0.31}}
    students = [
        Student(
            name, sort, aps, {"ap50": 0.6, "ap75": 0.4, "small": 0.1}, {HOSTILE: 0.3, "cell": 0.5},
            [(step, 2.0 / step, 30.0 / step) for step in (10, 20, 30)], [(10, 0.1), (20, 0.2), (30, 0.25)],
        )
        for sort, (name, aps) in zip(("teacher", "winner", "alone"), names.items(), strict=True)
    ]  # fmt: skip
    page = tmp_path / "trainings.html"
    write_page(render_trainings(HOSTILE, "bbox", students, [], 0), page)
    opened(chromium, page, width)
    assert complaints(chromium) == []
    assert requested(chromium) == []
    assert len(chromium.execute_script(DRAWN)) == 2
    assert chromium.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert chromium.execute_script(CUT) == 0
    assert chromium.execute_script("return document.body.textContent").count(HOSTILE) >= 5
    photographed(chromium, "trainings", width)


def test_clicking_an_ancestor_shows_its_tree(chromium: Any, small: Path, page: Callable[[Path], Path]) -> None:
    opened(chromium, page(small))
    nodes = chromium.find_elements("css selector", ".ancestor")
    assert len(nodes) > 1
    for node in nodes[:3]:
        chromium.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", node)
        formula = node.find_element("css selector", "title").get_attribute("textContent")
        shown = chromium.find_element("css selector", "#ancestor svg title").get_attribute("textContent")
        assert shown.replace("0.5", "calibrated") == formula.replace("0.5", "calibrated")
        assert node.get_attribute("aria-pressed") == "true"
    assert len(chromium.find_elements("css selector", '.ancestor[aria-pressed="true"]')) == 1


def test_progress_can_be_read_against_time(chromium: Any, small: Path, page: Callable[[Path], Path]) -> None:
    opened(chromium, page(small))
    chromium.find_element("css selector", '[data-axis="hours"]').click()
    title = "return document.getElementById('progress').layout.xaxis.title.text"
    assert chromium.execute_script(title) == "hours at work"
    assert complaints(chromium) == []


def test_hostile_names_are_text(chromium: Any, small: Path, tmp_path: Path, page: Callable[[Path], Path]) -> None:
    folder = tmp_path / HOSTILE.replace("/", "-")[:200]
    shutil.copytree(small, folder)
    with sqlite3.connect(folder / "store.sqlite") as store:
        (text,) = store.execute("SELECT value FROM meta WHERE name = 'fingerprint'").fetchone()
        fingerprint = json.loads(text)
        fingerprint["config"]["student"]["config"] = HOSTILE
        fingerprint["config"]["teacher"]["classes"] = [HOSTILE]
        store.execute("UPDATE meta SET value = ? WHERE name = 'fingerprint'", (json.dumps(fingerprint),))
        store.execute("UPDATE scores SET detail = ? WHERE failure IS NOT NULL", (HOSTILE,))
    opened(chromium, page(folder), 420)
    assert complaints(chromium) == []
    assert requested(chromium) == []
    assert chromium.title == f"{folder.name} · detkds_gp"
    body = chromium.execute_script("return document.body.textContent")
    assert body.count(HOSTILE) >= 2
    assert chromium.execute_script("return document.images.length") == 0
    assert chromium.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    photographed(chromium, "hostile", 420)


@pytest.fixture
def dashboard(small: Path, tmp_path: Path) -> Iterator[tuple[Fresh, str]]:
    """A served report of a store that may be written, and its address."""
    shutil.copy(small / "store.sqlite", tmp_path)
    fresh = Fresh(tmp_path, lambda version: render_report(collect(tmp_path), DETKDS, version))
    with make_server(fresh, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield fresh, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_the_page_of_a_dashboard_asks_its_own_server_only(chromium: Any, dashboard: tuple[Fresh, str]) -> None:
    fresh, address = dashboard
    opened(chromium, address)
    found = "return fetch('/version').then(answer => answer.text())"
    assert chromium.execute_script(found) == fresh.version()
    assert complaints(chromium) == []
    assert {url for url in requested(chromium) if not url.startswith(address)} == set()


@pytest.mark.slow
def test_a_dashboard_follows_a_change_right_after_loading_and_then_rests(
    chromium: Any, dashboard: tuple[Fresh, str], tmp_path: Path
) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    fresh, address = dashboard
    opened(chromium, address)
    chromium.execute_script("window.old = true")
    with Store.open(tmp_path) as store:
        store.record_event("worked", phase="test")
    shown = "return !window.old && document.body.dataset.version"
    WebDriverWait(chromium, 20).until(lambda browser: browser.execute_script(shown) == fresh.version())
    chromium.execute_script("window.old = true")
    time.sleep(6)
    assert chromium.execute_script("return window.old"), "a page that is fresh is not loaded again"
