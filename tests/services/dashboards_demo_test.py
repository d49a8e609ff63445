"""Every panel's query against a real InfluxDB and PostgreSQL that the demo's own devices, gateway and story filled."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from core.erp.kernel import passwords
from core.ingest.shipping import ship
from core.outbound.ddl import READER
from core.series.influx import InfluxStore
from dashboards.queries import PanelQuery, Span, all_queries
from dashboards.sources import ERP
from lotwise.demo import story
from lotwise.demo.plant import RIG, ROOM_1, TRUCK, configure, make_catalog, scenario
from lotwise.demo.stage import GATEWAY, stage
from lotwise.embedded.process import free_port
from simulators.fleet import Fleet
from simulators.load import MqttLoad
from simulators.sensors import MqttSensor
from tests.contracts.series_influxd import Influx, influxdb
from tests.keys import opened

BEGUN = datetime.now(UTC)
SPAN = Span(BEGUN - timedelta(minutes=10), BEGUN + timedelta(hours=1), timedelta(seconds=5))
QUERIES = all_queries(SPAN, {"zone": [ROOM_1, TRUCK], "gateway": [GATEWAY]})

FEW = 20.0
"""Numbered readings a second: the boards need some of them, not the demo's load."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def answers() -> Iterator[list[list[Any]]]:
    """The values that each of QUERIES was answered with, in order."""
    # not below pytest's folder: PostgreSQL under root runs as nobody and could not enter it
    with TemporaryDirectory(prefix="lotwise-boards-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with influxdb(folder / "influx") as influx, pytest.MonkeyPatch.context() as patch:
            patch.setenv("LOTWISE_INSTANCE", "test")  # the simulators refuse any other
            cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
            patch.setattr(passwords, "hasher", lambda: cheap)  # a hash names its own cost, to the core's process too
            yield asyncio.run(_told(folder / "demo", influx))


async def _told(folder: Path, influx: Influx) -> list[list[Any]]:
    """The demo's story up to the truck's open door, with a sensor silent meanwhile; then all the panels' answers."""
    async with stage(folder, 0) as on:
        assert on.broker.mqtt_port is not None
        devices = scenario(on.broker.mqtt_port, free_port(), free_port())
        plant = await make_catalog(on, configure(on, devices))
        silent = devices.model_copy(update={"devices": [d for d in devices.devices if d.kind != "mqtt_load"]})
        async with Fleet(silent) as fleet:
            load = MqttLoad(RIG, broker=devices.broker, rate=FEW, prefix="rig")
            try:
                scene = story.Scene(on, plant, fleet, load, datetime.now(UTC))
                await on.start_gateway()
                for step in (story.devices_speak, story.goods_arrive, story.plans_are_made):
                    await step(scene)
                probe = fleet.devices["probe-3"]
                assert isinstance(probe, MqttSensor)
                probe.silence()
                await asyncio.gather(story.cold_room_fails(scene), story.truck_door_left_open(scene))
                engine = opened(on.postgres.url())

                async def gap() -> bool:
                    with engine.connect() as conn:
                        asked = text("SELECT count(*) FROM v_gaps WHERE start_at > :begun")
                        return bool(conn.scalar(asked, {"begun": BEGUN}))

                await scene.until("a gap on record", gap, 45)
                store = InfluxStore(influx.settings)
                while await asyncio.to_thread(ship, engine, store, datetime.now(UTC)) > 1:
                    pass
                store.close()
                with engine.connect() as conn:
                    conn.execute(text(f"SET ROLE {READER}"))
                    found = [_sql(conn, q) if q.datasource == ERP else _influx(influx, q) for q in QUERIES]
                engine.dispose()
                return found
            finally:
                await load.stop()


def _sql(conn: Any, query: PanelQuery) -> list[Any]:
    return [value for row in conn.exec_driver_sql(query.query.replace("%", "%%")) for value in row]


def _influx(influx: Influx, query: PanelQuery) -> list[Any]:
    (result,) = influx.ask(query.query).raise_for_status().json()["results"]
    assert "error" not in result, f"{query.board}: {query.panel}: {result['error']}"
    return [value for series in result.get("series", []) for row in series["values"] for value in row[1:]]


@pytest.mark.parametrize("number", range(len(QUERIES)), ids=[f"{q.board}: {q.panel}" for q in QUERIES])
def test_no_panel_is_empty(answers: list[list[Any]], number: int) -> None:
    assert any(value is not None for value in answers[number]), QUERIES[number].query


def test_the_boards_tell_the_story(answers: list[list[Any]]) -> None:
    """The truck stands open, so its zone is out of range and something is held: figures that cannot be noughts."""

    def of(panel: str) -> list[Any]:
        return next(found for query, found in zip(QUERIES, answers, strict=True) if query.panel == panel)

    for panel in ("Zones out of range or silent", "Open excursions", "Holds in force", "Sublots in these zones"):
        assert of(panel)[0] > 0, panel
    assert of("Readings confirmed")[0] > 100
    assert max(value for value in of("Highest temperature per zone") if value is not None) > 8.0
