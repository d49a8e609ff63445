"""A site's calendar: begun with the site, changed by whoever may, and told what it cannot be."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.catalog.service import create_site
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import STANDARD, due, working_days
from core.erp.kernel.events import Events
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.wiring import build_events
from tests.serving import serving

PASSWORD = "correct horse battery"
NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)
SYSTEM = system("test")
GOLDEN_WEEK = [{"day": f"2026-10-0{n}", "name": "国庆节"} for n in range(1, 9)]
WORKED = {"day": "2026-10-10", "name": "调休上班", "hours": ["08:00-17:00"]}


@pytest.fixture
def client(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Two sites; pat plans for the first, wanda keeps the store there, olga plans for the second."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, SYSTEM, build_events()) as u:
        sites = [
            create_site(u, code, code, zone).id for code, zone in (("sha", "Asia/Shanghai"), ("zrh", "Europe/Zurich"))
        ]
        for login, role, site in (("pat", "planner", 0), ("wanda", "warehouse", 0), ("olga", "planner", 1)):
            create_user(u, login, login, PASSWORD, [role], place=Place((sites[site],)))
    settings = Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        yield client


def signed_in(client: httpx.Client, login: str) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_site_has_a_calendar_and_a_planner_keeps_its_holidays(client: httpx.Client, engine: Engine) -> None:
    pat, wanda, olga = (signed_in(client, login) for login in ("pat", "wanda", "olga"))
    (listed,) = client.get("/api/v1/calendars", headers=pat).json()["items"]
    path = f"/api/v1/calendars/{listed['id']}"
    assert (listed["timezone"], listed["week"]["sat"], listed["days"]) == ("Asia/Shanghai", [], [])
    version = client.get(path, headers=wanda).json()["version"]
    change = {"days": [WORKED, *GOLDEN_WEEK], "version": version}
    assert client.patch(path, json=change, headers=wanda).status_code == 403
    assert client.patch(path, json=change, headers=olga).status_code == 404
    assert client.get(path, headers=olga).status_code == 404
    answer = client.patch(path, json=change, headers=pat)
    assert answer.status_code == 200, answer.text
    assert [one["day"] for one in answer.json()["days"]][-2:] == ["2026-10-08", "2026-10-10"]
    assert client.patch(path, json=change, headers=pat).status_code == 409  # somebody has seen an older one
    with unit(engine, SYSTEM, Events(), NOW) as u:
        found = calendars.of(u, listed["site_id"])
        assert due(found, NOW, working_days(2)) == datetime(2026, 10, 10, 9, tzinfo=UTC)
        assert calendars.today(u, listed["site_id"]).isoformat() == "2026-09-30"
        assert calendars.of(u, None) is calendars.of(u, 999) is STANDARD
    entries = client.get(f"{path}/history", headers=pat).json()["items"]
    assert [one["action"] for one in entries] == ["work_calendar.change", "work_calendar.create"]


@pytest.mark.parametrize(
    ("change", "ident"),
    [
        ({"week": {"mon": ["17:00-08:00"]}}, "calendars.bad_hours"),
        ({"week": {}}, "calendars.never_works"),
        ({"week": {"montag": ["08:00-17:00"]}}, "calendars.no_weekday"),
        ({"days": [WORKED, WORKED]}, "calendars.day_twice"),
        (
            {"days": [{"day": "2026-10-10", "name": "x", "hours": ["08:00-12:00", "11:00-13:00"]}]},
            "calendars.hours_overlap",
        ),
    ],
)
def test_what_is_no_calendar(client: httpx.Client, engine: Engine, change: dict[str, object], ident: str) -> None:
    pat = signed_in(client, "pat")
    answer = client.patch("/api/v1/calendars/1", json=change | {"version": 1}, headers=pat)
    version = client.get("/api/v1/calendars/1", headers=pat).json()["version"]
    answer = client.patch("/api/v1/calendars/1", json=change | {"version": version}, headers=pat)
    assert (answer.status_code, answer.json().get("id")) == (422, ident), answer.text
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM audit WHERE action = 'work_calendar.change'")) == 0
