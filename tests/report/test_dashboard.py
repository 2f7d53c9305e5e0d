"""A dashboard is fresh, read-only and for this machine alone."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from detkds_gp.errors import ConfigError, StoreError
from detkds_gp.report import dashboard
from detkds_gp.report.dashboard import Fresh, make_server


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.sqlite"
    path.write_text("one")
    return path


@pytest.fixture
def address(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(dashboard, "_LEAST_SECONDS", 0.0)

    def render(version: str) -> str:
        if store.read_text() == "broken":
            raise StoreError("the store is broken; mend it")
        return f"<p>{store.read_text()}</p>{version}"

    with make_server(Fresh(store.parent, render), 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[0], server.server_address[1]
        server.shutdown()
        thread.join()


def got(address: tuple[str, int], path: str = "/") -> str:
    return urllib.request.urlopen(f"http://{address[0]}:{address[1]}{path}", timeout=5).read().decode()


def test_the_page_follows_the_store(address: tuple[str, int], store: Path) -> None:
    before = got(address, "/version")
    assert got(address) == f"<p>one</p>{before}"
    store.write_text("longer")
    after = got(address, "/version")
    assert after != before
    assert got(address) == f"<p>longer</p>{after}"


def test_a_log_that_comes_and_goes_is_no_error(store: Path) -> None:
    fresh, log, over = Fresh(store.parent, str), store.with_name("store.sqlite-wal"), threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            log.touch()
            log.unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        assert len({fresh.version() for _ in range(3000)}) == 1  # an empty log says nothing
    finally:
        over.set()
        thread.join()


def test_it_listens_on_this_machine_only(address: tuple[str, int]) -> None:
    assert address[0] == "127.0.0.1"


def test_a_name_that_was_pointed_here_gets_nothing(address: tuple[str, int]) -> None:
    connection = HTTPConnection(*address, timeout=5)
    connection.request("GET", "/", headers={"Host": f"evil.example:{address[1]}"})
    assert connection.getresponse().status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(address: tuple[str, int], method: str) -> None:
    connection = HTTPConnection(*address, timeout=5)
    connection.request(method, "/")
    assert connection.getresponse().status == 501


@pytest.mark.parametrize("path", ["/../store.sqlite", "/store.sqlite", "//etc/passwd"])
def test_no_file_is_served(address: tuple[str, int], path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        got(address, path)


def test_a_broken_store_is_said(address: tuple[str, int], store: Path) -> None:
    store.write_text("broken")
    with pytest.raises(urllib.error.HTTPError, match="503") as caught:
        got(address)
    assert caught.value.read() == b"the store is broken; mend it"


def test_a_port_in_use_is_said(address: tuple[str, int], store: Path) -> None:
    with pytest.raises(ConfigError, match="--port"):
        make_server(Fresh(store.parent, str), address[1])
