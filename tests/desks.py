"""People at the API: each signed in, asking and posting as programs do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.wiring import build_events
from tests.serving import serving

PASSWORD = "correct horse battery"


class Desk:
    """Somebody at the API. What is answered with another status than expected fails the test."""

    def __init__(self, client: httpx.Client, login: str, *, language: str = "en") -> None:
        self.client = client
        token = client.post("/api/v1/token", data={"username": login, "password": PASSWORD}).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        return self._answered(self.client.get(f"/api/v1{path}", params=params, headers=self.headers), status)

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return self.send("POST", path, status, **body)

    def patch(self, path: str, status: int = 200, **body: Any) -> Any:
        return self.send("PATCH", path, status, **body)

    def send(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        return self._answered(self.client.request(method, f"/api/v1{path}", json=body, headers=self.headers), status)

    def attach(self, path: str, content: bytes, name: str, status: int = 201) -> Any:
        files = {"file": (name, content)}
        answer = self.client.post(f"/api/v1{path}/attachments", files=files, data={"title": name}, headers=self.headers)
        return self._answered(answer, status)

    @staticmethod
    def _answered(answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, answer.text
        return answer.json()


@contextmanager
def office(
    engine: Engine,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    people: Mapping[str, Sequence[str]],
    places: Mapping[str, Place] | None = None,
) -> Iterator[dict[str, Desk]]:
    """The API with these people (login: roles), each at a desk. Hashing of passwords costs next to nothing."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        for login, roles in people.items():
            create_user(u, login, login.title(), PASSWORD, roles, place=(places or {}).get(login))
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=folder)
    with serving(create_app(settings, engine, run_background=False)) as client:
        yield {login: Desk(client, login) for login in people}


def seat(engine: Engine, client: httpx.Client, login: str, roles: Sequence[str], place: Place | None = None) -> Desk:
    """One more person at a desk of the same office."""
    with unit(engine, system("test"), build_events()) as u:
        create_user(u, login, login.title(), PASSWORD, roles, place=place)
    return Desk(client, login)
