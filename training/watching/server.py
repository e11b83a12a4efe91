"""The web server behind `serlds watch`: loopback only, read only, and only what the page needs.

A browser shows the page under a name of this machine alone: a request that names another host is
refused, so that a foreign site cannot reach the run by pointing its own name at 127.0.0.1 (DNS
rebinding). Videos are served by name from a list that is read afresh; no path of a request is ever
joined to a directory.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ... import page
from ...datasets.errors import SerldsError, UsageError
from .episode_video import EpisodeVideo
from .feed import RunFeed, offset, title

HOST = "127.0.0.1"
_TEMPLATE = Path(__file__).with_name("watch.html")
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class WatchServer(ThreadingHTTPServer):
    """Serves the live page of one run on loopback."""

    daemon_threads = True

    def __init__(self, run: Path, port: int = 0) -> None:
        """Listens; `serve_forever` answers.

        Args:
            run: Directory of the run.
            port: To listen on; 0 takes any free one.

        Raises:
            UsageError: There is no run, or the port is taken.
        """
        self.feed = RunFeed(run)
        self.episode_video = EpisodeVideo(self.feed.directory)
        self.lock = Lock()  # the feed is not for several threads
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--port {port}: cannot listen on {HOST}:{port}: {error}; give another, or none "
                f"for any free one"
            ) from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def page(self, nonce: str) -> str:
        """The page, whose script carries `nonce`."""
        with self.lock:
            return page.render(_TEMPLATE, title=title(self.feed.record), nonce=nonce)

    def state(self) -> dict[str, Any]:
        """What changes slowly."""
        with self.lock:
            return {**self.feed.state(), "episode": self.episode_video.newest()}

    def lines(self, query: dict[str, str]) -> dict[str, Any]:
        """New lines of metrics."""
        run = query.pop("run", "")
        offsets = {process: offset(process, text) for process, text in query.items()}
        with self.lock:
            return self.feed.lines(run, offsets)

    def video(self, name: str) -> bytes | None:
        """A video of an evaluation, by its file's name; None when there is none."""
        with self.lock:
            path = self.feed.videos().get(name)
        return path.read_bytes() if path and path.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer
    server_version = "serlds"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answers a request."""
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser went on to something else
        except UsageError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except (SerldsError, OSError) as error:
            self._send_json({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the page asks every second."""

    def _answer(self) -> None:
        if not _HOSTS.fullmatch(self.headers.get("Host", "")):
            self._send_json({"error": "this page is for this machine"}, HTTPStatus.FORBIDDEN)
            return
        address = urlsplit(self.path)
        answers: dict[str, Callable[[], None]] = {
            "/": self._send_page,
            "/state": lambda: self._send_json(self.server.state()),
            "/metrics": lambda: self._send_json(self.server.lines(dict(parse_qsl(address.query)))),
            "/episode.mp4": lambda: self._send_video(self.server.episode_video.read()),
        }
        kind, _, name = address.path.removeprefix("/").partition("/")
        if answer := answers.get(address.path):
            answer()
        elif kind == "evals":
            self._send_video(self.server.video(unquote(name)))
        else:
            self._send_json({"error": "there is no such page"}, HTTPStatus.NOT_FOUND)

    def _send_page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        rules = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; "
            "connect-src 'self'; media-src 'self'; img-src data:; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        content = self.server.page(nonce).encode()
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": rules}
        self._send(HTTPStatus.OK, headers, content)

    def _send_json(self, values: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(values).encode())

    def _send_video(self, content: bytes | None) -> None:
        if content is None:
            self._send_json({"error": "there is no such video"}, HTTPStatus.NOT_FOUND)
            return
        headers = {"Content-Type": "video/mp4", "Accept-Ranges": "bytes"}
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not asked:
            self._send(HTTPStatus.OK, headers, content)
            return
        start, end = int(asked[1]), int(asked[2] or len(content) - 1)
        if start >= len(content) or end < start:
            headers["Content-Range"] = f"bytes */{len(content)}"
            self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers, b"")
            return
        end = min(end, len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self._send(HTTPStatus.PARTIAL_CONTENT, headers, content[start : end + 1])

    def _send(self, status: HTTPStatus, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
