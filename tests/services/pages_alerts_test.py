"""Pages of what people were told of: who was told stands there, a message's link counts as seen, a comment is asked."""

from datetime import UTC, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from core.erp.alerting import running
from core.erp.kernel.auth import now_utc
from core.erp.kernel.printing.record_sheet import Beside, sheet_of
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit, system, transact, unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.web.desks.alerts import telling
from core.wiring import build_events, build_outbox
from tests.pages import pages, text_of
from tests.world import OVER_8_FOR_60, World


def test_the_alarm_shows_who_was_told_and_the_link_counts_as_seen(engine: Engine, tmp_path: Path) -> None:
    room = World(engine, build_events()).zone("room")
    with pages(engine, tmp_path, {"eng": ["plant_engineer"], "qa": ["qa"], "aud": ["auditor"]}) as people:
        outbox, events = build_outbox(), build_events()
        outbox.subscribe(engine)
        alarm = transact(
            engine, system("test"), events, lambda u: quality.raise_alarm(u, room, "high", now_utc(), 12.0)
        )
        outbox.run(engine, events, names=outbox.internal_names)
        running.run(engine, events)
        with engine.connect() as conn:
            message = conn.execute(text("SELECT id FROM alert_message WHERE login = 'eng'")).scalar_one()

        def seen() -> object:
            with engine.connect() as conn:
                return conn.execute(
                    text("SELECT seen_at FROM alert_message WHERE id = :i"), {"i": message}
                ).scalar_one()

        page = text_of(people["aud"].get(f"/alarms/{alarm}"))
        assert "Who was told" in page
        assert "page sent" in page.lower()
        people["aud"].get(f"/told/{message}", 303)  # somebody else's look is no seeing
        assert seen() is None
        answer = people["eng"].client.get(f"/told/{message}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/alerts/1")
        first = seen()
        assert first is not None
        people["eng"].get(f"/told/{message}", 303)
        assert seen() == first
        people["eng"].get("/told/987654", 404)

        people["eng"].send("/alerts/1/take", {"reason": " "}, 422)
        people["eng"].send("/alerts/1/take", {"reason": "door closed"})
        page = text_of(people["qa"].get("/alerts/1"))
        assert "door closed" in page
        assert "通知记录" in people["qa"].client.get("/alerts/1", headers={"Accept-Language": "zh"}).text
        assert "s1/a/room is too warm" in people["qa"].get("/alerts")
        told = Beside(now_utc(), "Eng", Message("alerting.sheet_taken"), "door closed")
        with unit(engine, system("test"), events) as u:
            sheet = sheet_of(u, entities()["alarm"], alarm, UTC, [told])
        assert sheet.data["history"][-1]["done"] == {"en": "taken", "zh": "已接手"}
        assert sheet.at == told.at


def test_hold_and_shipment_show_who_was_told_and_the_front_page_asks_whoever_was(
    engine: Engine, tmp_path: Path
) -> None:
    world = World(engine, build_events())
    room, item = world.zone("room"), world.item(OVER_8_FOR_60)
    sublot = world.sublot(item, room, now_utc() - timedelta(hours=1))
    with pages(engine, tmp_path, {"qa": ["qa"], "bea": ["buyer"], "wes": ["warehouse"]}) as people:
        outbox, events = build_outbox(), build_events()
        outbox.subscribe(engine)

        def place(u: Unit) -> int:
            placed = lots.place_hold(u, kind="quality", reason="leaking", since_at=u.now, sublot_id=sublot)
            return placed[0].id

        hold = transact(engine, system("test"), events, place)
        assert "Who was told" not in text_of(people["qa"].get(f"/holds/{hold}"))
        outbox.run(engine, events, names=outbox.internal_names)
        running.run(engine, events)
        read = text_of(people["qa"].get(f"/holds/{hold}"))
        assert "Who was told" in read
        assert "Qa" in read
        front = people["qa"].get("/")
        assert "Alerts that wait for you 1" in text_of(front)
        assert 'href="/alerts/1/take"' in front
        assert "Alerts that wait for you" not in text_of(people["bea"].get("/"))
        assert f'href="/holds/{hold}">Hold {hold}' in people["qa"].get("/alerts/1")
        people["qa"].send("/alerts/1/take", {"reason": "put aside"})
        assert "Alerts that wait for you" not in text_of(people["qa"].get("/"))
        assert "put aside" in text_of(people["qa"].get(f"/holds/{hold}"))
        with unit(engine, system("test"), events) as u:
            lines = telling.lines_of(u, [1])
        assert {one.called for one in lines} == {"Qa"}
