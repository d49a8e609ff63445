"""Loggers through the public API and the command line: as a tester with curl does it, and as `lotwise import`."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from core.app import create_app
from core.erp.kernel.access import users
from core.erp.kernel.permits import Role
from core.erp.shipments import service as shipments
from core.settings import Settings
from core.wiring import build_events
from lotwise.importing import app as import_app
from simulators.loggerfile import SimulatedLogger
from simulators.loggerfile import report as report_of
from simulators.loggerfile import table as table_of
from tests.rules.logger_reports import SIGNED, configuration, report
from tests.servers import free_port
from tests.serving import serving
from tests.world import OVER_8_FOR_60, World, at, every

PASSWORD = "correct horse battery"


@pytest.fixture
def world(engine: Engine) -> World:
    """Goods that travelled from 08:00 to 12:00 with logger R-1 in a truck nobody measures."""
    made = World(engine, build_events())
    made.zone("room")
    truck, far = made.zone("truck", points=()), made.zone("far")
    made.sublot(made.item(OVER_8_FOR_60), 1, at("01:00"))
    made.feed("room", every(5, at("01:00"), at("08:00"), 5.0), upto=at("08:00"))
    made.do(
        lambda u: shipments.create(
            u,
            "SH-1",
            "C-1",
            [(1, Decimal(100))],
            [shipments.PlannedLeg("dock", "far", truck)],
            kind="transfer",
            receiving_zone_id=far,
            loggers=[shipments.RequiredLogger("R-1")],
        ),
        now=at("07:00"),
    )
    made.do(lambda u: shipments.departed(u, 1, at("08:00"), "paper"), now=at("08:05"))
    made.do(lambda u: shipments.arrived(u, 1, at("12:00"), "unloaded"), now=at("12:10"))
    for login, role in (("lou", Role.LOGISTICS), ("pat", Role.PLANNER)):
        made.do(lambda u, who=login, r=role: users.create_user(u, who, who, PASSWORD, [r]))  # type: ignore[misc]  # the loop's value is bound by a default
    return made


@pytest.fixture
def url(world: World, tmp_path: Path) -> Iterator[str]:
    settings = Settings(instance="live", data_dir=tmp_path, secret_key=SecretStr("k" * 40))
    app = create_app(settings, world.engine, events=world.events, run_background=False)
    with serving(app) as client:
        yield str(client.base_url).rstrip("/")


def rows() -> list[tuple[datetime, float]]:
    return [
        *every(5, at("06:00"), at("07:55"), 22.0),
        *every(5, at("08:00"), at("09:00"), 5.0),
        *every(5, at("09:05"), at("11:00"), 9.5),
        *every(5, at("11:05"), at("12:00"), 5.0),
        *every(5, at("12:05"), at("14:00"), 22.0),
    ]


def file(tmp_path: Path) -> Path:
    """The logger's table, as it was read out."""
    lines = [f"{when.replace(tzinfo=None).isoformat()},{value}" for when, value in rows()]
    path = tmp_path / "R-1.csv"
    path.write_text("\n".join(["time,temperature", *lines]) + "\n")
    return path


def arguments(path: Path, url: str, *more: str) -> list[str]:
    return [
        "csv",
        str(path),
        "--value",
        "temperature=import/csv/r/file/temperature:Cel",
        "--shipment",
        "SH-1",
        "--serial",
        "R-1",
        "--api",
        url,
        "--login",
        "lou",
        *more,
    ]


def test_the_command_line_tries_then_binds_then_finds_it_known(
    world: World, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOTWISE_PASSWORD", PASSWORD)
    path, run = file(tmp_path), CliRunner()
    tried = run.invoke(import_app, arguments(path, url, "--dry-run", "--json"))
    assert tried.exit_code == 0, tried.output
    said = json.loads(tried.stdout)
    assert (said["dry_run"], said["logger"], len(said["excursions"])) == (True, "read", 1)
    assert [(hold["sublot_id"], hold["shipment_id"]) for hold in said["holds"]] == [(1, None), (None, 1)]
    assert world.holds(1) == []
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT state FROM shipment_logger")).scalar_one() == "required"
    bound = run.invoke(import_app, arguments(path, url, "--json"))
    assert bound.exit_code == 0, bound.output
    said = json.loads(bound.stdout)
    assert (said["landed"], said["counted"], said["before"], said["after"]) == (len(rows()), 48, 24, 25)
    assert world.excursions(1) == [(1, "high", at("09:05"), at("10:05"), "proven")]
    assert world.holds(1) == ["proven"]
    with world.engine.connect() as conn:
        kept = conn.execute(text("SELECT after FROM audit WHERE action = 'logger.import'")).scalar_one()
    assert kept["source"]["file"].startswith("R-1.csv sha256 ")
    again = run.invoke(import_app, arguments(path, url))
    assert again.exit_code == 0, again.output
    assert f"0 readings new, {len(rows())} known already" in again.stdout
    assert "required logger: read" in again.stdout


def test_a_zones_logger_names_what_it_breaks_whatever_stood_there(world: World, url: str) -> None:
    """Tried and done, the answer names the excursion and the hold of goods it was never said to be with."""
    shed = world.zone("shed", points=())
    goods = world.sublot(world.item(OVER_8_FOR_60), shed, at("05:00"), released=False)
    world.do(lambda u: users.create_user(u, "quinn", "quinn", PASSWORD, [Role.QA]))
    values = [{"at": when.isoformat(), "value": value} for when, value in every(5, at("05:00"), at("07:00"), 9.3)]
    body = {"serial": "R-9", "zone": "s1/a/shed", "series": [{"values": values}]}
    with httpx.Client(base_url=url, timeout=30) as client:
        token = client.post("/api/v1/token", data={"username": "quinn", "password": PASSWORD}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for dry in (True, False):
            answer = client.post("/api/v1/imports", json=body | {"dry_run": dry})
            assert answer.status_code == (200 if dry else 201), answer.text
            (excursion,), (hold,) = answer.json()["excursions"], answer.json()["holds"]
            assert [excursion[key] for key in ("sublot_id", "certainty", "changed", "highest")] == [
                goods,
                "proven",
                True,
                9.3,
            ]
            assert (hold["sublot_id"], hold["changed"]) == (goods, True)
            assert world.holds(goods) == ([] if dry else ["proven"])


def test_refusals_are_said_to_who_can_act(
    world: World, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = CliRunner(), file(tmp_path)
    monkeypatch.setenv("LOTWISE_PASSWORD", "wrong")
    assert run.invoke(import_app, arguments(path, url)).exit_code == 3
    monkeypatch.setenv("LOTWISE_PASSWORD", PASSWORD)
    twice = run.invoke(import_app, arguments(path, url, "--lot", "L1"))
    assert twice.exit_code == 2
    nowhere = run.invoke(import_app, arguments(path, f"http://127.0.0.1:{free_port()}"))
    assert nowhere.exit_code == 2
    with httpx.Client(base_url=url, timeout=30) as client:
        token = client.post("/api/v1/token", data={"username": "pat", "password": PASSWORD}).json()["access_token"]
        values = [{"at": at("09:00").isoformat(), "value": 5.0}]
        body = {"serial": "R-1", "shipment": "SH-1", "series": [{"values": values}]}
        answer = client.post("/api/v1/imports", json=body, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, "logger.import" in answer.text) == (403, True)
        token = client.post("/api/v1/token", data={"username": "lou", "password": PASSWORD}).json()["access_token"]
        truth = [{"values": [{"at": at("09:00").isoformat(), "value": True}]}]
        for wrong in (body | {"shipment": True}, body | {"series": truth}):
            answer = client.post("/api/v1/imports", json=wrong, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 422, "a truth is neither a number nor an id"
    assert world.excursions(1) == []


def logger_file() -> bytes:
    """The same logger as a Fridge-tag's report, by the clock of Zurich (an hour ahead of UTC)."""
    lines = [
        f"\t{when + timedelta(hours=1):%Y-%m-%d %H:%M}\t{value}\t{61 - value:.0f}\t{'' if 2 <= value <= 8 else 'x'}"
        for when, value in rows()
    ]
    data = "\n".join(["Data:", "\tyyyy-MM-dd hh:mm\tT\tRH\tOut of limits", *lines, ""])
    return report(configuration(Serial="R-1"), data, SIGNED).replace("\n", "\r\n").encode("utf-16")


def table_file(*more: str) -> bytes:
    lines = [f"{when.replace(tzinfo=None).isoformat()};{value}" for when, value in rows()]
    return gzip.compress("\n".join(["when;Temperature (°C)", *lines, *more, ""]).encode())


def test_a_devices_own_file_is_handed_in_as_with_curl(world: World, url: str) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        token = client.post("/api/v1/token", data={"username": "lou", "password": PASSWORD}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"

        def hand_in(name: str, data: bytes, **fields: str) -> httpx.Response:
            return client.post(
                "/api/v1/imports/files", files={"file": (name, data)}, data={"shipment": "SH-1", **fields}
            )

        tried = hand_in("R-1.txt", logger_file(), timezone="Europe/Zurich", dry_run="true")
        assert (tried.status_code, len(tried.json()["holds"])) == (200, 2), tried.text
        assert world.holds(1) == []
        bound = hand_in("R-1.txt", logger_file(), timezone="Europe/Zurich")
        assert bound.status_code == 201, bound.text
        said = bound.json()
        assert (said["landed"], said["logger"]) == (2 * len(rows()), "read")
        assert {point.rsplit("/", 1)[1] for point in said["points"]} == {"temperature", "humidity"}
        assert (said["file"]["kind"], said["file"]["authenticity"], said["file"]["damaged"]) == (
            "logger",
            "unchecked",
            False,
        )
        assert world.excursions(1) == [(1, "high", at("09:05"), at("10:05"), "proven")]
        for _ in range(2):  # as a table, with a clock that once stood at its beginning
            again = hand_in("R-1.csv.gz", table_file("1970-01-01T00:00:00;5.0")).json()
            assert (again["landed"], again["duplicates"], again["refused"]) == (0, len(rows()), {"absurd_time": 1})
            assert {doubt["kind"] for doubt in again["file"]["doubts"]} == {"absurd_time", "step_back", "assumed_zone"}
        letters = client.get("/api/v1/dead-letters", params={"reason": "absurd_time"}).json()["items"]
        assert [(letter["gateway"], letter["reading_at"][:4]) for letter in letters] == [("import", "1970")]
        fast = hand_in("R-1.txt", logger_file(), clock_fast="60", dry_run="true")  # Zurich's clock, said in minutes
        assert (fast.json()["landed"], fast.json()["duplicates"]) == (0, 2 * len(rows()))
        far = hand_in("R-1.txt", logger_file(), timezone="America/Lima")
        assert (far.status_code, "time zone right" in far.text) == (409, True)
        columns = '{"values": [{"column": 2, "point": "import/csv/r/file/temperature", "unit": "Cel"}]'
        said = {"mapping": columns + "}", "timezone": "Europe/Zurich", "clock_fast": "-60", "dry_run": "true"}
        assert hand_in("R-1.csv", table_file(), **said).json()["duplicates"] == len(rows()), (
            "the form's time zone counts"
        )
        for name, data, fields, why in (
            ("R-1.csv", table_file(), said | {"mapping": columns + ', "timezone": "Asia/Tokyo"}'}, "one time zone"),
            ("R-1.txt", logger_file()[:901], {}, "not text"),
            ("R-1.txt", b"Device: X\n", {}, "line 1"),
            ("R-1.csv", b"when,value\n2026-03-02 09:00,5\n", {}, "has no unit"),
            ("R-1.csv", b"no,when\n1,2026-03-02 09:00\n", {}, "no column of measurements"),
            ("R-1.pdf", b"%PDF-1.7 and so on", {}, "Export the readings"),
            ("R-1.csv", b"when,Temp (C)\n02/03/26 09:00,5\n", {}, "say the order of its dates"),
            ("R-1.csv", b"when,T1 (C),T2 (C)\n2026-03-02 09:00,5,6\n", {}, "say which counts"),
            (
                "R-1.csv",
                table_file(),
                said | {"date_form": "dmy", "mapping": columns + ', "time_format": "mdy"}'},
                "once",
            ),
            ("R-1.csv", b"when,value\n", {}, "ends after its heading"),
            ("R-1.csv", b"when,value\n2026-03-02 09:00,5\n", {"mapping": '{"values": 3}'}, "values"),
            ("R-1.csv", table_file(), {"timezone": "Mars/Olympus"}, "no time zone"),
            ("R-1.csv", table_file(), {"start": "2026-03-02 09:00"}, "timezone"),
            ("R-1.csv", table_file(), {"colour": "red"}, "colour"),
        ):
            answer = hand_in(name, data, **fields)
            assert (answer.status_code, why in answer.text) == (422, True), answer.text
        noted = b"when,T1 (C),T2 (C),Event\n03/02/26 08:30,5,6,\n03/02/26 08:31,,,Button\n"
        chosen = hand_in("R-2.csv", noted, date_form="mdy", columns="T2 (C)", timezone="UTC", dry_run="true").json()
        assert (chosen["landed"], [event["text"] for event in chosen["file"]["events"]]) == (1, ["Event: Button"])
        assert chosen["file"]["doubts"] == [
            {
                "line": 1,
                "kind": "columns",
                "message": "not taken, since no measurement or not asked for: 'T1 (C)'",
                "message_message": {"id": "telemetry.columns_not_taken", "params": {"names": ["'T1 (C)'"]}},
                "damage": False,
            },
        ]
        client.headers["Accept-Language"] = "zh-CN"
        chosen = hand_in("R-2.csv", noted, date_form="mdy", columns="T2 (C)", timezone="UTC", dry_run="true").json()
        assert [one["message"] for one in chosen["file"]["doubts"]] == ["未采用（不是测量值或未要求）：'T1 (C)'"]
        refused = hand_in("R-1.csv", b"when,value\n").json()["detail"]
        assert "其中没有读数：文件在标题行后结束" in refused
        assert "可读取的有" in refused, "what can be read is told in the reader's language too"
        del client.headers["Accept-Language"]
        of_then = SimulatedLogger(start=at("08:00").replace(tzinfo=None), days=1)
        for simulated in (report_of(of_then), table_of(of_then)):
            answer = hand_in("R-1.txt", simulated.encode(), timezone="UTC")
            assert (answer.status_code, "a simulated reading on a live instance" in answer.text) == (422, True)
        nothing = client.post("/api/v1/imports/files", data={"shipment": "SH-1"})
        assert (nothing.status_code, "field `file`" in nothing.text) == (422, True)
        paths = client.get("/api/v1/openapi.json").json()["paths"]
        form = paths["/api/v1/imports/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert {"file", "shipment", "lot", "timezone", "mapping", "dry_run"} <= set(form["properties"])
