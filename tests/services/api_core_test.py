"""The API's frame: sign-in, problems, pages, idempotency, permits; and the routes of catalog, lots and custody."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from jsonschema import Draft202012Validator
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, event, text

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.queries import user_id
from core.erp.kernel.access.users import approve_user, create_user
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.wiring import build_events
from tests.serving import serving
from tests.world import RELEASE

PASSWORD = "correct horse battery"
SECRET = "s" * 40


@dataclass
class Api:
    client: httpx.Client
    engine: Engine

    def sign_in(self, login: str, password: str = PASSWORD) -> dict[str, str]:
        answer = self.client.post("/api/v1/token", data={"username": login, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def own_password(self, login: str, one_time: str) -> dict[str, str]:
        """Signs in with what an administrator gave, chooses PASSWORD, and signs in with that."""
        chosen = {"password": one_time, "new_password": PASSWORD}
        assert self.post("/password", self.sign_in(login, one_time), chosen).status_code == 200
        return self.sign_in(login)

    def post(self, path: str, who: dict[str, str], body: Any = None, **headers: str) -> Any:
        return self.client.post(f"/api/v1{path}", json={} if body is None else body, headers={**who, **headers})

    def get(self, path: str, who: dict[str, str], **params: Any) -> Any:
        return self.client.get(f"/api/v1{path}", params=params, headers=who)


@pytest.fixture
def api(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    events = build_events()
    with unit(engine, system("test"), events) as u:
        for login, roles in (
            ("admin", ["admin"]),
            ("store", ["warehouse"]),
            ("quality", ["qa"]),
            ("release", ["responsible_person"]),
            ("engineer", ["plant_engineer"]),
        ):
            create_user(u, login, login.title(), PASSWORD, roles)
    settings = Settings(instance="test", secret_key=SecretStr(SECRET), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        yield Api(client, engine)


@dataclass
class Plant:
    admin: dict[str, str]
    store: dict[str, str]
    quality: dict[str, str]
    zone: int
    pen: int
    item: int


@pytest.fixture
def plant(api: Api) -> Plant:
    admin, store, quality = api.sign_in("admin"), api.sign_in("store"), api.sign_in("quality")
    engineer = api.sign_in("engineer")
    site = api.post("/sites", admin, {"code": "north", "name": "North", "timezone": "Europe/Berlin"}).json()
    zones = [
        api.post(
            "/zones",
            admin,
            {
                "site_id": site["id"],
                "address": f"north/store/{name}",
                "name": name,
                "band_low": 2,
                "band_high": 8,
                "accepts_held": name == "pen",
            },
        ).json()["id"]
        for name in ("cold", "pen")
    ]
    profile = api.post("/profiles", quality, {"code": "cold", "name": "2 to 8"}).json()
    version = api.post(
        f"/profiles/{profile['id']}/versions",
        quality,
        {
            "allowed_gap": "PT30M",
            "limits": [{"key": "high", "op": ">", "threshold": 8, "kind": "consecutive", "delay": "PT1H"}],
        },
    )
    assert version.status_code == 201, version.text
    assert version.json()["limits"][0]["delay"] == "PT1H"
    item = api.post("/items", admin, {"code": "vaccine", "name": "Vaccine", "profile_id": profile["id"]})
    assert item.status_code == 201, item.text
    point = api.post(
        "/points",
        engineer,
        {
            "zone_id": zones[0],
            "address": "north/store/cold/probe/temperature",
            "quantity": "temperature",
            "unit": "Cel",
        },
    )
    assert point.status_code == 201, point.text
    sensor = api.post("/sensors", engineer, {"serial": "PT-1"}).json()
    now = datetime.now(UTC)
    assert (
        api.post(
            "/installations",
            engineer,
            {
                "sensor_id": sensor["id"],
                "point_id": point.json()["id"],
                "from_at": now.isoformat(),
            },
        ).status_code
        == 201
    )
    assert (
        api.post(
            "/calibrations",
            quality,
            {
                "sensor_id": sensor["id"],
                "done_at": now.isoformat(),
                "due_at": (now + timedelta(days=365)).isoformat(),
            },
        ).status_code
        == 201
    )
    with api.engine.begin() as conn:
        conn.execute(
            text("INSERT INTO zone_judged (zone_id, last_good_at, version) VALUES (:z, now(), 1)"), {"z": zones[0]}
        )
    return Plant(admin, store, quality, zones[0], zones[1], item.json()["id"])


def received(api: Api, plant: Plant, number: str = "A1", amount: str = "100") -> dict[str, Any]:
    lot = api.post("/lots", plant.store, {"item_id": plant.item, "number": number, "expiry": "2099-01-01"}).json()
    answer = api.post(f"/lots/{lot['id']}/receive", plant.store, {"amount": amount, "zone_id": plant.zone})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def release(api: Api, sublot: int) -> None:
    with api.engine.begin() as conn:
        conn.execute(RELEASE, {"id": sublot})


SALE = {"amount": "10", "target": "customer", "purpose": "sale", "reference": "shipment:1"}


def test_from_receipt_to_dispatch(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    assert (sublot["state"], sublot["on_hand"], sublot["zone_id"], sublot["held"]) == (
        "quarantine",
        "100",
        plant.zone,
        False,
    )
    refused = api.post(f"/sublots/{sublot['id']}/move", plant.store, SALE)
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert [o["kind"] for o in refused.json()["obstacles"]] == ["unreleased"]
    release(api, sublot["id"])
    assert api.get(f"/sublots/{sublot['id']}/movable", plant.store, purpose="sale").json()["movable"] is True
    assert api.post(f"/sublots/{sublot['id']}/move", plant.store, SALE).status_code == 201
    held = api.post("/holds", plant.quality, {"sublot_id": sublot["id"], "reason": "complaint"})
    assert held.status_code == 201, held.text
    seen = api.get(f"/sublots/{sublot['id']}/movable", plant.store, purpose="sale").json()
    assert (seen["movable"], [o["kind"] for o in seen["obstacles"]]) == (False, ["held"])
    assert api.post(f"/sublots/{sublot['id']}/move", plant.store, SALE).status_code == 409
    hold = held.json()["id"]
    assert api.post(f"/holds/{hold}/lift", plant.store, {"reason": "fine"}).status_code == 403
    assert api.post(f"/holds/{hold}/lift", plant.quality, {"reason": " "}).status_code == 422
    assert api.post(f"/holds/{hold}/lift", plant.quality, {"reason": "fine"}).status_code == 200
    assert api.post(f"/holds/{hold}/lift", plant.quality, {"reason": "fine"}).status_code == 409
    assert api.post(f"/sublots/{sublot['id']}/move", plant.store, SALE).status_code == 201
    assert api.get(f"/sublots/{sublot['id']}", plant.store).json()["on_hand"] == "80"
    trail = api.get("/audit", plant.quality, entity="sublot", entity_id=str(sublot["id"])).json()["items"]
    assert [row["action"] for row in trail if row["action"] == "stock.move"] == ["stock.move"] * 2


def test_split_merge_transfer_and_custody(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    part = api.post(f"/sublots/{sublot['id']}/split", plant.store, {"amount": "40"}).json()
    assert part["on_hand"] == "40"
    moved = api.post(f"/sublots/{part['id']}/transfer", plant.store, {"zone_id": plant.pen})
    assert moved.status_code == 201, moved.text
    refused = api.post("/sublots/merge", plant.store, {"sublot_ids": [sublot["id"], part["id"]]})
    assert refused.status_code == 409
    api.post(f"/sublots/{part['id']}/transfer", plant.store, {"zone_id": plant.zone})
    merged = api.post("/sublots/merge", plant.store, {"sublot_ids": [sublot["id"], part["id"]]})
    assert merged.json()["on_hand"] == "100"
    early = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    late = api.post(f"/sublots/{merged.json()['id']}/custody", plant.store, {"zone_id": plant.pen, "at": early})
    assert late.status_code == 201
    stays = api.get(f"/sublots/{merged.json()['id']}/custody-intervals", plant.store).json()
    assert [stay["zone_id"] for stay in stays] == [plant.pen, plant.zone]
    before = api.get(f"/sublots/{merged.json()['id']}/custody-intervals", plant.store, known_at=early).json()
    assert before == []
    gone = api.post(f"/custody-facts/{late.json()['id']}/retract", plant.store, {"reason": "wrong label"})
    assert (gone.status_code, gone.json()["retracts_id"]) == (201, late.json()["id"])
    facts = api.get("/custody-facts", plant.store, sublot_id=merged.json()["id"]).json()["items"]
    assert [fact["id"] for fact in facts][-2:] == [late.json()["id"], gone.json()["id"]]
    stays = api.get(f"/sublots/{merged.json()['id']}/custody-intervals", plant.store).json()
    assert [stay["zone_id"] for stay in stays] == [plant.zone]
    here = api.get(f"/zones/{plant.zone}/custody-intervals", plant.store).json()
    assert [stay["sublot_id"] for stay in here] == [merged.json()["id"]]


def test_reserve_pick_consume(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    release(api, sublot["id"])
    made = api.post(
        f"/sublots/{sublot['id']}/reserve", plant.store, {"amount": "5", "purpose": "use", "reference": "work_order:1"}
    )
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert api.post(f"/reservations/{number}/pick", plant.store).json()["state"] == "picked"
    assert api.post("/holds", plant.quality, {"lot_id": sublot["lot_id"], "reason": "recall"}).status_code == 201
    refused = api.post(f"/reservations/{number}/consume", plant.store)
    assert (refused.status_code, [o["kind"] for o in refused.json()["obstacles"]]) == (409, ["held"])
    assert api.get("/reservations", plant.store, state="suspended").json()["items"][0]["id"] == number
    tasks = api.get("/stock-tasks", plant.store).json()["items"]
    assert {task["kind"] for task in tasks} == {"put_back", "reallocate"}
    assert api.post(f"/stock-tasks/{tasks[0]['id']}/done", plant.store).status_code == 200


def test_a_pick_asks_the_database_ten_times_and_for_the_permit_once(api: Api, plant: Plant) -> None:
    """Everybody in a warehouse waits for it; each statement is a message there and back. Signing in is another's."""
    sublot = received(api, plant)
    release(api, sublot["id"])
    wanted = {"amount": "5", "purpose": "use", "reference": "work_order:1"}
    number = api.post(f"/sublots/{sublot['id']}/reserve", plant.store, wanted).json()["id"]
    asked: list[str] = []

    def count(*call: Any) -> None:
        asked.append(call[2])

    event.listen(api.engine, "before_cursor_execute", count)
    try:
        picked = api.post(f"/reservations/{number}/pick", plant.store, **{"Idempotency-Key": "a pick"})
    finally:
        event.remove(api.engine, "before_cursor_execute", count)
    assert picked.json()["state"] == "picked"
    assert sum("FROM app_user" in statement for statement in asked) == 1
    assert len(asked) <= 10, asked


BAD = [
    ("/sublots/{s}/move", SALE | {"amount": "-1"}, 422),
    ("/sublots/{s}/move", SALE | {"amount": "0"}, 422),
    ("/sublots/{s}/move", SALE | {"amount": "NaN"}, 422),
    ("/sublots/{s}/move", SALE | {"amount": "1e40"}, 422),
    ("/sublots/{s}/move", SALE | {"amount": "0.0000001"}, 422),
    ("/sublots/{s}/move", SALE | {"purpose": "party"}, 422),
    ("/sublots/{s}/move", SALE | {"target": "stock"}, 422),
    ("/sublots/{s}/move", SALE | {"colour": "red"}, 422),
    ("/sublots/{s}/move", SALE | {"reference": "\x00"}, 422),
    ("/sublots/{s}/move", [], 422),
    ("/sublots/999999/move", SALE, 404),
    ("/sublots/99999999999999999999/move", SALE, 422),
    ("/sublots/{s}/split", {"amount": "101"}, 409),
    ("/sublots/{s}/custody", {"zone_id": 999999}, 404),
    ("/sublots/{s}/custody", {"zone_id": 1, "at": "2099-01-01T00:00:00Z"}, 422),
    ("/sublots/{s}/custody", {"zone_id": 1, "at": "2026-01-01T00:00:00"}, 422),
    ("/sublots/{s}/facts", SALE | {"at": "2099-01-01T00:00:00Z", "reason": "seen"}, 422),
    ("/lots", {"item_id": 1, "number": "A1", "expiry": "2099-01-01"}, 409),
    ("/lots", {"item_id": 999999, "number": "A1"}, 404),
    ("/nothing", {}, 404),
]


def test_bad_requests_are_problems_and_change_nothing(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    release(api, sublot["id"])
    for path, body, status in BAD:
        answer = api.post(path.format(s=sublot["id"]), plant.store, body)
        assert answer.status_code == status, (path, body, answer.text)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["type"]
        assert api.get(f"/sublots/{sublot['id']}", plant.store).json()["on_hand"] == "100"


def test_body_that_is_no_json(api: Api, plant: Plant) -> None:
    answer = api.client.post("/api/v1/lots", content=b"{", headers={**plant.store, "Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_permits(api: Api, plant: Plant) -> None:
    for who in (plant.store, plant.quality):
        assert api.post("/sites", who, {"code": "x", "name": "X"}).status_code == 403
    assert api.post("/holds", plant.admin, {"lot_id": 1, "reason": "r"}).status_code == 403
    assert api.get("/users", plant.store).status_code == 403
    assert api.get("/audit", plant.store).status_code == 403
    assert api.get("/sublots", {}).status_code == 401
    assert api.get("/sublots", {"Authorization": "Bearer nonsense"}).json()["title"] == "Not authenticated"


def test_stale_token_and_revoked_user(api: Api, plant: Plant) -> None:
    from core.erp.kernel.model import User
    from core.erp.kernel.tokens import issue_token

    user = User(id=2, login="store", name="Store", password_hash="", roles=["warehouse"], created_at=datetime.now(UTC))
    old, _ = issue_token(user, SECRET, datetime.now(UTC) - timedelta(hours=1), 15)
    stale = api.get("/sublots", {"Authorization": f"Bearer {old}"})
    assert (stale.status_code, "expired" in stale.json()["detail"]) == (401, True)
    forged, _ = issue_token(user, "another key that is long enough!", datetime.now(UTC), 15)
    assert api.get("/sublots", {"Authorization": f"Bearer {forged}"}).status_code == 401
    users = {u["login"]: u["id"] for u in api.get("/users", plant.admin).json()["items"]}
    assert api.post(f"/users/{users['store']}/change", plant.admin, {"active": False}).status_code == 200
    assert api.get("/sublots", plant.store).status_code == 401
    assert api.post(f"/users/{users['store']}/change", plant.admin, {"active": True}).status_code == 200
    assert api.get("/sublots", plant.store).status_code == 401, "the old session does not come back with the user"


def approved_at_the_machine(api: Api, login: str) -> None:
    """What `lotwise users approve` does."""
    with unit(api.engine, system("command line"), build_events()) as u:
        approve_user(u, user_id(u, login))


@pytest.mark.parametrize("change", [{"active": False}, {"roles": ["qa"]}])
def test_the_last_administrator_stays(api: Api, plant: Plant, change: dict[str, Any]) -> None:
    users = {u["login"]: u["id"] for u in api.get("/users", plant.admin).json()["items"]}
    refused = api.post(f"/users/{users['admin']}/change", plant.admin, change)
    assert (refused.status_code, "another administrator" in refused.json()["detail"]) == (409, True)
    assert api.post(f"/users/{users['store']}/change", plant.admin, {"roles": ["admin"]}).status_code == 200
    waits = api.post(f"/users/{users['admin']}/change", plant.admin, change)
    assert waits.status_code == 409, "one who waits for a second person is no other administrator yet"
    approved_at_the_machine(api, "store")
    assert api.post(f"/users/{users['admin']}/change", plant.admin, change).status_code == 200


def test_sign_in_is_rate_limited(api: Api) -> None:
    wrong = {"username": "store", "password": "guess"}
    for _ in range(5):
        assert api.client.post("/api/v1/token", data=wrong).status_code == 401
    assert api.client.post("/api/v1/token", data=wrong | {"password": PASSWORD}).status_code == 429
    nobody = api.client.post("/api/v1/token", data={"username": "nobody", "password": "guess"})
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "wrong login or password")


def test_pages(api: Api, plant: Plant) -> None:
    ids = [received(api, plant, f"N{n}")["id"] for n in range(5)]
    seen: list[int] = []
    cursor = None
    while True:
        page = api.get("/sublots", plant.store, limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [s["id"] for s in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids
    assert api.get("/sublots", plant.store, cursor="???").status_code == 422
    assert api.get("/sublots", plant.store, limit=0).status_code == 422
    api.post("/holds", plant.quality, {"sublot_id": ids[0], "reason": "r"})
    assert [s["id"] for s in api.get("/sublots", plant.store, held=True).json()["items"]] == ids[:1]
    assert [s["id"] for s in api.get("/sublots", plant.store, held=False).json()["items"]] == ids[1:]
    assert api.get("/sublots", plant.store, state="released").json()["items"] == []


def test_pages_stay_true_while_others_write(api: Api, plant: Plant) -> None:
    """What was there is seen once, whatever comes meanwhile; what is new follows, where the oldest come first."""
    there = [received(api, plant, f"N{n}")["id"] for n in range(4)]
    holds = [api.post("/holds", plant.quality, {"sublot_id": sublot, "reason": "why"}).json()["id"] for sublot in there]
    first = api.get("/sublots", plant.store, limit=2).json()
    newest = api.get("/holds", plant.quality, limit=2).json()
    late = received(api, plant, "LATE")["id"]
    assert api.post("/holds", plant.quality, {"sublot_id": late, "reason": "why"}).status_code == 201
    assert api.post(f"/holds/{holds[0]}/lift", plant.quality, {"reason": "fine"}).status_code == 200
    rest = api.get("/sublots", plant.store, limit=9, cursor=first["next"]).json()
    assert [s["id"] for s in [*first["items"], *rest["items"]]] == [*there, late]
    older = api.get("/holds", plant.quality, limit=9, cursor=newest["next"]).json()
    assert [h["id"] for h in [*newest["items"], *older["items"]]] == holds[:0:-1], "and what was lifted is gone"


def test_the_same_key_posts_once(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    release(api, sublot["id"])
    path = f"/sublots/{sublot['id']}/move"
    key = {"Idempotency-Key": "k-1"}
    first = api.post(path, plant.store, SALE, **key)
    again = api.post(path, plant.store, SALE, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = api.post(path, plant.store, SALE | {"amount": "11"}, **key)
    assert other.status_code == 422
    assert api.get(f"/sublots/{sublot['id']}", plant.store).json()["on_hand"] == "90"


def test_a_refusal_is_kept_under_its_key(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    key = {"Idempotency-Key": "k-2"}
    path = f"/sublots/{sublot['id']}/move"
    assert api.post(path, plant.store, SALE, **key).status_code == 409
    release(api, sublot["id"])
    again = api.post(path, plant.store, SALE, **key)
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert api.get(f"/sublots/{sublot['id']}", plant.store).json()["on_hand"] == "100"


def test_the_same_key_at_the_same_time_posts_once(api: Api, plant: Plant) -> None:
    sublot = received(api, plant)
    release(api, sublot["id"])
    gate, answers = threading.Barrier(4), []

    def go() -> None:
        gate.wait()
        answers.append(api.post(f"/sublots/{sublot['id']}/move", plant.store, SALE, **{"Idempotency-Key": "k-3"}))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [201] * 4
    assert len({a.json()["id"] for a in answers}) == 1
    assert api.get(f"/sublots/{sublot['id']}", plant.store).json()["on_hand"] == "90"


def test_one_key_at_the_same_time_for_different_requests_posts_the_first_and_refuses_the_others(
    api: Api, plant: Plant
) -> None:
    sublot = received(api, plant)
    release(api, sublot["id"])
    gate, answers = threading.Barrier(4), []

    def go(amount: int) -> None:
        gate.wait()
        body = SALE | {"amount": str(amount)}
        answers.append(api.post(f"/sublots/{sublot['id']}/move", plant.store, body, **{"Idempotency-Key": "k-4"}))

    threads = [threading.Thread(target=go, args=(amount,)) for amount in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status_code for a in answers) == [201, 422, 422, 422]
    (posted,) = [a.json()["amount"] for a in answers if a.status_code == 201]
    assert api.get(f"/sublots/{sublot['id']}", plant.store).json()["on_hand"] == str(100 - int(posted))


def test_unexpected_faults_are_logged_not_told(api: Api, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.erp.kernel.records import read

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(read, "page", broken)
    answer = api.get("/lots", plant.store)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["id"]


def test_a_database_that_is_away_is_said_and_not_our_fault(tmp_path: Path) -> None:
    settings = Settings(instance="test", secret_key=SecretStr(SECRET), data_dir=tmp_path)
    nobody = create_engine("postgresql+psycopg://lotwise@127.0.0.1:9/lotwise")
    app = create_app(settings, nobody, run_background=False)
    app.router.lifespan_context = _nothing  # what it writes at its start has been written before
    with serving(app) as client:
        for answer in (client.get("/healthz"), client.post("/api/v1/token", data={"username": "a", "password": "b"})):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "127.0.0.1" not in answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@asynccontextmanager
async def _nothing(_: object) -> AsyncIterator[None]:
    yield


def test_open_pages_and_schema(api: Api) -> None:
    assert api.client.get("/api/v1/instance").json() == {"instance": "test", "simulated_allowed": True}
    assert api.client.get("/healthz").json()["status"] == "ok"
    schema = api.client.get("/api/v1/openapi.json").json()
    assert "/api/v1/sublots/{record_id}/move" in schema["paths"]
    examples = [s for s in schema["components"]["schemas"].values() if "examples" in s]
    assert len(examples) > 5


def test_audit_rows_are_sealed_within_a_second_and_witnessed(api: Api, plant: Plant, tmp_path: Path) -> None:
    settings = Settings(instance="test", secret_key=SecretStr(SECRET), data_dir=tmp_path / "served")
    with serving(create_app(settings, api.engine)) as client:
        answer = client.post("/api/v1/sites", json={"code": "south", "name": "South"}, headers=plant.admin)
        assert answer.status_code == 201, answer.text
        deadline = time.monotonic() + 5
        while True:
            with api.engine.connect() as conn:
                left = conn.execute(
                    text("SELECT count(*) FROM audit WHERE id NOT IN (SELECT audit_id FROM audit_sealed)")
                ).scalar_one()
            if left == 0:
                break
            assert time.monotonic() < deadline, f"{left} rows unsealed"
            time.sleep(0.05)
        verdict = client.get("/api/v1/audit/verify", headers=plant.quality).json()
        assert verdict == {"whole": True, "findings": []}
        assert (tmp_path / "served" / "audit-heads.jsonl").read_text().count("seal") >= 1


def test_a_shipper_in_a_truck_is_written_by_whoever_loads(api: Api, plant: Plant) -> None:
    stay = {"zone_id": plant.pen, "parent_id": plant.zone, "from_at": "2026-03-02T08:00:00Z"}
    assert api.post("/nestings", plant.quality, stay).status_code == 403
    made = api.post("/nestings", plant.store, stay)
    assert made.status_code == 201, made.text
    assert api.post("/nestings", plant.store, stay).status_code == 409
    unloaded = {"to_at": "2026-03-02T12:00:00Z"}
    ended = api.post(f"/nestings/{made.json()['id']}/end", plant.store, unloaded)
    assert (ended.status_code, ended.json()["to_at"]) == (200, "2026-03-02T12:00:00Z")
    (listed,) = api.get("/nestings", plant.store, zone_id=plant.pen).json()["items"]
    assert (listed["parent_id"], listed["from_at"]) == (plant.zone, "2026-03-02T08:00:00Z")


def test_every_operation_shows_an_example_that_its_own_shape_accepts(api: Api) -> None:
    described = api.client.get("/api/v1/openapi.json").json()
    checker = Draft202012Validator({"components": described["components"]})

    def examined(content: dict[str, Any], where: str) -> None:
        for kind, media in content.items():
            shown = media.get("example", media.get("examples"))
            assert shown is not None, f"{where}: no example"
            faults = list(checker.evolve(schema=media["schema"]).iter_errors(shown)) if kind.endswith("json") else []
            assert not faults, f"{where}: {shown}: {[fault.message for fault in faults]}"

    count = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            examined(operation.get("requestBody", {}).get("content", {}), f"{where}, body")
            for status, answer in operation["responses"].items():
                if int(status) < 400:
                    examined(answer["content"], f"{where}, {status}")
                else:
                    kind = "application/json" if path == "/healthz" else "application/problem+json"
                    assert list(answer["content"]) == [kind], where
            count += 1
    assert count > 150


def test_a_unit_that_nobody_could_judge_is_refused(api: Api, plant: Plant) -> None:
    """A humidity limit in Cel, or a temperature's in kg, would have stopped the judge in every zone it came to."""
    profile = api.post("/profiles", plant.quality, {"code": "odd", "name": "odd"}).json()
    for quantity, said in (("humidity", "Cel"), ("temperature", "kg"), ("temperature", "celsius"), ("pressure", "%")):
        limit = {"key": "x", "quantity": quantity, "unit": said, "op": ">", "threshold": 8, "kind": "instant"}
        answer = api.post(
            f"/profiles/{profile['id']}/versions", plant.quality, {"allowed_gap": "PT30M", "limits": [limit]}
        )
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:lotwise:invalid"), limit
        assert f"{quantity} is not measured in" in answer.json()["detail"]
    address = api.get(f"/zones/{plant.zone}", plant.quality).json()["address"]
    point = {"zone_id": plant.zone, "address": f"{address}/p9/temperature", "quantity": "temperature", "unit": "°C"}
    assert api.post("/points", plant.admin, point).status_code == 422
    assert api.post("/points", plant.admin, {**point, "unit": "[degF]"}).status_code == 201


def test_times_that_nobody_means_and_filters_that_nobody_has(api: Api, plant: Plant) -> None:
    lot = api.post("/lots", plant.store, {"item_id": plant.item, "number": "T1"}).json()
    for at in ("1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2206-01-01T00:00:00Z", "2026-01-01T00:00:00"):
        answer = api.post(f"/lots/{lot['id']}/receive", plant.store, {"amount": "1", "zone_id": plant.zone, "at": at})
        assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "body/at"), at
    assert api.get("/audit", plant.quality, since="0001-01-01T00:00:00+14:00").status_code == 422
    answer = api.get("/sublots", plant.store, stat="released")
    assert (answer.status_code, answer.json()["unknown"]) == (422, ["stat"]), "a misspelt filter would show everything"


def test_places_that_nobody_knows(api: Api, plant: Plant) -> None:
    release(api, sublot := received(api, plant)["id"])
    held = api.post("/holds", plant.quality, {"shipment_id": 999, "reason": "paper missing"})
    assert (held.status_code, held.json()["type"]) == (404, "urn:lotwise:not-found")
    people = {"login": "lou", "name": "Lou", "password": "a long password of Lou", "roles": ["logistics", "planner"]}
    assert api.post("/users", plant.admin, people).status_code == 201
    approved_at_the_machine(api, "lou")
    lou = api.own_password("lou", "a long password of Lou")
    leg = {"origin": "dock", "destination": "C"}
    shipment = {"code": "SH-1", "consignee": "C", "lines": [{"sublot_id": sublot, "amount": "1"}], "legs": [leg]}
    for wrong in (
        {"legs": [{**leg, "vehicle_zone_id": 999}]},
        {"receiving_zone_id": 999},
        {"loggers": [{"serial": "L-1", "zone_id": 999}]},
    ):
        assert api.post("/shipments", lou, {**shipment, **wrong}).status_code == 404
    assert api.post("/work-centres", lou, {"code": "F1", "name": "Fill", "zone_id": 999}).status_code == 404
    assert api.post("/shipments", lou, shipment).status_code == 201
