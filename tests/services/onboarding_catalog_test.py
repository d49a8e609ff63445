"""Site, zones and points made through the API: shown first, again at any time, nothing that is there is changed; and a
gateway's file, and a running gateway, told what the catalog lacks."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core.ingest.confirmation import ConsumerState, answer
from core.ingest.transaction import IngestTransaction
from core.telemetry.batch import POINTS_MAX, BadBatch, ConfirmReply, ConfirmRequest, decode, encode
from edge.carrier import CoreSilent
from edge.point_watch import PointWatch
from lotwise import catalog_writer
from tests.faults.modbus_peer import device, plc, registers
from tests.faults.opcua_peer import machine
from tests.servers import free_port
from tests.services.api_core_test import PASSWORD, Api, api  # noqa: F401 - a fixture
from tests.services.browse_sources_test import speaking
from tests.services.cli_commands_test import lotwise
from tests.services.ingest_support import Gateway, RecordingJudge, add_points, fold, reading
from tests.services.mqtt_support import mosquitto
from tests.services.opcua_browse_test import furnish

FILE = """
gateway: gw-1
site: plant
instance: test
data_dir: DATA
stream: {urls: [nats://127.0.0.1:4222]}
sources:
  - name: floor
    protocol: mqtt
    host: broker
    subscriptions:
      - topic: tele/+/SENSOR
        decoder: tasmota
        points:
          - {field: DS18B20.Temperature, device: tank, point: plant/store/cold-1/tank/temperature, unit: Cel}
          - {field: ANALOG.A0, device: tank, point: plant/store/cold-1/tank/analog}
      - topic: bare/{device}/temperature
        decoder: number
        point: plant/store/cold-1/{device}/temperature
  - name: box
    protocol: modbus
    transport: {kind: tcp, host: box, port: 502}
    units:
      - id: 1
        points:
          - {point: plant/frozen/freezer-1/box/temperature, table: input, address: 0, type: int16, unit: Cel}
          - {point: plant/frozen/freezer-1/box/temperature-setpoint, table: holding, address: 0, type: int16, unit: Cel}
          - {point: plant/frozen/freezer-1/box/temperature-2, table: holding, address: 1, type: int16, unit: Cel}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(FILE.replace("DATA", str(tmp_path / "spool")))
    return path


def made(api: Api, file: Path, *words: str, login: str = "admin") -> Any:  # noqa: F811 - a fixture
    return lotwise(
        "edge",
        "catalog",
        str(file),
        "--core",
        str(api.client.base_url),
        "--login",
        login,
        *words,
        LOTWISE_PASSWORD=PASSWORD,
    )


BANDS = ("--band", "plant/frozen/*=freezer", "--band", "2..8 Cel", "--site-timezone", "Europe/Berlin")


def test_what_is_missing_is_shown_made_once_and_left_alone(api: Api, file: Path) -> None:  # noqa: F811 - a fixture
    admin = api.sign_in("admin")
    shown = made(api, file, *BANDS, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert (
        "will make zone plant/frozen/freezer-1 band -25..-10 Cel (alarm after 5 min), may be silent for 30 min"
        in shown.output
    )
    assert api.get("/sites", admin).json()["items"] == []
    refused = made(api, file, *BANDS)
    assert refused.exit_code == 1, "nobody can be asked"
    assert "say --yes" in refused.output
    done = made(api, file, *BANDS, "--yes", "--recorded", "*/temperature-2")
    assert done.exit_code == 0, done.output
    assert [site["timezone"] for site in api.get("/sites", admin).json()["items"]] == ["Europe/Berlin"]
    zones = {zone["address"]: zone for zone in api.get("/zones", admin).json()["items"]}
    assert (zones["plant/store/cold-1"]["band_low"], zones["plant/store/cold-1"]["band_high"]) == (2, 8)
    assert (zones["plant/frozen/freezer-1"]["band_low"], zones["plant/frozen/freezer-1"]["name"]) == (-25, "Freezer 1")
    points = {point["address"].partition("1/")[2]: point for point in api.get("/points", admin).json()["items"]}
    assert {name: (point["quantity"], point["unit"], point["role"]) for name, point in points.items()} == {
        "tank/temperature": ("temperature", "Cel", "required"),
        "tank/analog": ("analog", "", "machine"),
        "box/temperature": ("temperature", "Cel", "required"),
        "box/temperature-setpoint": ("temperature-setpoint", "Cel", "machine"),
        "box/temperature-2": ("temperature", "Cel", "machine"),
    }
    again = made(api, file, *BANDS, "--yes")
    assert again.exit_code == 0
    assert "will make" not in again.output
    assert "5 of these points are in the catalog" in again.output


def test_a_zone_that_is_there_without_a_band_gets_one_and_a_band_that_is_there_stays(api: Api, file: Path) -> None:  # noqa: F811 - fixtures are imported and named as parameters
    admin = api.sign_in("admin")
    assert made(api, file, "--yes").exit_code == 0
    assert made(api, file, "--band", "2..8 Cel", "--yes").exit_code == 0
    assert {zone["band_high"] for zone in api.get("/zones", admin).json()["items"]} == {8}
    assert made(api, file, "--band", "0..5 Cel", "--yes").exit_code == 0
    assert {zone["band_high"] for zone in api.get("/zones", admin).json()["items"]} == {8}


def test_what_does_not_fit_is_told_and_left_as_it_is(api: Api, file: Path) -> None:  # noqa: F811 - a fixture
    assert made(api, file, "--yes").exit_code == 0
    file.write_text(file.read_text().replace("tank/temperature, unit: Cel", "tank/temperature, unit: hPa"))
    done = made(api, file, "--yes")
    assert done.exit_code == 1
    assert "DOES NOT FIT: plant/store/cold-1/tank/temperature: sent in 'hPa'" in done.output


def test_who_may_not_is_told_so(
    api: Api,  # noqa: F811 - a fixture
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalog_writer, "START_TIMEOUT", 0.0)
    assert "lacks the permit catalog.sites" in made(api, file, "--yes", login="store").output
    wrong = lotwise(
        "edge",
        "catalog",
        str(file),
        "--core",
        str(api.client.base_url),
        "--login",
        "admin",
        "--yes",
        LOTWISE_PASSWORD="wrong",
    )
    assert wrong.exit_code == 1
    assert "the core refused" in wrong.output
    assert "no band" in made(api, file, "--yes", "--band", "warm").output
    away = lotwise("edge", "catalog", str(file), "--core", f"http://127.0.0.1:{free_port()}", "--yes")
    assert away.exit_code == 1
    assert "cannot be reached" in away.output


def test_edge_check_asks_a_core_that_is_there(api: Api, file: Path) -> None:  # noqa: F811 - a fixture
    def checked(core: str) -> Any:
        return lotwise("edge", "--check", str(file), "--core", core, "--login", "admin", LOTWISE_PASSWORD=PASSWORD)

    core = str(api.client.base_url)
    lacks = checked(core)
    assert lacks.exit_code == 1
    assert "zone plant/store/cold-1 is not in the catalog" in lacks.output
    assert "point plant/frozen/freezer-1/box/temperature is not in the catalog" in lacks.output
    assert "lotwise edge catalog" in lacks.output
    assert made(api, file, "--yes").exit_code == 0
    fits = checked(core)
    assert fits.exit_code == 0, fits.output
    assert "points made of plant/store/cold-1/{device}/temperature are known only when devices speak" in fits.output
    file.write_text(file.read_text().replace("tank/temperature, unit: Cel", "tank/temperature, unit: '%'"))
    assert "cannot be given in the catalog's unit 'Cel'" in checked(core).output
    away = checked(f"http://127.0.0.1:{free_port()}")
    assert away.exit_code == 0, "a core that is away is no error of the file"
    assert "it is away" in away.output
    assert lotwise("edge", "check", str(file)).exit_code == 0


def test_readings_that_came_before_their_points_are_taken(api: Api, file: Path) -> None:  # noqa: F811 - a fixture
    admin = api.sign_in("admin")
    point = "plant/store/cold-1/tank/temperature"
    early = [reading(n, point=point) for n in range(5)]
    fold(api.engine, IngestTransaction(judge=RecordingJudge(), live=False), Gateway().cut(early))
    (unknown,) = api.get("/ingest/unknown-points", admin).json()
    assert (unknown["point"], unknown["readings"]) == (point, 5)
    done = made(api, file, "--yes")
    assert "5 readings that had come before their points were taken and judged" in done.output
    assert api.get("/ingest/unknown-points", admin).json() == []


def test_browsing_makes_the_catalog_too(api: Api, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    file, admin = tmp_path / "gateway.yaml", api.sign_in("admin")
    with mosquitto(tmp_path / "broker") as broker, speaking(broker.port):
        words = (
            "edge",
            "browse",
            f"mqtt://127.0.0.1:{broker.port}",
            "--seconds",
            "0.7",
            "--zone",
            "plant/store/{device}",
        )
        core = ("--catalog", "--core", str(api.client.base_url), "--login", "admin", "--band", "2..8 Cel", "--yes")
        environment = {"LOTWISE_DATA_DIR": str(tmp_path / "data"), "LOTWISE_PASSWORD": PASSWORD}
        dry = lotwise(*words, "--write", str(file), *core, "--dry-run", **environment)
        assert dry.exit_code == 0, dry.output
        assert "will make zone plant/store/tank band 2..8 Cel" in dry.output
        assert not file.exists()
        done = lotwise(*words, "--write", str(file), *core, **environment)
    assert done.exit_code == 0, done.output
    (zone,) = api.get("/zones", admin).json()["items"]
    (point,) = api.get("/points", admin).json()["items"]
    assert (zone["address"], zone["band_high"], point["role"]) == ("plant/store/tank", 8, "required")
    checked = lotwise(
        "edge", "check", str(file), "--core", str(api.client.base_url), "--login", "admin", LOTWISE_PASSWORD=PASSWORD
    )
    assert checked.exit_code == 0, checked.output


def browsed(api: Api, folder: Path, zone: str, *words: str) -> Any:  # noqa: F811 - a fixture
    """`lotwise edge browse … --catalog` of one source into one file."""
    return lotwise(
        "edge",
        "browse",
        *words,
        "--zone",
        zone,
        "--write",
        str(folder / "gateway.yaml"),
        "--catalog",
        "--core",
        str(api.client.base_url),
        "--login",
        "admin",
        "--band",
        "2..8 Cel",
        "--yes",
        LOTWISE_DATA_DIR=str(folder / "data"),
        LOTWISE_PASSWORD=PASSWORD,
    )


def the_catalog_has(api: Api, folder: Path, zone: str, points: dict[str, tuple[str, str, str]]) -> None:  # noqa: F811 - a fixture
    """One zone with its band, these points (quantity, unit, role) below it, and a file that the core has nothing
    against.
    """
    admin = api.sign_in("admin")
    zones = [(one["address"], one["band_low"], one["band_high"]) for one in api.get("/zones", admin).json()["items"]]
    assert zones == [(zone, 2, 8)]
    rows = api.get("/points", admin).json()["items"]
    assert {
        row["address"].removeprefix(f"{zone}/"): (row["quantity"], row["unit"], row["role"]) for row in rows
    } == points
    file = str(folder / "gateway.yaml")
    core = ("--core", str(api.client.base_url), "--login", "admin")
    checked = lotwise("edge", "check", file, *core, LOTWISE_PASSWORD=PASSWORD)
    assert checked.exit_code == 0, checked.output


def test_an_opcua_server_is_browsed_into_the_catalog(api: Api, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    zone = "plant/filling/line-1"

    async def main() -> tuple[Any, Any]:
        async with machine(free_port(), {"n": 7}) as peer:
            await furnish(peer)
            first = await asyncio.to_thread(browsed, api, tmp_path, zone, peer.endpoint, "--dry-run")
            assert first.exit_code == 0, first.output
            assert f"will make zone {zone} band 2..8 Cel" in first.output
            assert api.get("/zones", api.sign_in("admin")).json()["items"] == []
            done = await asyncio.to_thread(browsed, api, tmp_path, zone, peer.endpoint)
            return done, await asyncio.to_thread(browsed, api, tmp_path, zone, peer.endpoint)

    done, again = asyncio.run(main())
    assert done.exit_code == 0, done.output
    points = {
        "Chamber/Air-temperature": ("temperature", "Cel", "required"),
        **{f"Chamber/{name}": (name, "", "machine") for name in ("By-hand", "Failed", "Old", "Probes")},
        "server/n": ("n", "", "machine"),
    }
    the_catalog_has(api, tmp_path, zone, points)
    assert again.exit_code == 0, again.output
    assert "will make" not in again.output


def test_a_modbus_box_is_scanned_into_the_catalog(api: Api, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    zone, port = "plant/store/cold-1", free_port()
    box = device(1, registers(0, 50), inputs=[registers(0, 48), registers(20, 52)])
    words = (f"modbus://127.0.0.1:{port}", "--units", "1", "--registers", "input:0-3", "--registers", "holding:0-3")

    async def main() -> tuple[Any, Any]:
        async with plc(port, box):
            first = await asyncio.to_thread(browsed, api, tmp_path, zone, *words, "--dry-run")
            assert first.exit_code == 0, first.output
            assert f"will make zone {zone} band 2..8 Cel" in first.output
            assert api.get("/zones", api.sign_in("admin")).json()["items"] == []
            done = await asyncio.to_thread(browsed, api, tmp_path, zone, *words)
            return done, await asyncio.to_thread(browsed, api, tmp_path, zone, *words)

    done, again = asyncio.run(main())
    assert done.exit_code == 0, done.output
    points = {
        "modbus-127-0-0-1/temperature-input-0": ("temperature", "Cel", "required"),
        "modbus-127-0-0-1/temperature-holding-0": ("temperature", "Cel", "machine"),
    }
    the_catalog_has(api, tmp_path, zone, points)  # and nothing of the register outside the given ranges
    assert again.exit_code == 0, again.output
    assert "will make" not in again.output


def test_the_core_says_which_points_it_does_not_have(engine: Engine) -> None:
    add_points(engine, ["s1/a/z1/d/temperature"])
    ask = ConfirmRequest("gw-1", (), points=("s1/a/z1/d/temperature", "s1/a/z1/d/other", "s1/a/z1/d/another"))
    assert answer(engine, ask, ConsumerState()).unknown == ("s1/a/z1/d/another", "s1/a/z1/d/other")
    assert answer(engine, ConfirmRequest("gw-1", ()), ConsumerState()).unknown == ()
    for wrong in (tuple(f"p{n}" for n in range(POINTS_MAX + 1)), ("a\0b",)):
        with pytest.raises(BadBatch):
            answer(engine, ConfirmRequest("gw-1", (), points=wrong), ConsumerState())


class Asked:
    """A carrier of questions: answers that the points in `lacks` are unknown; silent while `away`."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.lacks: set[str] = set()
        self.away = False
        self.asked = 0

    async def ask(self, subject: str, payload: bytes) -> bytes:
        self.asked += 1
        assert subject == "confirm.gw-1"
        if self.away:
            raise CoreSilent("nobody answers")
        points = decode(ConfirmRequest, payload).points
        return encode(ConfirmReply((), "", {}, unknown=tuple(one for one in points if one in self.lacks)))


def test_a_gateway_tells_of_unknown_points_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lotwise.edge.points")
    carrier = Asked()
    points = {f"s/a/z/d/p{n}" for n in range(9)}
    carrier.lacks = set(points)
    watch = PointWatch(carrier, "gw-1", lambda: points, every=0.01)  # type: ignore[arg-type]  # it only asks

    async def rounds(more: int) -> None:
        until = carrier.asked + more
        async with asyncio.timeout(10):
            while carrier.asked < until:  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.005)

    async def main() -> None:
        task = asyncio.create_task(watch.run())
        await rounds(5)
        assert len(watch.unknown) == 9
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "s/a/z/d/p0, s/a/z/d/p1, s/a/z/d/p2, s/a/z/d/p3, s/a/z/d/p4 and 4 more" in caplog.text
        points.add("s/a/z/d/new")
        carrier.lacks.add("s/a/z/d/new")
        await rounds(3)
        assert "lacks s/a/z/d/new:" in caplog.text
        carrier.away = True
        await rounds(3)
        assert len(watch.unknown) == 10, "what the core said last stands while it is away"
        carrier.away, carrier.lacks = False, set()
        await rounds(3)
        assert watch.unknown == ()
        assert caplog.records[-1].message == "the core's catalog has every point now"
        task.cancel()

    asyncio.run(main())
