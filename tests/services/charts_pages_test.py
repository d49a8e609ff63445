"""Charts over HTTP: who gets which, in which form; the table of readings beneath; what draws them."""

import csv
import gzip
import io
from collections.abc import Iterator
from importlib.metadata import PackagePath

import httpx
import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.service import create_site
from core.erp.kernel.access.users import Place
from core.erp.kernel.unit import system, unit
from core.erp.partners.model import Partner
from core.telemetry.quality import Quality
from core.web.frame import echarts
from core.wiring import build_events
from tests.pages import Browser, pages, text_of
from tests.world import OVER_8_FOR_60, World, at, every

PEOPLE = {"qa": ["qa"], "far": ["qa"], "none": ["supplier"]}


@pytest.fixture(scope="module")
def world(module_engine: Engine) -> World:
    """A room that was too warm for goods, with a bad reading at the end."""
    made = World(module_engine, build_events())
    room = made.zone("room", band_low=2.0, band_high=8.0)
    made.sublot(made.item(OVER_8_FOR_60), room, at("00:30"))
    made.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    made.feed("room", every(10, at("02:10"), at("03:30"), 9.5), upto=at("03:30"))
    made.feed("room", [(at("03:40"), 5.0)], quality=Quality.UNCERTAIN, upto=at("04:00"))
    return made


@pytest.fixture(scope="module")
def people(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    with unit(world.engine, system("test"), build_events()) as u:
        other = create_site(u, "far", "Far away", "Asia/Shanghai").id
        u.session.add(Partner(code="maker", name="Maker", roles=["supplier"], country="DE"))
    with pages(
        world.engine, tmp_path_factory.mktemp("pages"), PEOPLE, {"far": Place((other,)), "none": Place(partner_id=1)}
    ) as found:
        yield found


DAY = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"}
ADDRESSES = ("/charts/zones/1", "/charts/excursions/1", "/charts/sublots/1")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_chart_is_json_that_nobody_keeps(people: dict[str, Browser], address: str) -> None:
    answer = people["qa"].client.get(address, params=DAY | {"width": "600"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-encoding"] == "gzip"
    doc = answer.json()
    assert [curve["point"] for curve in doc["curves"]] == ["s1/a/room/p1/temperature"]
    assert doc["table"] == f"{address}/readings"


@pytest.mark.parametrize("form", ["", "/readings", "/readings.csv"])
@pytest.mark.parametrize("record", ADDRESSES)
def test_what_is_out_of_scope_is_not_there(people: dict[str, Browser], record: str, form: str) -> None:
    address = record + form
    far, absent = people["far"].client.get(address), people["far"].client.get(address.replace("/1", "/999"))
    assert (far.status_code, absent.status_code) == (404, 404)
    assert people["none"].client.get(address).status_code == 403
    gone = httpx.get(str(people["qa"].client.base_url.join(address)), follow_redirects=False)
    assert (gone.status_code, gone.headers["location"].partition("?")[0]) == (303, "/login")


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "2026-03-02T02:00:00"},
        {"from": "yesterday"},
        {"width": "0"},
        {"width": "1000000"},
        {"from": "2026-03-02T03:00:00Z", "to": "2026-03-02T02:00:00Z"},
        {"form": "2026-03-02T03:00:00Z"},
    ],
    ids=str,
)
def test_a_window_that_cannot_be_meant_is_refused(people: dict[str, Browser], asked: dict[str, str]) -> None:
    assert people["qa"].client.get("/charts/zones/1", params=asked).status_code == 422


def test_the_readings_beneath_are_a_table(people: dict[str, Browser]) -> None:
    page = people["qa"].get("/charts/zones/1/readings?from=2026-03-02T03:00:00Z&to=2026-03-02T04:00:00Z")
    said = text_of(page)
    assert "5 on this page" in said
    assert "9.5 °C" in said
    assert said.count("Uncertain") == 1
    assert "/charts/zones/1/readings.csv?from=2026-03-02T03%3A00%3A00%2B00%3A00" in page


def test_the_readings_beneath_are_a_file(people: dict[str, Browser]) -> None:
    answer = people["qa"].client.get("/charts/excursions/1/readings.csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="excursions-1-readings.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[-1]["Quality"] == "uncertain"
    assert [row["Value"] for row in rows].count("9.5") == 9
    assert {row["Unit"] for row in rows} == {"°C"}


def test_what_a_device_says_is_no_formula(people: dict[str, Browser], world: World) -> None:
    zone = world.zone("odd")
    with world.engine.begin() as conn:
        conn.execute(text("INSERT INTO series_point (address) VALUES ('s1/a/odd/p1/temperature')"))
        conn.execute(
            text(
                "INSERT INTO reading (point_id, at, edge_at, kind, quality, simulated, unit, reason, txt)"
                " SELECT id, '2026-03-02 03:00Z', '2026-03-02 03:00Z', 4, 2, false, '', '=cmd|A0', '<b>=1+1</b>'"
                " FROM series_point WHERE address = 's1/a/odd/p1/temperature'"
            )
        )
    span = "from=2026-03-02T00:00:00Z&to=2026-03-02T04:00:00Z"
    told = people["qa"].client.get(f"/charts/zones/{zone}/readings.csv?{span}").text
    assert '"\'=cmd|A0"' in told
    page = people["qa"].get(f"/charts/zones/{zone}/readings?{span}")
    assert "&lt;b&gt;=1+1&lt;/b&gt;" in page


# --- what draws


def test_echarts_is_served_from_the_wheel_packed_and_kept(people: dict[str, Browser]) -> None:
    client = people["qa"].client
    entry = client.get(echarts.address())
    assert entry.status_code == 200
    assert entry.headers["content-type"].startswith("text/javascript")
    assert "immutable" in entry.headers["cache-control"]
    module = next(name for name in echarts.files() if name != "index.js")
    assert f'"./{module}"' in entry.text
    with client.stream("GET", echarts.address().replace("index.js", module)) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) < 400_000
    assert b"echarts" in gzip.decompress(packed)
    assert client.get(echarts.address().replace("index.js", "../echart.py")).status_code == 404
    assert client.get("/echarts/1.0/index.js").headers["cache-control"] == "no-cache"
    assert len(echarts.files()) == 2, "what is loaded on demand is left out"


class Wheel:
    """A wheel of that version with these files."""

    def __init__(self, version: str, files: list[str]) -> None:
        self.version, self.files = version, [PackagePath(name) for name in files]


@pytest.mark.parametrize(
    ("wheel", "said"),
    [(Wheel("3.19.0", []), "3.19.0 is installed"), (Wheel(echarts.PINNED, []), "has no file nicegui/elements/echart")],
    ids=["another version", "another content"],
)
def test_another_wheel_stops_the_start(monkeypatch: pytest.MonkeyPatch, wheel: Wheel, said: str) -> None:
    monkeypatch.setattr(echarts, "distribution", lambda _: wheel)
    for cached in (echarts.version, echarts.files):
        cached.cache_clear()
    try:
        with pytest.raises(echarts.EchartsMissing, match=said):
            echarts.files()
    finally:
        for cached in (echarts.version, echarts.files):
            cached.cache_clear()
