"""A stand-in for Grafana that answers as its documentation of the HTTP API says (folders, dashboards, data sources,
alerting provisioning): statuses, messages and shapes. It stores; it draws nothing.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

EDITOR, VIEWER = "glsa_editor", "glsa_viewer"
Answer = tuple[int, object]


class Grafana:
    """What it has; tests put things there as people would."""

    def __init__(self) -> None:
        self.version = "11.6.0"
        self.folders: dict[str, dict[str, Any]] = {}
        self.boards: dict[str, list[dict[str, Any]]] = {}
        """By uid: the versions, the newest last; each with its model, message and who saved it."""
        self.provisioned: set[str] = set()
        self.sources: dict[str, dict[str, Any]] = {}
        self.broken: dict[str, str] = {}
        """By data source: why it does not work."""
        self.rules: dict[str, dict[str, Any]] = {}
        self.contacts: list[dict[str, Any]] = [{"name": "grafana-default-email", "type": "email"}]
        self.mutes: list[dict[str, Any]] = []
        self.policy: dict[str, Any] = {"receiver": "grafana-default-email", "routes": [{"receiver": "theirs"}]}
        self.writes: list[tuple[str, str]] = []
        self.before_save: Callable[[], None] = lambda: None
        self.page = False
        """Whether everything is answered with a page, as by a proxy in front of something else."""
        self.url = ""

    def save(self, model: dict[str, Any], message: str, by: str) -> int:
        """A new version of a board."""
        versions = self.boards.setdefault(model["uid"], [])
        number = len(versions) + 1
        stored = {**model, "id": 100 + len(self.boards), "version": number}
        versions.append({"model": stored, "message": message, "by": by, "version": number})
        return number

    def edit(self, uid: str, change: Callable[[dict[str, Any]], None], by: str = "anna") -> None:
        """Somebody changes a board in the browser."""
        model = json.loads(json.dumps(self.boards[uid][-1]["model"]))
        change(model)
        self.save(model, "", by)

    def answer(self, method: str, path: str, token: str, body: Any) -> Answer:
        """As Grafana."""
        if path == "/health":
            return 200, {"database": "ok", "version": self.version}
        if token not in {EDITOR, VIEWER}:
            return 401, {"message": "Invalid API key"}
        if method != "GET":
            if token == VIEWER:
                return 403, {"message": "You'll need additional permissions to perform this action."}
            self.writes.append((method, path))
        for prefix, handle in (
            ("/search", lambda *_: (200, [])),
            ("/folders", self._folder),
            ("/dashboards/uid/", self._board),
            ("/dashboards/db", self._save),
            ("/datasources/uid/", self._source),
            ("/v1/provisioning/alert-rules", self._rule),
            ("/v1/provisioning/", self._alerting),
        ):
            if path.startswith(prefix):
                return handle(method, path.removeprefix(prefix), body)
        return 404, {"message": "Not found"}

    def _folder(self, method: str, rest: str, body: Any) -> Answer:
        if method == "POST":
            self.folders[body["uid"]] = body
            return 200, body
        found = self.folders.get(rest.strip("/"))
        return (200, found) if found else (404, {"message": "folder not found"})

    def _board(self, _method: str, rest: str, _body: Any) -> Answer:
        uid, _, what = rest.partition("/")
        versions = self.boards.get(uid)
        if not versions:
            return 404, {"message": "Dashboard not found"}
        last = versions[-1]
        if what == "versions":
            shown = [{"version": v["version"], "message": v["message"], "createdBy": v["by"]} for v in versions[::-1]]
            return 200, {"continueToken": "", "versions": shown[:1]}
        meta = {
            "version": last["version"],
            "provisioned": uid in self.provisioned,
            "updatedBy": last["by"],
            "updated": datetime(2026, 3, 5, tzinfo=UTC).isoformat(),
        }
        return 200, {"dashboard": last["model"], "meta": meta}

    def _save(self, _method: str, _rest: str, body: Any) -> Answer:
        self.before_save()
        model, uid = body["dashboard"], body["dashboard"]["uid"]
        if uid in self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if body["folderUid"] not in self.folders:
            return 404, {"message": "folder not found"}
        standing = self.boards.get(uid)
        if standing and not body["overwrite"] and model.get("version") != standing[-1]["version"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        number = self.save(model, body["message"], "sa-lotwise")
        return 200, {"uid": uid, "status": "success", "version": number}

    def _source(self, _method: str, rest: str, _body: Any) -> Answer:
        uid, _, what = rest.partition("/")
        if uid not in self.sources:
            return 404, {"message": "Data source not found"}
        if what == "health":
            why = self.broken.get(uid)
            return (400, {"message": why, "status": "ERROR"}) if why else (200, {"message": "OK", "status": "OK"})
        return 200, self.sources[uid]

    def _rule(self, method: str, rest: str, body: Any) -> Answer:
        uid = rest.strip("/")
        if method == "POST":
            self.rules[body["uid"]] = {**body, "id": len(self.rules) + 1, "updated": "2026-03-05T00:00:00Z"}
            return 201, self.rules[body["uid"]]
        if uid not in self.rules:
            return 404, {"message": "alert rule not found"}
        if method == "PUT":
            self.rules[uid] = {**self.rules[uid], **body}
        return 200, self.rules[uid]

    def _alerting(self, method: str, what: str, body: Any) -> Answer:
        if what == "policies":
            if method == "PUT":
                self.policy = body
                return 202, {"message": "policies updated"}
            return 200, self.policy
        kept = self.contacts if what == "contact-points" else self.mutes
        if method == "POST":
            kept.append(body)
            return 202 if what == "contact-points" else 201, body
        return 200, kept


@contextmanager
def grafana_stand_in() -> Iterator[Grafana]:
    """A running one, below /grafana."""
    state = Grafana()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            if state.page or not path.startswith("/grafana/api"):
                self._say(200, b"<html>Sign in</html>", "text/html")
                return
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            given = json.loads(body) if body else None
            status, value = state.answer(self.command, path.removeprefix("/grafana/api"), token, given)
            self._say(status, json.dumps(value).encode(), "application/json")

        def _say(self, status: int, data: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def do_PUT(self) -> None:
            self._do()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/grafana"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
