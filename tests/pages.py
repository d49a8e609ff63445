"""Pages through the ASGI app: people with a browser's cookie, forms filled by their labels' fields, answers as HTML."""

import contextlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.errors import Invalid
from core.erp.kernel.unit import Unit, system, unit
from core.settings import Settings
from core.web.desks.logistics.logger_files import FileImportPort
from core.web.desks.simulators.port import Simulators
from core.web.desks.sources.port import Sources
from core.web.frame.installing import install
from core.wiring import build_events
from tests.serving import serving

PASSWORD = "correct horse battery"


class Importer:
    """Takes what begins with a number of readings, and nothing else."""

    async def read(self, name: str, data: bytes, fields: Mapping[str, object], now: datetime) -> Any:
        del now
        if not data[:1].isdigit():
            raise Invalid("ingest.mapping_unreadable", file=name, why="no number")
        return int(data), fields

    def import_upload(self, u: Unit, upload: Any) -> dict[str, Any]:
        del u
        count, fields = upload
        file = {"name": "x", "kind": "csv", "device": "", "serial": "7", "readings": count, "authenticity": None}
        return {
            **dict.fromkeys(("before", "after", "between", "duplicates", "conflicts"), 0),
            **dict.fromkeys(("excursions", "holds"), ()),
            "dry_run": fields["dry_run"],
            "counted": count,
            "refused": {},
            "file": file | {"doubts": [], "doubts_in_all": 0},
        }


@dataclass(frozen=True)
class Browser:
    """One person at the pages."""

    app: FastAPI
    client: httpx.Client
    login: str

    def sign_in(self, password: str = PASSWORD, back: str = "/") -> httpx.Response:
        return self.client.post("/login", data={"login": self.login, "password": password, "back": back})

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, (answer.status_code, answer.headers.get("location"), answer.text[:2000])
        return answer.text

    def send(self, path: str, fields: Mapping[str, Any], status: int = 303) -> httpx.Response:
        """Opens the form, fills it and sends it. What is sent is as a browser sends it."""
        answer = self.client.post(path, data={**filled(self.form(path)), **fields})
        assert answer.status_code == status, (answer.status_code, text_of(answer.text)[:2000])
        return answer

    def form(self, path: str) -> str:
        """The part of the page that is the form for that address."""
        page = self.get(path)
        found = re.search(rf'<form[^>]*action="{re.escape(path.partition("?")[0])}".*?</form>', page, re.DOTALL)
        assert found is not None, page[:2000]
        return found[0]


def filled(form: str) -> dict[str, str | list[str]]:
    """What a browser sends of a form as it stands."""
    found: dict[str, str | list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        about = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" not in about or (about.get("type") in {"checkbox", "radio"} and " checked" not in tag):
            continue
        value = html.unescape(about.get("value", ""))
        old = found.get(about["name"])
        found[about["name"]] = value if old is None else [*(old if isinstance(old, list) else [old]), value]
    for name, value in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        found[name] = html.unescape(value)
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = html.unescape(chosen[1]) if chosen else ""
    return found


def text_of(page: str) -> str:
    """What is read on a page: without tags, spaces one."""
    bare = re.sub(r"(?s)<(script|style|svg).*?</\1>", " ", page)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare))).strip()


@contextmanager
def pages(
    engine: Engine,
    folder: Path,
    people: Mapping[str, Sequence[str]],
    places: Mapping[str, Place] | None = None,
    take: FileImportPort | None = None,
    simulators: Simulators | None = None,
    sources: Sources | None = None,
) -> Iterator[dict[str, Browser]]:
    """The core with its pages, and these people (login: roles), each signed in at a browser of their own."""
    with pytest.MonkeyPatch.context() as patched:
        cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        patched.setattr(passwords, "hasher", lambda: cheap)
        with unit(engine, system("test"), build_events()) as u:
            for login, roles in people.items():
                create_user(u, login, login.title(), PASSWORD, roles, place=(places or {}).get(login))
        settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=folder)
        app = create_app(settings, engine, run_background=False)
        install(app, take, simulators, sources)
        with serving(app) as client, contextlib.ExitStack() as open_clients:
            found = {}
            for login in people:
                own = httpx.Client(base_url=client.base_url, headers={"accept-language": "en"}, timeout=30)
                found[login] = Browser(app, open_clients.enter_context(own), login)
                assert found[login].sign_in().status_code == 303
            yield found
