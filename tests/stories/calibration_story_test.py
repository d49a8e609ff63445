"""A sensor is calibrated by its plan: in time, by two people where that is wanted, and what was found is judged."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.catalog.rules import calibration_passed, left_good, within
from core.erp.kernel.deadlines.running import run
from core.erp.kernel.errors import Invalid
from core.wiring import build_events
from tests.desks import PASSWORD, Desk, office
from tests.rules.attachments_rules_test import PDF_FILE
from tests.world import DAY, OVER_8_FOR_60, World, at, every

PEOPLE = {"quinn": ["qa"], "quentin": ["qa"], "eli": ["plant_engineer"], "wes": ["warehouse"]}
DAYS = timedelta(days=1)


@pytest.fixture
def desks(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Desk]]:
    with office(engine, tmp_path, monkeypatch, PEOPLE) as seated:
        yield seated


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def plan(desk: Desk, sensor: int, **more: Any) -> Any:
    return desk.post("/calibration-plans", 201, sensor_id=sensor, **{"interval": "P365D", "tolerance": 0.5, **more})


def certainties(world: World, sublot: int) -> list[str]:
    return [certainty for *_, certainty in world.excursions(sublot)]


def my_tasks(desk: Desk) -> list[str]:
    return [one["title"] for one in desk.get("/my-tasks")["items"]]


def test_a_good_calibration_proves_nothing_before_a_second_person_has_signed_it(
    desks: dict[str, Desk], world: World
) -> None:
    quinn, quentin = desks["quinn"], desks["quentin"]
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - 300 * DAYS, due=DAY - DAYS)
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:30"), 9.0), upto=at("02:30"))
    assert certainties(world, goods) == ["uncertain"], "its sensor is overdue"
    planned = plan(desks["eli"], sensor, sign_off=True)
    assert datetime.fromisoformat(planned["due_at"]) == DAY - DAYS
    body = {"sensor_id": sensor, "done_at": at("00:30").isoformat(), "as_found_error": -0.1, "as_left_error": 0.0}
    desks["wes"].post("/calibrations", 403, **body)
    made = quinn.post("/calibrations", 201, **body)
    assert (made["as_found_ok"], made["as_found_tolerance"], made["state"]) == (True, 0.5, "to_sign")
    assert datetime.fromisoformat(made["due_at"]) == at("00:30") + 365 * DAYS
    assert certainties(world, goods) == ["uncertain"]
    path = f"/calibrations/{made['id']}"
    signing: dict[str, Any] = {"password": PASSWORD, "login": "quentin"}
    assert any("sign off the calibration of sensor SN-" in title for title in my_tasks(quentin))
    assert "certificate" in quentin.post(f"{path}/sign-off", 409, **signing)["detail"]
    quinn.attach(path, PDF_FILE, "certificate.pdf")
    assert "second person" in quinn.post(f"{path}/sign-off", 403, password=PASSWORD, login="quinn")["detail"]
    signed = quentin.post(f"{path}/sign-off", **signing)
    assert (signed["state"], signed["reviewed_by"], signed["moves"]) == ("signed", "quentin", [])
    assert certainties(world, goods) == ["proven"]
    assert my_tasks(quentin) == []
    (again,) = quinn.get("/calibration-plans", sensor_id=sensor)["items"]
    assert datetime.fromisoformat(again["due_at"]) == at("00:30") + 365 * DAYS
    assert "quentin has reviewed" in quentin.post(f"{path}/refuse", 409, reason="no")["detail"]
    quinn.attach(path, PDF_FILE + b"\n", "other.pdf", 409)
    actions = [entry["action"] for entry in quinn.get(f"{path}/history")["items"]]
    assert {"calibration.sign_off", "signature.sign", "calibration.create"} <= set(actions)


def test_a_failed_one_counts_at_once_and_not_any_more_when_it_is_refused(desks: dict[str, Desk], world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - 300 * DAYS, due=DAY + 65 * DAYS)
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("05:00"), 7.5), upto=at("05:00"))
    assert world.holds(goods) == []
    plan(desks["eli"], sensor, sign_off=True)
    body = {"sensor_id": sensor, "done_at": at("05:00").isoformat(), "as_found_error": 1.0}
    made = desks["quinn"].post("/calibrations", 201, **body)
    assert (made["as_found_ok"], certainties(world, goods)) == (False, ["uncertain"])
    assert world.holds(goods)
    (due,) = desks["quinn"].get("/calibration-plans", sensor_id=sensor)["items"]
    assert datetime.fromisoformat(due["due_at"]) == at("05:00"), "unsigned, it is due again at once"
    refused = desks["quentin"].post(f"/calibrations/{made['id']}/refuse", reason="another instrument was measured")
    assert refused["state"] == "refused"
    assert certainties(world, goods) == []
    assert world.holds(goods), "holds stand until QA lifts them"
    (due,) = desks["quinn"].get("/calibration-plans", sensor_id=sensor)["items"]
    assert datetime.fromisoformat(due["due_at"]) == DAY + 65 * DAYS


def test_a_sensor_left_beyond_its_tolerance_is_not_trusted(desks: dict[str, Desk], world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - 300 * DAYS, due=DAY + 65 * DAYS)
    plan(desks["eli"], sensor)
    body = {"sensor_id": sensor, "done_at": at("00:30").isoformat(), "as_found_error": 0.9, "as_left_error": 0.6}
    made = desks["quinn"].post("/calibrations", 201, **body)
    assert (made["as_left_ok"], made["state"]) == (False, "recorded")
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:30"), 7.5), upto=at("02:30"))
    assert certainties(world, goods) == ["uncertain"], "7.5 may be 8.1"


def test_whoever_calibrates_is_told_in_time_and_others_when_it_is_late(desks: dict[str, Desk], engine: Engine) -> None:
    quinn, eli, events = desks["quinn"], desks["eli"], build_events()
    sensor = eli.post("/sensors", 201, serial="PT-1", model="Pt100")["id"]
    assert [one["id"] for one in quinn.get("/sensors", planned=False)["items"]] == [sensor]
    planned = plan(eli, sensor)
    assert quinn.get("/sensors", planned=False)["items"] == []
    assert (
        "has a calibration plan already"
        in eli.post("/calibration-plans", 409, sensor_id=sensor, interval="P1D", tolerance=1)["detail"]
    )
    now = datetime.now(UTC)
    run(engine, events, now + timedelta(seconds=5))
    assert any("PT-1" in title for title in my_tasks(quinn)), "never calibrated: due at once"
    done = {"sensor_id": sensor, "done_at": (now - timedelta(hours=1)).isoformat()}
    quinn.post("/calibrations", 201, **done)
    assert my_tasks(quinn) == []
    due = datetime.fromisoformat(quinn.get(f"/calibration-plans/{planned['id']}")["due_at"])
    assert due == now - timedelta(hours=1) + 365 * DAYS
    assert quinn.get("/calibration-plans", due_at_before=due.isoformat())["items"] == []
    soon = (due + timedelta(seconds=1)).isoformat()
    assert [one["sensor_id"] for one in quinn.get("/calibration-plans", due_at_before=soon)["items"]] == [sensor]
    run(engine, events, due - 31 * DAYS)
    assert my_tasks(quinn) == []
    run(engine, events, due - 29 * DAYS)
    assert len(my_tasks(quinn)) == 1
    run(engine, events, due + 2 * DAYS)
    assert any("PT-1" in title for title in my_tasks(eli)), "and those who plan, where it is late"
    seen = eli.get(f"/calibration-plans/{planned['id']}")["version"]
    eli.patch(f"/calibration-plans/{planned['id']}", interval="P180D", version=seen)
    eli.post(f"/calibration-plans/{planned['id']}/withdraw", reason="scrapped")
    assert my_tasks(quinn) == my_tasks(eli) == []
    assert quinn.get("/calibration-plans")["items"] == []


def test_what_a_calibration_found_is_never_changed(desks: dict[str, Desk], owner: Engine) -> None:
    sensor = desks["eli"].post("/sensors", 201, serial="PT-1")["id"]
    body = {"sensor_id": sensor, "done_at": "2026-03-01T00:00:00Z"}
    assert "due" in desks["quinn"].post("/calibrations", 422, **body)["detail"]
    desks["quinn"].post("/calibrations", 201, due_at="2027-03-01T00:00:00Z", **body)
    for change in ("as_left_error = 0", "to_sign = true", "uncertainty = 1"):
        with pytest.raises(DBAPIError), owner.begin() as conn:
            conn.execute(text(f"UPDATE calibration SET {change}"))


def test_the_uncertainty_counts_where_the_plan_says_so(desks: dict[str, Desk]) -> None:
    sensor = desks["eli"].post("/sensors", 201, serial="PT-1")["id"]
    plan(desks["eli"], sensor, guarded=True)
    body = {"sensor_id": sensor, "done_at": "2026-03-01T00:00:00Z", "as_found_error": -0.45}
    assert "uncertainty" in desks["quinn"].post("/calibrations", 422, **body)["detail"]
    assert desks["quinn"].post("/calibrations", 201, uncertainty=0.1, **body)["as_found_ok"] is False
    chinese = Desk(desks["quinn"].client, "quinn", language="zh-CN")
    assert "测量不确定度" in chinese.post("/calibrations", 422, **body)["detail"]


@pytest.mark.parametrize(
    ("error", "uncertainty", "guarded", "good"),
    [(0.5, None, True, True), (-0.5, 0.1, False, True), (0.4, 0.1, True, True), (-0.45, 0.1, True, False)],
)
def test_guarded_acceptance(error: float, uncertainty: float | None, guarded: bool, good: bool) -> None:
    assert within(error, 0.5, uncertainty, guarded=guarded) is good
    assert calibration_passed(None, error, 0.5, uncertainty, guarded=guarded) is good
    assert left_good(error, 0.5, uncertainty, guarded=guarded) is good


def test_an_as_left_error_is_judged_by_a_tolerance() -> None:
    assert left_good(None, None, None, guarded=False)
    with pytest.raises(Invalid, match="needs a tolerance"):
        left_good(0.1, None, None, guarded=False)
