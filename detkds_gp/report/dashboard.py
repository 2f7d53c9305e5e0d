"""The report of a run that goes on, served to this machine alone and kept fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from detkds_gp.errors import ConfigError, UserError

HOST = "127.0.0.1"
_LEAST_SECONDS = 5.0


class Fresh:
    """A page that is rendered anew when the store has changed, but not more often than every few seconds.

    Args:
        work_dir: where the store is.
        render: makes the page, from the version that it is told; the page compares it with the server's.
    """

    def __init__(self, work_dir: Path, render: Callable[[str], str]) -> None:
        self._files = [work_dir / f"store.sqlite{ending}" for ending in ("", "-wal")]
        self._render = render
        self._lock = threading.Lock()
        self._page, self._version, self._made = "", "", float("-inf")

    def version(self) -> str:
        """Return what changes with every answer that is recorded."""
        stats = []
        for path in self._files:
            with suppress(FileNotFoundError):  # the write-ahead log comes and goes
                stats.append(path.stat())
        return "-".join(f"{stat.st_mtime_ns}.{stat.st_size}" for stat in stats if stat.st_size)

    def page(self) -> str:
        """Return the page, as fresh as may be; raises what ``render`` raises."""
        with self._lock:
            version = self.version()
            if not self._page or (version != self._version and time.monotonic() - self._made > _LEAST_SECONDS):
                self._page, self._version = self._render(version), version
                self._made = time.monotonic()
            return self._page


def make_server(fresh: Fresh, port: int) -> ThreadingHTTPServer:
    """Return a server of 127.0.0.1 that answers ``/`` and ``/version``, read-only.

    Args:
        fresh: what it serves.
        port: 0 takes a free one.

    Raises:
        ConfigError: the port is taken.
    """

    class Handler(_Handler):
        served = fresh

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot serve on port {port}: {error}; give another --port, or 0 for any") from error
    Handler.port = server.server_port
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    served: Fresh
    port: int

    def do_GET(self) -> None:
        """Answer; a page of another site that was pointed at this address gets nothing."""
        if self.headers.get("Host") not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "served to this machine only")
        elif self.path == "/version":
            self._answer(HTTPStatus.OK, "text/plain", self.served.version())
        elif self.path == "/":
            try:
                self._answer(HTTPStatus.OK, "text/html", self.served.page())
            except UserError as error:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", str(error))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "nothing here; the report is at /")

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode("utf-8", errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of single requests."""
