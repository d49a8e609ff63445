"""Each kind of event that people are told of, in words, and its end: by a list that is written by hand."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.conditions import Conditions, disk, of_signs, two_of_one_name
from core.erp.alerting.model import AlertRoute
from core.erp.alerting.service.conditions import Condition, follow
from core.erp.catalog.model import Site, Zone
from core.erp.kernel.audit_verification import Finding
from core.erp.kernel.permits import Role
from core.erp.kernel.trail.review import tell_verdict
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import holds
from core.foreseen import FillingDisk
from core.heartbeats import Signs
from core.ingest import alarms
from core.log_archive import tell_backup
from tests.services.alerting_world import Plant, Post, mail_server
from tests.world import OVER_8_FOR_60, at

NOW = at("03:00")
WELL = Signs(NOW, NOW, NOW, NOW, NOW, None, 1, 0, 0.0)


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


def outbox(topic: str, key: str, **said: Any) -> Any:
    return lambda u: u.outbox(topic, key, said)


TOLD = [
    (
        outbox("ingest.dead_letters", "not_known", reason="not_known", gateway="g1", detail="no point is called x"),
        "ALARM: Readings of g1 were put aside: no point is called x",
        None,
    ),
    (
        lambda u: alarms.raise_stopped(u, 7, Message("kernel.log_archive_fails", segment="1", since=NOW)),
        "ALARM: Readings are not taken in (7)",
        lambda u: alarms.clear_stopped(u, 7),
    ),
    (
        lambda u: tell_backup(u, "no room on the disk"),
        "ALARM: No backup could be made: no room on the disk",
        lambda u: tell_backup(u, None),
    ),
    (
        lambda u: tell_verdict(u, [Finding("edited", "audit row 5 was edited")]),
        "ALARM: The audit trail is not whole: 1 findings, first edited: audit row 5 was edited",
        lambda u: tell_verdict(u, []),
    ),
]


@pytest.mark.parametrize(("happens", "subject", "ends"), TOLD, ids=[one[1][:30] for one in TOLD])
def test_it_is_told_without_a_route_and_so_is_its_end(
    engine: Engine, post: Post, happens: Any, subject: str, ends: Any
) -> None:
    plant = Plant(engine, NOW, post.port)
    for login, role in (("wes", Role.PLANT_ENGINEER), ("ada", Role.ADMIN), ("quinn", Role.QA)):
        plant.person(login, role, ("mail", f"{login}@example.com"))
    plant.world.do(happens, now=plant.now)
    plant.after(minutes=16)
    assert {one for one in post.subjects if not one.startswith(subject)} == set()
    assert len(post.letters) >= 1
    if ends is not None:
        plant.world.do(ends, now=plant.now)
        plant.turn()
        before = len(post.letters)
        plant.after(minutes=6)
        assert {one[:6] for one in post.subjects[before:]} == {"Over: "}


def test_a_refused_import_is_told_to_whom_a_route_says(engine: Engine, post: Post) -> None:
    plant = Plant(engine, NOW, post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    plant.world.do(outbox("import.refused", "lot7.csv", detail="no such item"), now=plant.now)
    plant.turn()
    assert post.letters == []
    steps = [{"after_minutes": 0, "login": "wes"}]
    plant.world.do(lambda u: u.session.add(AlertRoute(name="files", events=["import_refused"], steps=steps)))
    plant.world.do(outbox("import.refused", "lot8.csv", detail="no such item"), now=plant.now)
    plant.turn()
    assert post.subjects == ["Notice: lot8.csv was not imported: no such item"]


def test_what_healthz_tells_becomes_alerts_while_it_lasts(engine: Engine, post: Post) -> None:
    plant = Plant(engine, NOW, post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    wrong = [*of_signs(Signs(NOW, NOW, NOW, None, NOW, "sealer", 1, 0, 12.4))]
    assert [(one.event, one.name) for one in wrong] == [
        ("heartbeat_missing", "background"),
        ("heartbeat_missing", "ingest"),
        ("clock_wrong", "database"),
    ]
    for _ in range(2):  # looked at again it is the same
        plant.world.do(lambda u: follow(u, wrong), now=plant.now)
        plant.after(seconds=30)
    assert post.subjects == [
        "ALARM: No sign of life of sealer",
        "ALARM: No worker takes readings: they wait and are not judged",
        "ALARM: The server's clock is 12 s ahead of the database's",
    ]
    plant.world.do(lambda u: follow(u, of_signs(WELL)), now=plant.now)
    plant.after(minutes=6)
    assert {one[:6] for one in post.subjects[3:]} == {"Over: "}
    assert len(post.letters) == 6


def test_a_disk_that_fills_is_told_with_its_figures() -> None:
    free, now = [40 * 2**30], [0.0]
    filling = FillingDisk(Path(), lambda _: free[0], lambda: now[0])
    assert disk(filling) == []
    free[0], now[0] = 30 * 2**30, 3600.0
    title = Message("alert_title.disk_filling", hours=3.0, mib=30 * 1024)
    assert disk(filling) == [Condition("disk_filling", "data folder", title)]
    free[0] = 2**29
    assert disk(filling)[0].title.id == "alert_title.disk_low"


def test_a_running_core_looks_by_itself(engine: Engine, tmp_path: Path) -> None:
    plant = Plant(engine, NOW)
    certificate = tmp_path / "server.pem"
    certificate.write_text("nothing that can be read")
    Conditions(engine, plant.events, tmp_path, certificate).look(NOW)
    assert plant.rows("SELECT count(*) FROM alert WHERE event = 'certificate_ending'") == [(0,)]


@pytest.mark.parametrize("several", [False, True], ids=["one site", "two sites"])
def test_a_lot_that_is_held_is_heard_at_the_sites_where_it_stands(engine: Engine, post: Post, *, several: bool) -> None:
    plant = Plant(engine, NOW, post.port)
    plant.person("quinn", Role.QA, ("mail", "quinn@example.com"))
    world = plant.world
    lot = world.lot(item := world.item(OVER_8_FOR_60))
    world.sublot(item, world.zone("room"), NOW - timedelta(hours=1), lot=lot)
    steps = [{"after_minutes": 0, "login": "quinn"}]
    site = world.site

    def work(u: Unit) -> object:
        u.session.add(AlertRoute(name="here", site_id=site, steps=steps, events=["hold"]))
        u.session.add(AlertRoute(name="elsewhere", site_id=site + 1000, steps=steps, events=["hold"]))
        u.session.flush()
        return holds.place_hold(u, kind="quality", reason="maker's recall", since_at=u.now, lot_id=lot)

    if several:
        other = world.do(_other_zone, now=plant.now)
        world.sublot(item, other, NOW - timedelta(hours=1), lot=lot)
    world.do(work, now=plant.now)
    plant.turn()
    assert len(post.letters) == 1
    assert plant.rows("SELECT DISTINCT s.route_id IS NULL FROM alert_step s") == [(False,)]
    assert plant.rows("SELECT count(site_id) FROM alert") == [(0 if several else 1,)]


def _other_zone(u: Unit) -> int:
    site = Site(code="S2", name="Site 2")
    u.session.add(site)
    u.session.flush()
    assert site.id is not None
    zone = Zone(site_id=site.id, address="s2/a/room", name="room")
    u.session.add(zone)
    u.session.flush()
    assert zone.id is not None
    return zone.id


def test_two_gateways_of_one_name_are_told_and_one_that_was_started_again_is_not(engine: Engine) -> None:
    plant = Plant(engine, NOW)
    room = plant.world.zone("room")
    cut = text("""
        INSERT INTO batch (gateway, epoch, partition, number, site, kind, count, landed_count, duplicate_count,
            conflict_count, dead_count, sha256, cut_at, received_at, status)
        SELECT :gateway, :epoch, 1, n, 's1', 'readings', 0, 0, 0, 0, 0, decode('00', 'hex'),
            now() - make_interval(secs => :ago - n), now(), 'landed'
        FROM generate_series(1, :count) n
    """)
    seen = text("""
        INSERT INTO source_watermark (gateway, source, zone_id, redundancy_group, upto, received_at)
        VALUES (:gateway, 'mqtt', :zone, '', now(), now())
    """)
    with engine.begin() as conn:
        for gateway, second in (("twice", 100), ("again", 40)):
            conn.execute(seen, {"gateway": gateway, "zone": room})
            conn.execute(cut, {"gateway": gateway, "epoch": "one", "ago": 100, "count": 59})
            conn.execute(cut, {"gateway": gateway, "epoch": "two", "ago": second, "count": 39})
    with engine.connect() as conn:
        assert two_of_one_name(conn) == ["twice"]
