"""Every panel's query on real servers: PostgreSQL as the reader role, InfluxDB by InfluxQL."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from core.erp.exposure.model import GapRecord
from core.outbound.ddl import READER, VIEWS
from core.series.influx import InfluxStore
from dashboards.queries import PanelQuery, Span, all_queries
from dashboards.sources import ERP, TELEMETRY, Store
from tests.contracts.series_influxd import Influx, influxdb
from tests.services.boards_plant import AGO, CHOSEN, NOW, ZONE, fill, readings

pytestmark = pytest.mark.as_owner

NEAR = Span(NOW - timedelta(hours=1), NOW + timedelta(minutes=1))
FAR = Span(NOW - timedelta(days=19), NOW + timedelta(minutes=1), timedelta(minutes=30))


def only(source: str, store: Store, span: Span) -> list[PanelQuery]:
    return [query for query in all_queries(store, span, CHOSEN) if query.datasource == source]


@pytest.fixture
def erp(engine: Engine) -> Engine:
    """A warm room with a held sublot, as plain rows: the views are what is tested."""
    fill(engine)
    return engine


def answers(erp: Engine, queries: list[PanelQuery]) -> list[list[Any]]:
    """What the reader is answered."""
    with erp.connect() as conn:
        conn.execute(text(f"SET ROLE {READER}"))
        return [list(conn.exec_driver_sql(query.query.replace("%", "%%")).all()) for query in queries]


FAR_ONLY = {"Band of $zone", "Every point", "Humidity", "Temperature on board", "What was measured"}
"""With InfluxDB, what PostgreSQL draws of ranges over seven days only."""


@pytest.mark.parametrize(("store", "span"), [(store, span) for store in Store for span in (NEAR, FAR)])
def test_every_erp_panel_has_rows_for_the_reader(erp: Engine, store: Store, span: Span) -> None:
    asked = only(ERP, store, span)
    assert len(asked) > 60
    for query, rows in zip(asked, answers(erp, asked), strict=True):
        empty = not any(value is not None for row in rows for value in row)
        drawn_twice = store is Store.INFLUX and span is NEAR and query.ref == "B" and query.panel in FAR_ONLY
        other_half = (
            query.board == "gateway_health" and query.panel == "Readings" and (query.ref == "B") == (span is NEAR)
        )
        assert empty == (drawn_twice or other_half), query


def test_the_numbers_are_right(erp: Engine) -> None:
    with erp.connect() as conn:
        assert conn.execute(text("SELECT status FROM v_zone_status WHERE zone_id = 1")).scalar_one() == "high"
        assert conn.execute(text("SELECT minutes_out FROM v_open_excursions")).scalar_one() == 60
        assert conn.execute(text("SELECT lot, sublot, zone FROM v_holds WHERE id = 1")).one() == ("L1", "SL1", ZONE)
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
        store.write(list(readings()))
        store.close()
        yield made


def test_every_telemetry_panel_has_series(influx: Influx) -> None:
    asked = only(TELEMETRY, Store.INFLUX, NEAR)
    assert len(asked) >= 15
    found: dict[tuple[str, str], bool] = {}
    for query in asked:
        found[query.board, query.panel] = found.get((query.board, query.panel), False) or any(_values(influx, query))
    assert [panel for panel, full in found.items() if not full] == []


def test_of_a_long_range_influxdb_is_asked_nothing_where_hours_are_kept(influx: Influx) -> None:
    for query in only(TELEMETRY, Store.INFLUX, FAR):
        if query.panel in FAR_ONLY:
            assert not any(_values(influx, query)), query


def _values(influx: Influx, query: PanelQuery) -> list[bool]:
    (result,) = influx.ask(query.query).raise_for_status().json()["results"]
    assert "error" not in result, f"{query.panel}: {result}"
    return [row[1] is not None for series in result.get("series", []) for row in series["values"]]


def test_a_wrong_query_is_an_error(influx: Influx) -> None:
    """The check above can fail: this is what it would see."""
    assert influx.ask("SELECT mean(value FROM x").status_code == 400
