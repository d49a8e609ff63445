"""Sessions end everywhere at once, and only a wall display's goes on by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.kernel import passwords, tokens
from core.erp.kernel.access import users
from core.erp.kernel.errors import Forbidden, Unauthenticated
from core.erp.kernel.model import User
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.wiring import build_events
from tests.serving import serving

PASSWORD = "correct horse battery"
KEY = "s" * 40
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, User]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        made = [users.create_user(u, name, name.title(), PASSWORD, [name]) for name in ("qa", "display", "admin")]
    return {user.login: user for user in made}


@pytest.fixture
def two(engine: Engine, people: dict[str, User], tmp_path: Path) -> Iterator[list[httpx.Client]]:
    """Two instances of the core on one database."""
    del people
    settings = Settings(instance="test", secret_key=SecretStr(KEY), data_dir=tmp_path)
    apps = [create_app(settings, engine, run_background=False) for _ in range(2)]
    with serving(apps[0]) as one, serving(apps[1]) as other:
        yield [one, other]


def signed_in(client: httpx.Client, login: str, password: str = PASSWORD) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": password})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def me(client: httpx.Client, who: dict[str, str]) -> int:
    return client.get("/api/v1/me", headers=who).status_code


def test_signing_out_on_one_instance_ends_the_session_on_the_other(two: list[httpx.Client]) -> None:
    one, other = two
    who, again = signed_in(one, "qa"), signed_in(other, "qa")
    assert (me(one, who), me(other, who)) == (200, 200)
    assert other.post("/api/v1/token/revoke", headers=who).json() == {"signed_out": True}
    for client in two:
        refused = client.get("/api/v1/me", headers=who)
        assert (refused.status_code, refused.json()["why"]) == (401, "out")
        assert me(client, again) == 200, "another session of the same person goes on"
    assert one.post("/api/v1/token/revoke").status_code == 401
    assert one.post("/api/v1/token/revoke", headers={"Authorization": "Bearer x"}).status_code == 200


def test_a_new_password_ends_every_session_and_a_new_role_none(
    two: list[httpx.Client], people: dict[str, User]
) -> None:
    one, other = two
    who, admin = signed_in(one, "qa"), signed_in(one, "admin")
    path = f"/api/v1/users/{people['qa'].id}/change"
    assert one.post(path, json={"roles": ["qa", "warehouse"]}, headers=admin).status_code == 200
    assert me(other, who) == 200
    assert one.post(path, json={"password": "another horse battery"}, headers=admin).status_code == 200
    assert me(other, who) == 401
    once = signed_in(other, "qa", "another horse battery")
    assert other.get("/api/v1/me", headers=once).json()["one_time"] is True


def fresh(people: dict[str, User], login: str, at: datetime) -> str:
    return tokens.issue_token(people[login], KEY, at, 15)[0]


def test_a_display_is_renewed_within_a_day_and_for_a_month(engine: Engine, people: dict[str, User]) -> None:
    now = datetime.now(UTC)
    token = fresh(people, "display", now - 20 * MINUTE)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.actor_of(engine, token, KEY)
    renewed, lasts = tokens.renew(engine, token, KEY, now, 15)
    assert lasts == 900
    assert tokens.actor_of(engine, renewed, KEY).login == "display"
    with pytest.raises(Unauthenticated, match="too old"):
        tokens.renew(engine, token, KEY, now + timedelta(hours=25), 15)
    began = now - timedelta(days=31)
    renewed = fresh(people, "display", began)
    for day in range(1, 30):
        renewed, _ = tokens.renew(engine, renewed, KEY, began + timedelta(days=day), 15)
    with pytest.raises(Unauthenticated, match="too old"):  # however often it is renewed
        tokens.renew(engine, renewed, KEY, began + timedelta(days=30), 15)


def test_nobody_else_is_renewed_nor_a_display_signed_out(engine: Engine, people: dict[str, User]) -> None:
    now = datetime.now(UTC)
    for login in ("qa", "admin"):
        with pytest.raises(Forbidden):
            tokens.renew(engine, fresh(people, login, now), KEY, now, 15)
    token = fresh(people, "display", now)
    renewed, _ = tokens.renew(engine, token, KEY, now, 15)
    tokens.revoke(engine, token, KEY, now)
    for gone in (token, renewed):
        with pytest.raises(Unauthenticated, match="signed out"):
            tokens.renew(engine, gone, KEY, now, 15)
    with pytest.raises(Unauthenticated, match="not a valid"):
        tokens.renew(engine, fresh(people, "display", now)[:-2] + "xx", KEY, now, 15)


def test_what_is_signed_out_is_forgotten_when_it_could_not_be_used_anyway(
    engine: Engine, people: dict[str, User]
) -> None:
    def kept() -> Any:
        with engine.connect() as conn:
            return conn.scalar(text("SELECT count(*) FROM revoked_token"))

    for at in (NOW, NOW + MINUTE):
        tokens.revoke(engine, fresh(people, "qa", at), KEY, at)
    assert kept() == 2
    tokens.revoke(engine, "no token at all", KEY, NOW)
    tokens.revoke(engine, fresh(people, "qa", NOW + timedelta(days=31)), KEY, NOW + timedelta(days=31))
    assert kept() == 1


def test_a_display_reads_and_does_nothing_else(two: list[httpx.Client]) -> None:
    wall = signed_in(two[0], "display")
    assert two[0].get("/api/v1/me", headers=wall).json()["permits"] == [
        "catalog.read",
        "custody.read",
        "exposure.read",
        "production.read",
        "quality.read",
        "restoration.read",
        "schedule.read",
        "shipment.read",
        "stock.read",
    ]
    assert two[0].get("/api/v1/sublots", headers=wall).status_code == 200
    assert two[0].post("/api/v1/holds", headers=wall, json={"lot_id": 1, "reason": "r"}).status_code == 403
    answer = two[1].post("/api/v1/token/renew", headers=wall)
    assert me(two[0], {"Authorization": f"Bearer {answer.json()['access_token']}"}) == 200
