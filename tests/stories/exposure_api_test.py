"""The judge's stories as people at a desk see them: through the public API, with readings that are really judged.

Limit "> 8.0 °C for 60 min", allowed gap 30 min. The API's clock is handed in.
"""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel import http, passwords
from core.erp.kernel.access.users import create_user
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.wiring import build_events
from tests.serving import serving
from tests.world import DAY, OVER_8_FOR_60, World, at, every

PASSWORD = "correct horse battery"
ROLES = {"wanda": "warehouse", "lou": "logistics", "eli": "plant_engineer", "quinn": "qa", "rory": "responsible_person"}


class Desk:
    """A world, and the API in front of it at a time that is handed in."""

    def __init__(self, world: World, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self._client = client
        self._now = monkeypatch
        self._tokens: dict[str, dict[str, str]] = {}

    def _as(self, who: str) -> dict[str, str]:
        if who not in self._tokens:
            answer = self._client.post("/api/v1/token", data={"username": who, "password": PASSWORD})
            self._tokens[who] = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return self._tokens[who]

    def post(self, who: str, now: datetime, path: str, **body: Any) -> httpx.Response:
        self._now.setattr(http, "now_utc", lambda: now)
        said = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in body.items()}
        return self._client.post(f"/api/v1{path}", json=said, headers=self._as(who))

    def fetch(self, now: datetime, path: str, **params: Any) -> httpx.Response:
        self._now.setattr(http, "now_utc", lambda: now)
        answer = self._client.get(f"/api/v1{path}", params=params, headers=self._as("quinn"))
        assert answer.status_code == 200, answer.text
        return answer

    def get(self, now: datetime, path: str, **params: Any) -> Any:
        found = self.fetch(now, path, **params).json()
        return found["items"] if isinstance(found, dict) and "items" in found else found

    def goods(self, zone: int, amount: int = 100, since: str = "01:00") -> int:
        """Received into the zone then, and released."""
        return self.world.sublot(self.world.item(OVER_8_FOR_60), zone, at(since), amount)

    def shipment(self, now: datetime, sublot: int, amount: int, truck: int | None = None) -> httpx.Response:
        code = f"SH-{sublot}-{amount}-{now:%H%M}"
        leg = {"origin": "dock", "destination": "C-1", "vehicle_zone_id": truck}
        line = {"sublot_id": sublot, "amount": str(amount)}
        return self.post("lou", now, "/shipments", code=code, consignee="C-1", lines=[line], legs=[leg])

    def picked(self, now: datetime, sublot: int, amount: int, truck: int | None = None) -> int:
        made = self.shipment(now, sublot, amount, truck)
        assert made.status_code == 201, made.text
        number: int = made.json()["id"]
        assert self.post("wanda", now, f"/shipments/{number}/pick").status_code == 200
        return number


@pytest.fixture
def desk(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    events = build_events()
    with unit(engine, system("test"), events) as u:
        for login, role in ROLES.items():
            create_user(u, login, login.title(), PASSWORD, [role])
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        yield Desk(World(engine, events), client, monkeypatch)


def kinds(refused: httpx.Response) -> list[str]:
    assert refused.status_code == 409, refused.text
    return [obstacle["kind"] for obstacle in refused.json()["obstacles"]]


def test_of_1000_400_stay_available_and_401_are_refused(desk: Desk) -> None:
    """600 in room A, 400 in room B; A breaks the limit."""
    world = desk.world
    a, b = world.zone("A"), world.zone("B")
    whole = desk.goods(a, 1000)
    part = desk.post("wanda", at("01:10"), f"/sublots/{whole}/split", amount="400").json()["id"]
    assert desk.post("wanda", at("01:10"), f"/sublots/{part}/custody", zone_id=b).status_code == 201
    world.feed(
        "A", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("03:00"), 9.0)], upto=at("03:00")
    )
    world.feed("B", every(5, at("01:00"), at("03:00"), 5.0), upto=at("03:00"))
    assert kinds(desk.shipment(at("03:01"), whole, 1)) == ["held"]
    assert kinds(desk.shipment(at("03:01"), part, 401)) == ["insufficient"]
    gone = desk.picked(at("03:01"), part, 400)
    assert desk.post("lou", at("03:02"), f"/shipments/{gone}/dispatch").status_code == 200


def test_figures_are_told_without_binary_digits(desk: Desk) -> None:
    """A device that reckons 8.2 + 0.1 sends 8.299999999999999: who reads about the goods reads 8.3, wherever it is."""
    world, now = desk.world, at("03:01")
    sublot = desk.goods(world.zone("A"))
    world.feed("A", every(5, at("01:00"), at("03:00"), 8.2 + 0.1), upto=at("03:00"))
    exposed = desk.fetch(now, f"/sublots/{sublot}/exposure")
    assert {exposed.json()[name] for name in ("lowest", "highest", "mean", "mkt")} == {8.3}
    listed = desk.fetch(now, "/excursions", sublot_id=sublot)
    (excursion,) = listed.json()["items"]
    assert excursion["highest"] == 8.3
    one = desk.fetch(now, f"/excursions/{excursion['id']}")
    assert one.json()["highest"] == 8.3
    names, row = list(csv.reader(desk.fetch(now, "/excursions/export", names="true").text.splitlines()))[1:]
    assert dict(zip(names, row, strict=True))["highest"] == "8.3"
    workbook = desk.fetch(now, "/excursions/export", names="true", format="xlsx").content
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(workbook)).get_sheet_by_index(0)
    _, columns, values = sheet.to_python()
    assert dict(zip(columns, values, strict=True))["highest"] == 8.3
    for answer in (exposed, listed, one):
        assert "99999" not in answer.text


def test_a_rescue_keyed_three_hours_late(desk: Desk) -> None:
    """A is warm from 02:00, held at 03:00; the rescue into B (5 °C) at 03:20 is keyed at 06:30."""
    world = desk.world
    a, b = world.zone("A"), world.zone("B")
    sublot = desk.goods(a)
    world.feed(
        "A", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("06:30"), 9.0)], upto=at("06:30")
    )
    world.feed("B", every(5, at("01:00"), at("06:30"), 5.0), upto=at("06:30"))
    keyed = desk.post("wanda", at("06:30"), f"/sublots/{sublot}/custody", zone_id=b, at=at("03:20"), reason="rescue")
    assert keyed.status_code == 201
    (high,) = desk.get(at("06:31"), f"/sublots/{sublot}/exposure")["limits"]
    assert high["proven"] == "PT1H20M", "minutes out = 80"
    stays = desk.get(at("06:31"), f"/sublots/{sublot}/custody-intervals")
    assert [(stay["zone_id"], datetime.fromisoformat(stay["from_at"])) for stay in stays] == [
        (a, at("01:00")),
        (b, at("03:20")),
    ]
    (excursion,) = desk.get(at("06:31"), "/excursions", sublot_id=sublot)
    assert [datetime.fromisoformat(excursion[name]) for name in ("started_at", "broke_at", "ended_at")] == [
        at("02:00"),
        at("03:00"),
        at("03:20"),
    ]
    assert excursion["out"] == 80 * 60
    assert [hold["certainty"] for hold in desk.get(at("06:31"), "/holds", sublot_id=sublot)] == ["proven"]


def test_dispatch_at_1430_goes_through_and_at_1431_is_refused_as_unjudged(desk: Desk) -> None:
    """The last reading is of 14:00, the gateway goes on to speak. 5 °C for the whole gap, come at 14:45, clears it."""
    world = desk.world
    room = world.zone("room")
    one, other = (desk.goods(room, since="13:00") for _ in range(2))
    world.feed("room", every(10, at("13:00"), at("14:00"), 5.0), upto=at("14:29"))
    first, second = (desk.picked(at("14:29"), sublot, 100) for sublot in (one, other))
    assert desk.post("lou", at("14:30"), f"/shipments/{first}/dispatch").status_code == 200
    assert kinds(desk.post("lou", at("14:31"), f"/shipments/{second}/dispatch")) == ["unjudged"]
    world.feed("room", every(5, at("14:05"), at("14:45"), 5.0), upto=at("14:45"))
    assert desk.post("lou", at("14:45"), f"/shipments/{second}/dispatch").status_code == 200
    assert desk.get(at("14:46"), "/holds", sublot_id=other) == []


def test_what_left_before_the_hold_and_is_posted_after_it(desk: Desk) -> None:
    """The truck left at 02:58 and is posted at 03:05, after the hold of 03:00."""
    world = desk.world
    room, truck = world.zone("room"), world.zone("truck")
    gone, waiting = desk.goods(room), desk.goods(room)
    world.feed(
        "room", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("02:50"), 9.0)], upto=at("02:50")
    )
    left, stays = (desk.picked(at("02:50"), sublot, 100, truck) for sublot in (gone, waiting))
    world.feed("room", every(5, at("02:55"), at("03:00"), 9.0), upto=at("03:00"))
    world.feed("truck", every(1, at("02:50"), at("03:04"), 9.0), upto=at("03:04"))
    assert "held" in kinds(desk.post("lou", at("03:05"), f"/shipments/{stays}/dispatch"))
    posted = desk.post("lou", at("03:05"), f"/shipments/{left}/departed", at=at("02:58"), reason="driver's paper")
    assert (posted.status_code, posted.json()["state"]) == (200, "in_transit")
    assert len(desk.get(at("03:06"), "/deviations")) == 1
    assert desk.get(at("03:06"), "/holds", shipment_id=left) != []
    held = {sublot: desk.get(at("03:06"), "/excursions", sublot_id=sublot)[0]["zone_id"] for sublot in (gone, waiting)}
    assert held == {gone: truck, waiting: room}, "the minutes in the warm truck went on where the room's had ended"


def test_a_sensor_whose_calibration_expired_yesterday_alarms_and_holds(desk: Desk) -> None:
    world = desk.world
    room = world.zone("room", band_low=2.0, band_high=8.0)
    world.sensor("room", done=DAY - timedelta(days=366), due=DAY - timedelta(days=1))
    sublot = desk.goods(room)
    world.feed("room", every(1, at("01:00"), at("02:00"), 12.0), upto=at("02:00"))
    now = at("02:01")
    (alarm,) = desk.get(now, "/alarms", zone_id=room, kind="high")
    assert alarm["state"] == "unacknowledged"
    assert [hold["certainty"] for hold in desk.get(now, "/holds", sublot_id=sublot)] == ["uncertain"]
    assert [e["certainty"] for e in desk.get(now, "/excursions", sublot_id=sublot)] == ["uncertain"]
    assert desk.post("eli", now, f"/alarms/{alarm['id']}/acknowledge", reason="door closed").status_code == 200
    assert desk.get(now, "/holds", sublot_id=sublot) != [], "acknowledging releases nothing"


def test_a_gateway_cut_off_for_six_hours(desk: Desk) -> None:
    """Nothing there is held and nothing leaves; its spool then proves most good and some warm, and says since when."""
    world = desk.world
    rooms = {name: world.zone(name) for name in ("good", "warm")}
    goods = {name: desk.goods(room) for name, room in rooms.items()}
    for name in rooms:
        world.feed(name, every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    for sublot in goods.values():
        assert desk.get(at("08:00"), "/holds", sublot_id=sublot) == []
        assert kinds(desk.shipment(at("08:00"), sublot, 10)) == ["unjudged"]
    late = at("08:01")
    world.feed("good", every(5, at("02:05"), at("08:00"), 5.0), upto=at("08:00"), now=late)
    world.feed(
        "warm",
        [
            *every(5, at("02:05"), at("03:55"), 5.0),
            *every(5, at("04:00"), at("06:00"), 11.0),
            *every(5, at("06:05"), at("08:00"), 5.0),
        ],
        upto=at("08:00"),
        now=late,
    )
    assert desk.get(at("08:02"), "/holds", sublot_id=goods["good"]) == []
    assert desk.shipment(at("08:02"), goods["good"], 10).status_code == 201
    (excursion,) = desk.get(at("08:02"), "/excursions", sublot_id=goods["warm"])
    assert (datetime.fromisoformat(excursion["broke_at"]), datetime.fromisoformat(excursion["known_at"])) == (
        at("05:00"),
        late,
    )
    assert kinds(desk.shipment(at("08:02"), goods["warm"], 10)) == ["held"]
