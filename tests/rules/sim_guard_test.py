"""The door every simulator passes: only an instance marked `test`, here and by the core's own word."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from rich.console import Console

from simulators.guard import LiveInstance, require_test_instance
from simulators.run import simulate
from tests.servers import free_port


@dataclass
class Said:
    instance: str | None
    api_url: str | None = None


@pytest.mark.parametrize("mark", [None, "", "live", "Test", "testing", " test"])
def test_only_the_mark_test_is_let_in(mark: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LiveInstance, match="LOTWISE_INSTANCE"):
        require_test_instance(Said(mark))
    if mark is None:
        monkeypatch.delenv("LOTWISE_INSTANCE", raising=False)
    else:
        monkeypatch.setenv("LOTWISE_INSTANCE", mark)
    with pytest.raises(LiveInstance):
        require_test_instance()


def test_the_environment_says_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")
    monkeypatch.delenv("LOTWISE_API_URL", raising=False)
    require_test_instance()


@pytest.fixture
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """A core that answers what the test says."""
    status, body = request.param

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/v1/instance" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps quiet."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("core", [(200, json.dumps({"instance": "test", "more": 1}).encode())], indirect=True)
def test_a_core_that_says_test_is_let_in(core: str) -> None:
    require_test_instance(Said("test", core))


REFUSED = [
    (200, b'{"instance": "live"}'),
    (200, b'{"instance": null}'),
    (200, b"[]"),
    (200, b"<html>"),
    (500, b'{"instance": "test"}'),
]


@pytest.mark.parametrize("core", REFUSED, indirect=True)
def test_a_core_that_does_not_say_test_is_refused_with_exit_code_2(core: str) -> None:
    with pytest.raises(LiveInstance):
        require_test_instance(Said("test", core))
    assert simulate("truck_door", settings=Said("test", core), console=Console(quiet=True)) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:PORT", "ftp://core", "file:///etc/passwd", "core"])
def test_a_core_that_cannot_be_asked_is_refused(url: str) -> None:
    url = url.replace("PORT", str(free_port()))  # not in the name: each worker would have its own
    with pytest.raises(LiveInstance):
        require_test_instance(Said("test", url))


def test_a_live_instance_is_refused_with_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulate("truck_door", settings=Said("live"), console=Console(quiet=True)) == 2
    monkeypatch.setenv("LOTWISE_INSTANCE", "live")
    assert simulate("truck_door", console=Console(quiet=True)) == 2
