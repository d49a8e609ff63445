"""The whole way with a real InfluxDB behind: shipped, dropped, asked for by a chart, told late, judged right."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel.access.users import create_user
from core.erp.kernel.unit import system, transact
from core.ingest.shipping import prune, ship
from core.ingest.transaction import IngestTransaction
from core.series.restoring import influx_attached, store_behind
from core.settings import Settings
from core.telemetry.address import partition_of
from core.telemetry.batch import Watermark
from core.telemetry.reading import Reading
from core.wiring import build_events
from tests.contracts.series_influxd import influxd
from tests.services.ingest_support import Gateway
from tests.serving import serving
from tests.world import OVER_8_FOR_60, World, at, every

PASSWORD = "correct horse battery"
ROOM = "s1/a/room"
POINT = f"{ROOM}/p1/temperature"
LATER = at("12:00", 13)


@contextmanager
def signed_in(engine: Engine, settings: Settings) -> Iterator[httpx.Client]:
    """The core as it is served, somebody signed in."""
    app = create_app(settings, engine, run_background=False)
    with serving(app) as client:
        client.base_url = client.base_url.join("/api/v1")
        token = client.post("/token", data={"username": "admin", "password": PASSWORD}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_shipped_dropped_shown_told_late_and_judged_right(engine: Engine, tmp_path: Path) -> None:
    world = World(engine, build_events())
    world.do(lambda u: create_user(u, "admin", "Admin", PASSWORD, ["admin"]))
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    folder, gateway = IngestTransaction(judge=world.judge, live=False), Gateway()

    def hear(values: list[tuple[Any, float]], *, upto: Any = None, now: Any = None) -> None:
        readings = [Reading(POINT, when, value, "Cel", when) for when, value in values]
        marks = [Watermark("source", upto, (ROOM,))] if upto else []
        message = gateway.cut(readings, marks, partition=partition_of(ROOM))
        transact(engine, system("ingest"), world.events, lambda u: folder.run(u, [message]), now or upto)

    early = [
        *every(5, at("01:00"), at("02:00"), 5.0),
        *every(5, at("03:00"), at("03:15"), 9.0),
        *every(5, at("03:20"), at("05:00"), 5.0),
    ]
    hear(early, upto=at("05:00"))
    world.put(sublot, None, at("05:00"))
    hear(every(30, at("00:00", 13), at("12:00", 13), 6.0), upto=LATER)
    with influxd(tmp_path / "influx") as (server, influx):
        settings = Settings(
            instance="test",
            secret_key=SecretStr("s" * 40),
            data_dir=tmp_path,
            influx_url=influx.settings.url,
            influx_bucket=influx.settings.bucket,
        )
        with influx_attached(engine, *settings.store_behind()) as store:
            assert store is not None
            assert ship(engine, store, LATER) == 2
            assert prune(engine, LATER) == ["reading_20260302"]
        with signed_in(engine, settings) as client:
            span = {"point": POINT, "start": at("00:00").isoformat(), "stop": at("00:00", 14).isoformat()}
            shown = client.get("/readings", params=span).json()
            assert [(each["at"], each["value"]) for each in shown[: len(early)]] == [
                (when.isoformat().replace("+00:00", "Z"), value) for when, value in early
            ]
            assert len(shown) == len(early) + 25
            chart = client.get("/readings/chart", params={**span, "pixels": 14}).json()
            assert [(each["lowest"], each["highest"], each["count"]) for each in chart] == [
                (5.0, 9.0, len(early)),
                (6.0, 6.0, 25),
            ]
            through = client.get(
                f"/sublots/{sublot}/exposure",
                params={"start": at("03:00").isoformat(), "stop": at("03:30").isoformat()},
            )
            assert through.status_code == 200, through.text
            assert through.json()["highest"] == 9.0
            server.stop()
            away = client.get("/readings", params=span)
            assert (away.status_code, away.json()["type"]) == (503, "urn:lotwise:unavailable")
            hot = {**span, "start": at("00:00", 13).isoformat()}
            assert len(client.get("/readings", params=hot).json()) == 25
            server.start()
        assert store_behind(engine) is None
        with influx_attached(engine, *settings.store_behind()):
            hear(every(5, at("02:05"), at("02:55"), 9.0), now=at("13:00", 13))
            assert world.excursions(sublot) == [(sublot, "high", at("02:05"), at("03:05"), "proven")]
