"""The ingest's routes: what is wrong can be seen, and mended by those who may."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel.access.users import create_user
from core.erp.kernel.instance import Instance, serve
from core.erp.kernel.unit import system, unit
from core.ingest.transaction import IngestTransaction
from core.settings import Settings
from core.wiring import build_events
from tests.services.ingest_support import (
    PARTITION,
    POINT,
    ZONE,
    Gateway,
    RecordingJudge,
    add_points,
    fold,
    mark,
    reading,
)
from tests.serving import serving

PASSWORD = "correct horse battery"
NEW = f"{ZONE}/probe_2/temperature"


class Client:
    """Somebody who is signed in."""

    def __init__(self, http: httpx.Client, login: str) -> None:
        self._http = http
        token = http.post("/api/v1/token", data={"username": login, "password": PASSWORD}).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **params: Any) -> Any:
        answer = self._http.get(f"/api/v1{path}", params=params, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any], status: int = 200) -> Any:
        answer = self._http.post(f"/api/v1{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def http(engine: Engine, tmp_path: Path) -> Iterator[httpx.Client]:
    events = build_events()
    with unit(engine, system("test"), events) as u:
        for login, role in (("admin", "admin"), ("quality", "qa")):
            create_user(u, login, login.title(), PASSWORD, [role])
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, events=events, run_background=False)) as client:
        yield client


def test_dead_letters_are_shown_and_replayed(engine: Engine, http: httpx.Client) -> None:
    add_points(engine)
    fold(
        engine,
        IngestTransaction(judge=RecordingJudge(), live=False),
        Gateway().cut([reading(0), reading(1, point=NEW), reading(2, point=NEW)]),
    )
    admin, quality = Client(http, "admin"), Client(http, "quality")
    second, first = quality.get("/dead-letters")["items"]
    assert (first["reason"], first["point"], first["kind"]) == ("unknown_point", NEW, "reading")
    assert quality.get("/ingest/lag")["dead_letters"] == {"unknown_point": 2}
    assert admin.get(f"/dead-letters/{first['id']}")["moves"] == ["replay"]
    assert bytes.fromhex(quality.get(f"/dead-letters/{first['id']}")["raw"])
    assert first["detail"] == f"{NEW} is not in the catalog"
    headers = quality.headers | {"Accept-Language": "zh"}
    told = http.get(f"/api/v1/dead-letters/{first['id']}", headers=headers).json()
    assert (told["detail"], told["detail_message"]["id"]) == (f"目录中没有测点 {NEW}", "ingest.unknown_point")
    quality.post("/ingest/dead-letters/replay", {}, 403)
    quality.post(f"/dead-letters/{first['id']}/replay", {}, 403)
    assert admin.post("/ingest/dead-letters/replay", {})["remaining"] == {"unknown_point": 2}
    assert admin.post(f"/dead-letters/{first['id']}/replay", {})["remaining"] == {"unknown_point": 1}
    add_points(engine, [NEW])
    assert admin.post(f"/dead-letters/{second['id']}/replay", {})["landed"] == 1
    assert admin.get(f"/dead-letters/{second['id']}")["moves"] == []
    assert [one["id"] for one in quality.get("/dead-letters")["items"]] == [first["id"]]
    assert admin.post("/ingest/dead-letters/replay", {"reason": "unknown_point"})["landed"] == 1
    assert quality.get("/dead-letters")["items"] == []
    replayed = quality.get("/dead-letters", state="replayed")["items"]
    assert [(one["outcome"], one["replayed_by"]) for one in replayed] == [("landed", "admin")] * 2


def test_a_live_instance_replays_no_simulated_reading(engine: Engine, http: httpx.Client) -> None:
    add_points(engine)
    fold(
        engine,
        IngestTransaction(judge=RecordingJudge(), live=False),
        Gateway().cut([replace(reading(0, point=NEW), simulated=True)]),
    )
    add_points(engine, [NEW])
    admin = Client(http, "admin")
    (letter,) = admin.get("/dead-letters")["items"]
    serve(engine, Instance(live=True, data_dir=Path("/nowhere")))
    assert admin.post(f"/dead-letters/{letter['id']}/replay", {})["remaining"] == {"simulated": 1}
    assert admin.post("/ingest/dead-letters/replay", {})["remaining"] == {"simulated": 1}
    serve(engine, Instance(live=False, data_dir=Path("/nowhere")))
    assert admin.post(f"/dead-letters/{letter['id']}/replay", {})["landed"] == 1


def test_both_values_of_a_conflict_are_shown(engine: Engine, http: httpx.Client) -> None:
    add_points(engine)
    gw = Gateway()
    ingest = IngestTransaction(judge=RecordingJudge(), live=False)
    fold(engine, ingest, gw.cut([reading(0, 4.0)]))
    fold(engine, ingest, gw.cut([reading(0, 9.5)]))
    (conflict,) = Client(http, "quality").get("/ingest/conflicts", point=POINT)["items"]
    assert (conflict["point"], conflict["first"]["value"], conflict["second"]["value"]) == (POINT, 4.0, 9.5)
    assert conflict["first"]["batch_id"] != conflict["second"]["batch_id"]


def test_a_lost_epoch_is_closed_by_a_signature(engine: Engine, http: httpx.Client) -> None:
    add_points(engine)
    ingest = IngestTransaction(judge=RecordingJudge(), live=False)
    lost = Gateway()
    one, _, three = lost.cut([reading(0)], [mark(0)]), lost.cut([reading(1)]), lost.cut([reading(2)], [mark(2)])
    fold(engine, ingest, one, three)
    fold(engine, ingest, Gateway(epoch="f1").cut([reading(10)], [mark(10)]))
    admin, quality = Client(http, "admin"), Client(http, "quality")
    waiting = {each["epoch"]: each["waiting"] for each in quality.get("/ingest/epochs", gateway="gw-1")["items"]}
    assert waiting == {"e1": 1, "f1": 1}
    signed = {"reason": "the gateway burnt", "password": PASSWORD, "login": "quality"}
    admin.post("/ingest/epochs/gw-1/e1/close", signed, 403)
    quality.post("/ingest/epochs/gw-1/e1/close", {**signed, "password": "wrong"}, 403)
    quality.post("/ingest/epochs/gw-1/nope/close", signed, 404)
    done = quality.post("/ingest/epochs/gw-1/e1/close", signed, 201)
    assert (done["through"], done["missing"]) == ({str(PARTITION): 1}, {str(PARTITION): [2]})
    epochs = {each["epoch"]: each for each in quality.get("/ingest/epochs")["items"]}
    assert epochs["e1"]["closed_at"] is not None
    assert epochs["f1"]["waiting"] == 0
    quality.post("/ingest/epochs/gw-1/e1/close", signed, 409)


def test_a_batch_that_is_not_what_was_confirmed_alarms(engine: Engine, http: httpx.Client) -> None:
    add_points(engine)
    ingest = IngestTransaction(judge=RecordingJudge(), live=False)
    fold(engine, ingest, Gateway().cut([reading(0)]))
    fold(engine, ingest, Gateway().cut([reading(0, 99.0)]))
    (alarm,) = Client(http, "quality").get("/ingest/alarms")["items"]
    assert (alarm["kind"], alarm["gateway"]) == ("batch_mismatch", "gw-1")
