"""The four modules through the public API: what a person, the web page and the demo call."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.lots import service as lots
from core.settings import Settings
from tests.services.quality_plant import DAY, PASSWORD, Plant, at, build
from tests.serving import serving

API = "/api/v1"


class People:
    """One signed-in client, many people: `people("quinn").post(...)`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client, self._tokens = client, dict[str, str]()

    def __call__(self, login: str, method: str, path: str, /, *, expect: int = 200, key: str = "", **body: Any) -> Any:
        if login not in self._tokens:
            answer = self._client.post(f"{API}/token", data={"username": login, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self._tokens[login] = answer.json()["access_token"]
        headers = {"Authorization": f"Bearer {self._tokens[login]}"}
        if key:
            headers["Idempotency-Key"] = key
        more: dict[str, Any] = {"params": body} if method == "GET" else {"json": body}
        answer = self._client.request(method, f"{API}{path}", headers=headers, **more)
        assert answer.status_code == expect, (path, answer.status_code, answer.text)
        return answer.json()


@pytest.fixture
def plant(engine: Engine) -> Plant:
    made = build(engine)
    for zone in made.zones:
        made.alive(zone, datetime.now(UTC) + timedelta(days=1))
    return made


@pytest.fixture
def people(plant: Plant, tmp_path: Path) -> Iterator[People]:
    settings = Settings(instance="test", data_dir=tmp_path, secret_key=SecretStr("k" * 40))
    app = create_app(settings, plant.engine, events=plant.events, run_background=False)
    with serving(app) as client:
        yield People(client)


def test_qas_day(plant: Plant, people: People) -> None:
    good, bad = plant.goods(released=False), plant.goods(released=False)
    for sublot in (good, bad):
        plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:20"))
    queue = people("quinn", "GET", "/quality/queue")
    assert (queue["to_assess"], queue["open_holds"], queue["in_quarantine"]) == (2, 2, 2)
    (incident,) = people("quinn", "GET", "/incidents", undecided=True)["items"]
    assert (incident["excursions"], incident["undecided"], incident["zone"]) == (2, 2, "s/area/room-a")
    listed = people("quinn", "GET", "/excursions", incident_id=incident["id"], state="ended")["items"]
    assert [e["sublot_id"] for e in listed] == [bad, good]
    assert listed[0]["out"] == 4800.0
    for excursion in listed:
        detail = people("quinn", "POST", f"/excursions/{excursion['id']}/assess", assessment="80 min at 12 °C")
        assert (detail["state"], detail["moves"]) == ("assessed", ["dispose"])
    signing = {"reason": "stable for 24 h", "password": PASSWORD}
    first = f"/excursions/{listed[1]['id']}/dispositions"
    problem = people("quinn", "POST", first, expect=422, decision="accept", **signing)
    assert "login" in problem["needs"], "the first signing of a session names the signer"
    made = people("quinn", "POST", first, expect=201, key="k1", decision="accept", login="quinn", **signing)
    again = people("quinn", "POST", first, expect=201, key="k1", decision="accept", login="quinn", **signing)
    assert made == again, "the same idempotency key posts once"
    people("quinn", "POST", "/dispositions", expect=201, decision="reject", excursion_ids=[listed[0]["id"]], **signing)
    review = people("rory", "GET", f"/sublots/{good}/release-review")
    assert (review["against"], review["against_automatic"]) == ([], [])
    people("quinn", "POST", f"/sublots/{good}/release", expect=403, password=PASSWORD)
    people("ada", "POST", f"/sublots/{good}/release", expect=403, password=PASSWORD, login="ada")
    release = people("rory", "POST", f"/sublots/{good}/release", expect=201, password=PASSWORD, login="rory")
    assert release["automatic"] is False
    people("rory", "POST", f"/sublots/{bad}/release", expect=409, password=PASSWORD)
    assert people("quinn", "GET", f"/excursions/{listed[1]['id']}")["dispositions"][0]["hold_ids"]
    assert len(people("rory", "GET", "/batch-releases", sublot_id=good)["items"]) == 1


def test_what_was_rejected_is_reworked_returned_or_destroyed(plant: Plant, people: People) -> None:
    """Each move of a rejected sublot has its route; the wrong state, the wrong person and no reason are refused."""
    for move, state in (("rework", "reworked"), ("return", "returned"), ("destroy", "destroyed")):
        sublot = plant.goods(released=False)
        early = people("quinn", "POST", f"/sublots/{sublot}/{move}", expect=409, reason="not yet")
        assert early["state"] == "quarantine"
        people("quinn", "POST", f"/sublots/{sublot}/reject", reason="failed sterility")
        people("wanda", "POST", f"/sublots/{sublot}/{move}", expect=403, reason="in the way")
        people("quinn", "POST", f"/sublots/{sublot}/{move}", expect=422, reason=" ")
        assert people("quinn", "POST", f"/sublots/{sublot}/{move}", reason="agreed")["state"] == state
        people("quinn", "POST", f"/sublots/{sublot}/reject", expect=409, reason="once more")
    people("quinn", "POST", "/sublots/999/destroy", expect=404, reason="none")


def test_goods_that_are_rejected_are_kept_for_nobody(plant: Plant, people: People) -> None:
    sublot = plant.goods()
    plant.do("planner", at("05:00"), lots.reserve, sublot, Decimal(5), "sale", "order:1")
    people("quinn", "POST", f"/sublots/{sublot}/retest", reason="complaint of a customer")
    assert plant.rows("SELECT state FROM reservation WHERE sublot_id = :s", s=sublot) == [("suspended",)]


def test_pages_and_filters(plant: Plant, people: People) -> None:
    for _ in range(3):
        plant.judged(at("04:00"), plant.goods(), plant.breach("02:00", "03:00", "03:20"))
    page = people("quinn", "GET", "/excursions", limit=2)
    rest = people("quinn", "GET", "/excursions", limit=2, cursor=page["next"])
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)
    assert people("quinn", "GET", "/excursions", certainty="unproven")["items"] == []
    people("quinn", "GET", "/excursions", expect=422, limit=0)
    people("quinn", "GET", "/excursions", expect=422, cursor="nonsense")
    people("quinn", "GET", "/excursions/999", expect=404)


def test_a_shipment_from_plan_to_acceptance(plant: Plant, people: People) -> None:
    sublot = plant.goods(amount=1000)
    plan: dict[str, Any] = {
        "code": "SH-1",
        "kind": "transfer",
        "consignee": "far",
        "receiving_zone_id": plant.zones["far-room"],
        "lines": [{"sublot_id": sublot, "amount": "400"}],
        "legs": [{"origin": "dock", "destination": "far", "vehicle_zone_id": plant.zones["truck"]}],
        "loggers": [{"serial": "LOG-1"}],
    }
    people("wanda", "POST", "/shipments", expect=403, **plan)
    made = people("lou", "POST", "/shipments", expect=201, key="p", **plan)
    assert people("lou", "POST", "/shipments", expect=201, key="p", **plan)["id"] == made["id"]
    people("lou", "POST", "/shipments", expect=409, **plan)
    way = f"/shipments/{made['id']}"
    people("lou", "POST", f"{way}/dispatch", expect=409)
    picked = people("wanda", "POST", f"{way}/pick")
    assert (picked["state"], picked["lines"][0]["amount"]) == ("picked", "400")
    people("wanda", "POST", f"/shipment-lines/{picked['lines'][0]['id']}/pack", expect=422, sscc="1" * 18)
    people("wanda", "POST", f"/shipment-lines/{picked['lines'][0]['id']}/pack", sscc="340123450000000017")
    people("lou", "POST", f"{way}/dispatch")
    now = datetime.now(UTC)
    people("lou", "POST", f"{way}/departed", expect=422, at=(now + timedelta(hours=1)).isoformat(), reason="left")
    people("lou", "POST", f"{way}/departed", at=now.isoformat(), reason="left")
    people("lou", "POST", f"{way}/arrived", at=datetime.now(UTC).isoformat(), reason="there")
    people("wanda", "POST", f"{way}/accept", expect=409)
    assert "import its file" in people("wanda", "POST", f"{way}/loggers/read", expect=409, serial="LOG-1")["detail"]
    told = {"quantity": "temperature", "unit": "Cel", "values": [{"at": now.isoformat(), "value": 5.0}]}
    people("wanda", "POST", "/imports", expect=201, serial="LOG-1", shipment="SH-1", series=[told])
    people("wanda", "POST", f"{way}/loggers/read", serial="LOG-1")
    done = people("wanda", "POST", f"{way}/accept")
    assert (done["state"], done["lines"][0]["sscc"], done["moves"]) == ("accepted", "340123450000000017", [])
    assert people("lou", "GET", "/shipments", state="accepted", held=False)["items"][0]["code"] == "SH-1"


def test_held_goods_are_refused_with_their_obstacles(plant: Plant, people: People) -> None:
    sublot = plant.goods()
    legs = [{"origin": "dock", "destination": "C-100", "vehicle_zone_id": plant.zones["truck"]}]
    lines = [{"sublot_id": sublot, "amount": "10"}]
    made = people("lou", "POST", "/shipments", expect=201, code="SH-1", consignee="C-100", lines=lines, legs=legs)
    people("wanda", "POST", f"/shipments/{made['id']}/pick")
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00"))
    part = people("lou", "GET", f"/shipments/{made['id']}")["lines"][0]["sublot_id"]
    plant.judged(at("03:00"), part, plant.breach("02:00", "03:00"))
    problem = people("lou", "POST", f"/shipments/{made['id']}/dispatch", expect=409)
    assert {o["kind"] for o in problem["obstacles"]} == {"held"}
    shown = people("lou", "GET", f"/shipments/{made['id']}")
    assert shown["held"] is True
    assert "shipment" in {hold["on"] for hold in shown["holds"]}
    tasks = people("wanda", "GET", "/shipment-tasks", kind="put_back")["items"]
    assert [t["sublot_id"] for t in tasks] == [part]
    people("wanda", "POST", f"/shipment-lines/{tasks[0]['line_id']}/put-back")
    assert people("wanda", "GET", "/shipment-tasks", kind="put_back")["items"] == []


def test_the_floor(plant: Plant, people: People) -> None:
    first, second = (
        people("pat", "POST", "/work-centres", expect=201, code=code, name=code)["id"] for code in ("FILL-1", "FILL-2")
    )
    bom = people(
        "pat",
        "POST",
        "/boms",
        expect=201,
        item_id=plant.items["kit"],
        output_amount="1",
        tolerance="0.02",
        lines=[{"item_id": plant.items["vaccine"], "amount": "1"}],
        steps=[{"number": 10, "name": "fill", "work_centre": "FILL-1", "alternatives": ["FILL-2"], "duration": 3600}],
    )
    due = (DAY + timedelta(days=400)).isoformat()
    orders, sublots = [], []
    for code in ("WO-1", "WO-2"):
        order = people("pat", "POST", "/work-orders", expect=201, code=code, bom_id=bom["id"], amount="50", due_at=due)
        sublots.append(plant.goods())
        people("pat", "POST", f"/work-orders/{order['id']}/materials", expect=201, sublot_id=sublots[-1], amount="50")
        people("pat", "POST", f"/work-orders/{order['id']}/check-material")
        orders.append(people("pat", "POST", f"/work-orders/{order['id']}/release"))
    shown = people("pat", "GET", f"/work-centres/{first}/dispatch-list")
    assert [e["order_code"] for e in shown["entries"]] == ["WO-1", "WO-2"]
    people("pat", "POST", f"/work-centres/{first}/start")
    plant.judged(at("03:00"), sublots[0], plant.breach("02:00", "03:00"))
    shown = people("pat", "GET", f"/work-centres/{first}/dispatch-list")
    assert ([e["order_code"] for e in shown["entries"]], shown["running"]) == (["WO-2"], None)
    way = f"/work-orders/{orders[0]['id']}"
    stopped = people("pat", "GET", way)
    assert (stopped["state"], stopped["moves"]) == ("held", ["resume", "abort", "reserve", "output", "scrap"])
    problem = people("pat", "POST", f"/work-order-materials/{stopped['materials'][0]['id']}/consume", expect=409)
    assert problem["obstacles"][0]["kind"] == "held"
    people("pat", "POST", "/work-order-materials/999/consume", expect=404)
    people("eli", "POST", f"/work-centres/{first}/state", up=False, reason="needle blocked")
    started = people("pat", "POST", f"/work-centres/{second}/start")
    assert (started["code"], started["operations"][0]["done_on"]) == ("WO-2", "FILL-2")
    way = f"/work-orders/{started['id']}"
    people("pat", "POST", f"/work-order-materials/{started['materials'][0]['id']}/consume")
    born = people("pat", "POST", f"{way}/outputs", expect=201, amount="49", zone_id=plant.zones["room-b"])
    assert born["state"] == "quarantine"
    people("pat", "POST", f"/operations/{started['operations'][0]['id']}/finish")
    people("pat", "POST", f"{way}/complete")
    closed = people("pat", "POST", f"{way}/reconcile")
    assert closed["balance"][0]["holds"] is True


def test_alarms(plant: Plant, people: People) -> None:
    from core.erp.exposure.events import ZoneState

    zone = plant.zones["room-a"]
    plant.emit(at("02:00"), ZoneState(zone, "high", active=True, at=at("02:00"), value=9.0))
    (alarm,) = people("eli", "GET", "/alarms", active=True)["items"]
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    people("wanda", "POST", f"/zones/{zone}/alarms/high/shelve", expect=403, until=until, reason="x")
    people("eli", "POST", f"/zones/{zone}/alarms/high/shelve", until=until, reason="defrosting")
    people("eli", "POST", f"/zones/{zone}/alarms/loud/shelve", expect=422, until=until, reason="defrosting")
    assert people("eli", "GET", "/alarms", shelved=True)["items"][0]["id"] == alarm["id"]
    assert people("eli", "GET", "/alarms", shelved=False)["items"] == []
    assert people("eli", "POST", f"/alarms/{alarm['id']}/acknowledge", reason="door closed")["state"] == "acknowledged"
    people("eli", "POST", f"/zones/{zone}/alarms/high/suppress", on=True, reason="empty")
    assert people("eli", "GET", "/alarm-modes")[0]["suppressed"] is True
