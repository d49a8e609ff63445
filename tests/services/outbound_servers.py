"""Real HTTP servers in the test's process: one speaks Grafana's annotation API, one receives webhooks."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glsa_test"


class _Server(ThreadingHTTPServer):
    """Keeps what it was told; `answers` are given to the next posts; `fail` answers the next requests with these
    codes, `delay` is slept before answering.

    `blind`: so many searches find nothing, as if they had come before what another is just writing.
    """

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.annotations: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[object] = []
        self.fail: list[int] = []
        self.delay = 0.0
        self.blind = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Says nothing."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up waiting: that is what some tests want

    def refused(self) -> bool:
        time.sleep(self.server.delay)
        if self.server.fail:
            status = self.server.fail.pop(0)
            self.answer(status, {"message": f"told to say {status}"})
            return True
        return False


class _Grafana(_Handler):
    """GET, POST, PATCH and DELETE of /grafana/api/annotations, with a bearer token, as Grafana documents them."""

    def _do(self, method: str) -> None:
        body = self.body()
        parts = urlsplit(self.path)
        self.server.requests.append((method, parts.path))
        if self.refused():
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"message": "Invalid API key"})
            return
        match = re.fullmatch(r"/grafana/api/annotations(?:/(\d+))?", parts.path)
        if match is None:
            self.answer(404, {"message": "Not found"})
        elif method == "GET":
            self.answer(200, self._found(parse_qs(parts.query)))
        elif method == "POST":
            new = max(self.server.annotations, default=0) + 1
            self.server.annotations[new] = {"id": new, **json.loads(body)}
            self.answer(200, {"message": "Annotation added", "id": new})
        elif match[1] and int(match[1]) in self.server.annotations and method == "DELETE":
            del self.server.annotations[int(match[1])]
            self.answer(200, {"message": "Annotation deleted"})
        elif match[1] and int(match[1]) in self.server.annotations:
            self.server.annotations[int(match[1])].update(json.loads(body))
            self.answer(200, {"message": "Annotation patched"})
        else:
            self.answer(404, {"message": "Annotation not found"})

    def _found(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        wanted = set(query.get("tags", []))
        assert query.get("type") == ["annotation"]
        if self.server.blind:
            self.server.blind -= 1
            return []
        return [row for row in self.server.annotations.values() if wanted <= set(row["tags"])]

    def do_GET(self) -> None:
        self._do("GET")

    def do_POST(self) -> None:
        self._do("POST")

    def do_PATCH(self) -> None:
        self._do("PATCH")

    def do_DELETE(self) -> None:
        self._do("DELETE")


class _Receiver(_Handler):
    def do_POST(self) -> None:
        body = self.body()
        if not self.refused():
            headers = dict(self.headers.items())
            self.server.received.append((headers, body))
            self.server.posts.append((self.path, headers, body))
            self.answer(200, self.server.answers.pop(0) if self.server.answers else {})


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]) -> Iterator[_Server]:
    server = _Server(handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def grafana() -> Any:
    """A running server that speaks Grafana's annotation API under /grafana."""
    return _running(_Grafana)


def receiver() -> Any:
    """A running server that takes webhooks."""
    return _running(_Receiver)
