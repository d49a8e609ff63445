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
from dashboards.sources import ERP, METRICS, Store
from lotwise.demo import story
from lotwise.demo.plant import LINE, RIG, ROOM_1, ROOM_3, TRUCK, configure, make_catalog, scenario
from lotwise.demo.stage import GATEWAY, stage
from lotwise.embedded.process import free_port
from simulators.fleet import Fleet
from simulators.load import MqttLoad
from simulators.sensors import MqttSensor
from tests.contracts.series_influxd import Influx, influxdb
from tests.keys import opened

BEGUN = datetime.now(UTC)
SPAN = Span(BEGUN - timedelta(minutes=10), BEGUN + timedelta(hours=1), timedelta(seconds=5))
CHOSEN = {
    "site": ["plant"],
    "area": ["cold", "trucks", "fill"],
    "zone": [ROOM_1, ROOM_3, TRUCK, LINE],
    "gateway": [GATEWAY],
    "item": ["vaccine"],
    "lot": ["V1"],
}
QUERIES = [
    (store, query) for store in Store for query in all_queries(store, SPAN, CHOSEN) if query.datasource != METRICS
]

FEW = 20.0
"""Numbered readings a second: the boards need some of them, not the demo's load."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def answers() -> Iterator[list[list[Any]]]:
    """The values that each of QUERIES was answered with, in their order."""
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
                    found = [_sql(conn, q) if q.datasource == ERP else _influx(influx, q) for _, q in QUERIES]
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


NOT_IN_THE_DEMO = {
    "Humidity": "no device of the demo measures it",
    "Told in time": "nobody is to be told there",
    "Mean kinetic temperature, at most": "hours are kept once they are over, and the story takes a minute",
    "Readings in doubt": "there may be none",
    "Decisions": "the story stops before them",
    "Hours to a decision": "the story stops before them",
    "Certificates that end": "those of the demo hold for a year",
    "Ingest alarms": "there may be none",
    "Dead letters": "there may be none",
    "Legs": "the truck's shipment has none",
    "Legs on the road": "the truck's shipment has none",
    "Outbox": "all may be told",
}
"""Panels that may have nothing to show in the demo, and why; each has in `dashboards_queries_test`."""


def test_no_panel_is_empty(answers: list[list[Any]]) -> None:
    full: dict[tuple[Store, str, str], bool] = {}
    for (store, query), found in zip(QUERIES, answers, strict=True):
        if query.ref != "L":  # the limits beside what is measured
            key = (store, query.board, query.panel)
            full[key] = full.get(key, False) or any(value is not None for value in found)
    empty = {key for key, there in full.items() if not there}
    assert {panel for _, _, panel in empty} <= NOT_IN_THE_DEMO.keys(), sorted(empty)


def test_the_boards_tell_the_story(answers: list[list[Any]]) -> None:
    """The truck stands open, so its zone is out of range and something is held: figures that cannot be noughts."""

    def of(panel: str, store: Store = Store.POSTGRES, board: str = "") -> list[Any]:
        return next(
            found
            for (asked, query), found in zip(QUERIES, answers, strict=True)
            if query.panel == panel and asked is store and board in query.board
        )

    for panel in ("Zones out of range or silent", "Open excursions", "Holds in force", "Sublots in these zones"):
        assert of(panel)[0] > 0, panel
    assert of("Readings of the last day")[0] > 100
    for store in Store:
        assert max(value for value in of("Every point", store) if isinstance(value, float)) > 8.0
    assert ROOM_1 in of("Stays", board="lot"), "the lot stood there"
    assert {4, 0} <= set(of("Zones over time")), "a zone was too warm and another was not"
