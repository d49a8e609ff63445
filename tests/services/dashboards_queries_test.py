"""Every panel's query on real servers: PostgreSQL as the reader role, InfluxDB by InfluxQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from core.erp.catalog.model import Item, Point, Site, Zone
from core.erp.exposure.model import GapRecord, SourceWatermark
from core.erp.lots.model import Hold, Lot, Sublot, ZoneJudged
from core.erp.quality.model import Excursion, ZoneAlarm
from core.ingest.model import BatchRow
from core.outbound.ddl import READER, VIEWS
from core.series.influx import InfluxStore
from core.telemetry.reading import Reading
from dashboards.queries import PanelQuery, Span, all_queries
from dashboards.sources import ERP, TELEMETRY
from tests.contracts.series_influxd import Influx, influxdb

pytestmark = pytest.mark.as_owner

NOW = datetime.now(UTC).replace(microsecond=0)
AGO = NOW - timedelta(minutes=30)
ZONE, GATEWAY = "s1/a/cold-1", "gw-1"
QUERIES = all_queries(
    Span(NOW - timedelta(hours=1), NOW + timedelta(minutes=1)), {"zone": [ZONE], "gateway": [GATEWAY]}
)


def only(source: str) -> list[PanelQuery]:
    return [query for query in QUERIES if query.datasource == source]


@pytest.fixture
def erp(engine: Engine) -> Engine:
    """A warm room with a held sublot, as plain rows: the views are what is tested."""
    rows = [
        Site(id=1, code="S1", name="Site 1"),
        Zone(id=1, site_id=1, address=ZONE, name="Cold room 1", band_low=2.0, band_high=8.0),
        Point(id=1, zone_id=1, address=f"{ZONE}/p1/temperature", quantity="temperature", unit="Cel"),
        ZoneJudged(zone_id=1, last_value=9.5, last_good_at=NOW, judged_to=NOW, watermark=NOW),
        Item(id=1, code="I1", name="Item"),
        Lot(id=1, item_id=1, number="L1", created_at=AGO),
        Sublot(id=1, code="SL1", lot_id=1, zone_id=1, created_at=AGO),
        Excursion(
            id=1,
            incident_id=1,
            sublot_id=1,
            zone_id=1,
            version_id=1,
            limit_key="high",
            kind="consecutive",
            started_at=AGO,
            broke_at=AGO,
            known_at=NOW,
            certainty="proven",
            out=timedelta(minutes=60),
            highest=9.5,
        ),
        Hold(
            id=1,
            sublot_id=1,
            kind="exposure",
            certainty="proven",
            reason="high",
            excursion_id=1,
            since_at=AGO,
            placed_at=NOW,
            placed_by="system:judge",
        ),
        ZoneAlarm(id=1, zone_id=1, kind="high", started_at=AGO, raised_at=AGO, value=9.5),
        GapRecord(id=1, zone_id=1, start_at=AGO, stop_at=NOW, reason="silence", known_at=NOW),
        BatchRow(
            id=1,
            gateway=GATEWAY,
            site="s1",
            epoch="e1",
            partition=3,
            number=1,
            kind="readings",
            sha256=b"x",
            count=10,
            landed_count=9,
            conflict_count=1,
            cut_at=AGO,
            received_at=NOW,
        ),
        SourceWatermark(zone_id=1, gateway=GATEWAY, source="mqtt", upto=AGO, received_at=NOW),
    ]
    with Session(engine) as session:
        for row in rows:
            session.add(row)
            session.flush()
        session.commit()
    return engine


def test_every_erp_panel_has_rows_for_the_reader(erp: Engine) -> None:
    assert len(only(ERP)) > 10
    with erp.connect() as conn:
        conn.execute(text(f"SET ROLE {READER}"))
        for query in only(ERP):
            rows = conn.exec_driver_sql(query.query.replace("%", "%%")).all()
            assert rows, f"{query.board}: {query.panel} is empty"
            assert any(value is not None for row in rows for value in row), query.panel


def test_the_numbers_are_right(erp: Engine) -> None:
    with erp.connect() as conn:
        assert conn.execute(text("SELECT status FROM v_zone_status")).scalar_one() == "high"
        assert conn.execute(text("SELECT minutes_out FROM v_open_excursions")).scalar_one() == 60
        assert conn.execute(text("SELECT lot, sublot, zone FROM v_holds")).one() == ("L1", "SL1", ZONE)
        row = conn.execute(text("SELECT readings, landed, conflicts, watermark FROM v_gateway_status")).one()
        assert row == (10, 9, 1, AGO)
        assert conn.execute(text("SELECT seconds_behind FROM v_watermarks")).scalar_one() == 1800
        assert conn.execute(text("SELECT minutes FROM v_gaps")).scalar_one() == 30


def test_a_loose_contacts_silences_are_one_gap_and_what_was_put_right_is_none(erp: Engine) -> None:
    minute, begun = timedelta(minutes=1), NOW - timedelta(hours=5)

    ids = count(100)

    def gap(start: datetime, stop: datetime | None, replaces: int | None = None) -> GapRecord:
        return GapRecord(
            id=next(ids),
            zone_id=1,
            point_id=1,
            start_at=start,
            stop_at=stop,
            reason="silent",
            known_at=NOW,
            replaces_id=replaces,
        )

    contact = [gap(begun + n * 2 * minute, begun + (n * 2 + 1) * minute) for n in range(60)]
    later = begun + timedelta(hours=2, minutes=31)  # more than the allowed 30 minutes after the last
    with Session(erp) as session:
        filled = gap(begun - timedelta(hours=2), begun - timedelta(hours=1))
        session.add_all([*contact, gap(later, None), gap(later + minute, later + 2 * minute), filled])
        session.flush()
        session.add(gap(filled.start_at, filled.start_at, filled.id))
        session.commit()
    with erp.connect() as conn:
        asked = text("SELECT start_at, stop_at, minutes, silences FROM v_gaps WHERE reason = 'silent' ORDER BY 1")
        found = conn.execute(asked).all()
    assert found == [(begun, begun + 119 * minute, 119, 60), (later, None, None, 2)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM app_user",
        "SELECT * FROM sublot",
        "DELETE FROM v_holds",
        "INSERT INTO v_ingest_alarms (kind) VALUES ('x')",
        "UPDATE v_dead_letters SET reason = 'x'",
        "CREATE TABLE mine (id int)",
        "CREATE ROLE another",
    ],
)
def test_the_reader_can_do_nothing_else(erp: Engine, statement: str) -> None:
    with erp.connect() as conn:
        conn.execute(text(f"SET ROLE {READER}"))
        with pytest.raises(DBAPIError, match=r"permission denied|cannot"):
            conn.execute(text(statement))


def test_every_view_is_granted_and_listed(erp: Engine) -> None:
    with erp.connect() as conn:
        views = set(conn.scalars(text("SELECT viewname FROM pg_views WHERE schemaname = 'public'")))
        assert set(VIEWS) <= views
        for view in VIEWS:
            allowed = conn.execute(text(f"SELECT has_table_privilege('{READER}', '{view}', 'SELECT')")).scalar_one()
            assert allowed, view


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influxdb(tmp_path_factory.mktemp("influx")) as made:
        store = InfluxStore(made.settings)
        store.write(
            [
                Reading(f"{ZONE}/p1/temperature", AGO + timedelta(seconds=10 * n), 9.0 + n / 100, "Cel", edge_at=NOW)
                for n in range(60)
            ]
        )
        store.close()
        yield made


def test_every_telemetry_panel_has_series(influx: Influx) -> None:
    assert len(only(TELEMETRY)) >= 5
    for query in only(TELEMETRY):
        (result,) = influx.ask(query.query).raise_for_status().json()["results"]
        assert "error" not in result, f"{query.panel}: {result}"
        values = [row[1] for series in result.get("series", []) for row in series["values"]]
        assert any(value is not None for value in values), f"{query.board}: {query.panel} is empty"


def test_a_wrong_query_is_an_error(influx: Influx) -> None:
    """The check above can fail: this is what it would see."""
    assert influx.ask("SELECT mean(value FROM x").status_code == 400
