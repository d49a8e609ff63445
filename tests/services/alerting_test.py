"""Told in time: what happens becomes messages that a real mail server takes, until somebody takes it or it is over."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from core.erp.alerting import running
from core.erp.alerting.model import Absence, AlertRoute, OnCallRota, OnCallSwap
from core.erp.alerting.service import drilling, taking
from core.erp.kernel.errors import Invalid
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.quality import service as quality
from tests.services.alerting_world import Plant, Post, mail_server
from tests.services.outbound_servers import receiver
from tests.world import DAY, OVER_8_FOR_60, at, every

WARM = "s1/a/room is too warm: 12 °C, above its band"


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


def add(plant: Plant, row: Any) -> int:
    def work(u: Unit) -> int:
        u.session.add(row)
        u.session.flush()
        return int(row.id)

    return plant.world.do(work, now=plant.now)


def route(plant: Plant, *steps: tuple[int, str, Any], **more: Any) -> int:
    kept = [{"after_minutes": after, target: value} for after, target, value in steps]
    return add(plant, AlertRoute(name="nights", steps=kept, **more))


def test_an_alarm_is_told_by_mail_and_taken_and_over(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    wes = plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    room = plant.world.zone("room")
    plant.raise_alarm(room)
    plant.turn()
    assert post.to("wes@example.com") == [f"ALARM: {WARM}"]
    letter = post.letters[0].get_content()
    assert "https://lotwise.example.com/told/" in letter
    assert "Site 1: since 2026-03-02 03:00:00Z" in letter
    assert post.letters[0]["Auto-Submitted"] == "auto-generated"
    with pytest.raises(Invalid):
        plant.world.do(lambda u: taking.take(u, 1, reason="  "), actor=wes, now=plant.now)
    plant.world.do(lambda u: taking.take(u, 1, reason="door closed"), actor=wes, now=plant.now)
    plant.after(minutes=20)
    assert len(post.letters) == 1  # nobody else is called
    plant.end_alarm(room)
    plant.after(minutes=6)
    assert post.subjects[1:] == [f"Over: {WARM} (ALARM)"]
    plant.after(minutes=60)
    assert len(post.letters) == 2
    assert plant.rows("SELECT state, taken_by, comment FROM alert") == [("over", "wes", "door closed")]


def test_the_first_does_not_answer_and_the_second_is_called_once(engine: Engine, post: Post) -> None:
    """Each step once, by the steps it was raised with, whatever the route says later and however long nobody ran it."""
    plant = Plant(engine, at("03:00"), post.port)
    for login in ("wes", "lou", "max"):
        plant.person(login, Role.PLANT_ENGINEER, ("mail", f"{login}@example.com"))
    number = route(plant, (0, "login", "wes"), (10, "login", "lou"), (20, "login", "max"))
    room, other = plant.world.zone("room"), plant.world.zone("other")
    plant.raise_alarm(room)
    plant.turn()
    with engine.begin() as conn:
        conn.exec_driver_sql(
            f'UPDATE alert_route SET steps = \'[{{"after_minutes": 0, "login": "max"}}]\' WHERE id = {number}'
        )
    plant.after(minutes=5)
    assert [one["To"] for one in post.letters] == ["wes@example.com"]
    plant.now += timedelta(minutes=40)  # a server that was down: both steps are late, each is done once, and says so
    plant.turn()
    assert [one["To"] for one in post.letters] == ["wes@example.com", "lou@example.com", "max@example.com"]
    assert "35 min late" in post.letters[1].get_content()
    plant.after(minutes=60)
    assert len(post.letters) == 3
    plant.raise_alarm(other)
    plant.turn()
    assert [one["To"] for one in post.letters[3:]] == ["max@example.com"]


def test_nobody_there_is_passed_over_at_once(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("lou", Role.PLANT_ENGINEER, ("mail", "lou@example.com"))
    route(plant, (0, "login", "gone"), (30, "login", "lou"))
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn()
    plant.turn()
    assert post.to("lou@example.com") == [f"ALARM: {WARM}"]
    assert plant.rows("SELECT outcome, people FROM alert_step ORDER BY id") == [("nobody", []), ("told", ["Lou"])]


def test_an_alarm_that_flaps_has_one_all_clear_and_one_that_comes_again_starts_over(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    route(plant, (0, "login", "wes"))
    room = plant.world.zone("room")
    plant.raise_alarm(room)
    plant.turn()
    for _ in range(4):  # back and out again within the window
        plant.end_alarm(room)
        plant.after(minutes=2)
        plant.raise_alarm(room)
        plant.after(minutes=2)
    plant.end_alarm(room)
    plant.after(minutes=10)
    plant.after(minutes=10)
    assert post.subjects == [f"ALARM: {WARM}", f"Over: {WARM} (ALARM)"]
    plant.raise_alarm(room)
    plant.turn()
    assert post.subjects[2:] == [f"ALARM: {WARM}"]
    assert plant.rows("SELECT state FROM alert ORDER BY id") == [("over",), ("standing",)]


def test_what_is_shelved_is_not_told_and_is_told_when_that_ends(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    wes = plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    room = plant.world.zone("room")
    until = plant.now + timedelta(hours=1)
    plant.world.do(lambda u: quality.shelve(u, room, "high", until, "defrost"), actor=wes, now=plant.now)
    plant.raise_alarm(room)
    plant.turn()
    plant.after(minutes=30)
    assert post.letters == []
    plant.after(minutes=31)
    assert post.subjects == [f"ALARM: {WARM}"]


def test_it_is_told_again_while_it_lasts_and_nobody_takes_it(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    route(plant, (0, "login", "wes"), repeat_minutes=30)
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn()
    plant.after(minutes=31)
    plant.after(hours=5)  # missed ten times: said once
    assert post.subjects == [f"ALARM: {WARM}", *[f"ALARM, still: {WARM}"] * 2]


def test_harm_goes_by_two_ways_in_quiet_hours_too_and_one_incident_is_one_message(engine: Engine, post: Post) -> None:
    with receiver() as hook:
        plant = Plant(engine, at("00:30"), post.port, webhook_secret=SecretStr("s" * 40))
        ways = (("mail", "quinn@example.com"), ("webhook", f"{hook.url}/hook"))
        plant.person("quinn", Role.QA, *ways, quiet="00:00-23:59")
        world = plant.world
        room = world.zone("room")
        item = world.item(OVER_8_FOR_60)
        for _ in range(3):
            world.sublot(item, room, at("00:30"))
        world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
        world.feed("room", every(10, at("02:10"), at("03:30"), 9.5), upto=at("03:30"))
        plant.now = at("03:31")
        plant.turn()
        assert len(post.letters) == 1
        assert post.subjects[0].startswith("GOODS AT RISK: ")
        body = post.letters[0].get_content()
        assert "Goods (3): I1 L" in body
        assert len(hook.received) == 1
        told = plant.rows("SELECT channel, state FROM alert_message ORDER BY channel")
        assert told == [("mail", "sent"), ("page", "sent"), ("webhook", "sent")]
        plant.raise_alarm(room)  # no harm by itself: it waits for the end of the quiet hours
        plant.after(minutes=1)
        assert len(post.letters) == 1


def test_a_flood_is_some_messages_and_summaries_and_nothing_is_lost(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"), language="zh")
    zones = [plant.world.zone(f"room-{number}") for number in range(60)]
    for zone in zones[:40]:
        plant.raise_alarm(zone)
    plant.turn()
    assert len(post.letters) == 11
    assert post.subjects[-1] == "同时有 30 条报警"
    for zone in zones[40:]:  # one after another: what is kept back still gains them
        plant.raise_alarm(zone)
        plant.after(seconds=0.05)
    plant.after(seconds=10)
    assert post.subjects[11:] == ["同时有 20 条报警"]
    lost = "SELECT id FROM alert a WHERE NOT EXISTS (SELECT FROM alert_message m WHERE a.id = ANY (m.alert_ids))"
    assert plant.rows(lost) == []


def test_who_is_on_call_is_told_with_swaps_and_deputies(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    for login in ("wes", "lou", "max"):
        plant.person(login, Role.PLANT_ENGINEER, ("mail", f"{login}@example.com"))
    first_day = (DAY - timedelta(days=1)).date()
    rota = add(
        plant, OnCallRota(name="cold", site_id=plant.world.site, first_day=first_day, days=1, logins=["wes", "lou"])
    )
    route(plant, (0, "rota_id", rota))
    zones = iter([plant.world.zone(f"z{number}") for number in range(4)])

    def told() -> str:
        plant.raise_alarm(next(zones))
        plant.turn()
        return str(post.letters[-1]["To"]).partition("@")[0]

    assert told() == "wes"  # since yesterday's eight o'clock
    plant.now = at("08:00")
    assert told() == "lou"
    add(plant, OnCallSwap(rota_id=rota, from_at=at("09:00"), to_at=at("10:00"), login="wes"))
    plant.now = at("09:30")
    assert told() == "wes"
    add(plant, Absence(login="wes", from_at=at("09:00"), to_at=at("12:00"), deputy="max"))
    assert told() == "max"


# --- what goes wrong


def test_a_mail_server_that_is_away_is_asked_again_and_the_record_says_so(engine: Engine, post: Post) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = probe.getsockname()[1]
    plant = Plant(engine, at("03:00"), away)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn()
    assert plant.rows("SELECT state FROM alert_message WHERE channel = 'mail'") == [("queued",)]
    assert [row[0] for row in plant.rows("SELECT outcome FROM alert_delivery")] == ["later"]
    back = Plant(engine, plant.now + timedelta(minutes=2), post.port, first=False)
    back.turn()
    assert post.subjects == [f"ALARM: {WARM}"]
    assert back.rows("SELECT attempt, outcome FROM alert_delivery ORDER BY id") == [(1, "later"), (2, "sent")]


@pytest.mark.parametrize(("answer", "state"), [("451 greylisted", "queued"), ("550 no such mailbox", "failed")])
def test_later_is_tried_again_and_never_is_told(engine: Engine, post: Post, answer: str, state: str) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    post.answers = [answer]
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn()
    assert plant.rows("SELECT state FROM alert_message WHERE channel = 'mail'") == [(state,)]
    plant.after(minutes=5)
    assert len(post.letters) == (1 if state == "queued" else 0)


def test_a_server_that_says_nothing_holds_up_no_other_channel(engine: Engine) -> None:
    """Half open: it takes the connection and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent, receiver() as hook:
        plant = Plant(
            engine, at("03:00"), silent.getsockname()[1], webhook_secret=SecretStr("s" * 40), mail_timeout=0.5
        )
        plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
        plant.person("lou", Role.PLANT_ENGINEER, ("webhook", f"{hook.url}/hook"))
        plant.raise_alarm(plant.world.zone("room"))
        plant.turn(send=False)
        lanes = plant.outbox.lanes
        told = threading.Thread(target=plant.run, args=(lanes["mail"],))
        told.start()
        plant.run(lanes["webhook"])
        assert len(hook.received) == 1
        told.join()
        assert plant.rows("SELECT channel, outcome FROM alert_delivery ORDER BY channel") == [
            ("mail", "later"),
            ("webhook", "sent"),
        ]


@pytest.mark.parametrize(("status", "state"), [(500, "queued"), (429, "queued"), (302, "failed"), (410, "failed")])
def test_a_webhook_that_fails_is_asked_again_and_a_redirect_is_not_followed(
    engine: Engine, status: int, state: str
) -> None:
    with receiver() as hook:
        plant = Plant(engine, at("03:00"), webhook_secret=SecretStr("s" * 40))
        plant.person("wes", Role.PLANT_ENGINEER, ("webhook", f"{hook.url}/hook"))
        hook.fail = [status]
        plant.raise_alarm(plant.world.zone("room"))
        plant.turn()
        assert plant.rows("SELECT state FROM alert_message WHERE channel = 'webhook'") == [(state,)]


def test_a_channel_that_nobody_has_set_keeps_its_messages(engine: Engine) -> None:
    plant = Plant(engine, at("03:00"))
    plant.person("wes", Role.PLANT_ENGINEER, ("sms", "+86 138 0000 0000"))
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn()
    assert plant.rows("SELECT outcome, detail FROM alert_delivery") == [("later", "LOTWISE_SMS_URL is not set")]
    short = plant.rows("SELECT short FROM alert_message WHERE channel = 'sms'")
    assert len(short[0][0]) <= 150


DIES = """
import os, signal, sys
from datetime import datetime
from pydantic import SecretStr
from core.erp.alerting.service import carrying
from core.erp.kernel.outbox import Outbox
from core.outbound.messages.registering import register_messages
from core.outbound.settings import OutboundSettings
from core.wiring import build_events
from tests.keys import opened

url, port, now = sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3])
carrying.finish = lambda *given, **more: os.kill(os.getpid(), signal.SIGKILL)  # taken by the server, not yet written
outbox = Outbox()
register_messages(outbox, OutboundSettings(smtp_url=SecretStr(f"smtp+plain://127.0.0.1:{port}")))
outbox.run(opened(url), build_events(), now)
"""


def test_killed_between_sending_and_writing_it_down_it_is_sent_again_later_and_known_as_the_same(
    engine: Engine, postgres_url: str, post: Post
) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn(send=False)
    child = [sys.executable, "-c", DIES, postgres_url, str(post.port), plant.now.isoformat()]
    assert subprocess.run(child, check=False, timeout=60).returncode == -signal.SIGKILL
    assert len(post.letters) == 1
    plant.after(seconds=30)  # whoever had it may be sending still: no double within that time
    assert len(post.letters) == 1
    plant.after(seconds=31)
    assert len(post.letters) == 2
    assert post.letters[0]["Message-ID"] == post.letters[1]["Message-ID"]
    assert plant.rows("SELECT outcome FROM alert_delivery ORDER BY id") == [("unknown",), ("sent",)]


def test_a_route_that_reaches_nobody_is_an_alert_until_it_does(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    route(plant, (0, "login", "gone"), events=["hold"])
    running.check(engine, plant.events, plant.now)
    plant.turn()
    assert post.subjects == ["ALARM: Route nights: nobody is there to be told today"]
    plant.person("gone", Role.QA, ("mail", "gone@example.com"))
    plant.now += timedelta(minutes=1)
    running.check(engine, plant.events, plant.now)
    plant.after(minutes=6)
    assert post.to("wes@example.com")[1:] == ["Over: Route nights: nobody is there to be told today (ALARM)"]


def test_whoever_is_not_reached_by_one_way_is_told_by_another(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("sms", "+8613800000000"), ("mail", "wes@example.com"))
    plant.raise_alarm(plant.world.zone("room"))
    plant.turn()
    assert post.letters == []
    plant.after(seconds=2)
    plant.after(seconds=2)
    assert post.to("wes@example.com") == [f"ALARM: {WARM}"]


def test_a_drill_is_marked_and_files_who_answered_in_what_time(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    lou = plant.person("lou", Role.PLANT_ENGINEER, ("mail", "lou@example.com"))
    route(plant, (0, "login", "wes"), (5, "login", "lou"))
    made = plant.world.do(drilling.drill, now=plant.now)
    plant.turn()
    plant.after(minutes=5)
    assert [(one["To"], one["Subject"].partition("]")[0]) for one in post.letters] == [
        ("wes@example.com", "[DRILL"),
        ("lou@example.com", "[DRILL"),
    ]
    plant.after(seconds=20)
    plant.world.do(lambda u: taking.take(u, made[0], reason="here"), actor=lou, now=plant.now)
    answer = plant.world.do(drilling.answers, now=plant.now)[0]
    assert (answer.by, answer.after) == ("lou", timedelta(minutes=5, seconds=20))
    plant.after(hours=2)
    assert len(post.letters) == 2


def test_taking_an_alert_acknowledges_its_alarm_and_the_other_way_round_and_both_ask(
    engine: Engine, post: Post
) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    wes = plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    alarm = plant.raise_alarm(plant.world.zone("room"))
    other = plant.raise_alarm(plant.world.zone("other"))
    plant.turn()
    for silent in (
        lambda u: quality.acknowledge(u, other, reason=" "),
        lambda u: taking.take(u, 1, reason=" "),
    ):
        with pytest.raises(Invalid):
            plant.world.do(silent, actor=wes, now=plant.now)
    plant.world.do(lambda u: quality.acknowledge(u, other, reason="door closed"), actor=wes, now=plant.now)
    plant.world.do(lambda u: taking.take(u, 1, reason="door closed"), actor=wes, now=plant.now)
    plant.turn()
    assert plant.rows("SELECT state, taken_by, comment FROM alert ORDER BY id") == [("taken", "wes", "door closed")] * 2
    assert plant.rows(f"SELECT state FROM zone_alarm WHERE id = {alarm}") == [("acknowledged",)]
    plant.after(minutes=20)  # nobody else is called
    assert len(post.letters) == 2


def test_two_cores_that_lead_for_a_moment_tell_each_step_once(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    for number in range(5):
        plant.raise_alarm(plant.world.zone(f"room-{number}"))

    def turn() -> None:
        Plant(engine, plant.now, post.port, first=False).turn()

    both = [threading.Thread(target=turn) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    plant.turn()
    assert len(post.letters) == len(set(post.subjects)) == 5


def test_two_sensors_of_one_zone_are_two_alerts_that_say_what_was_found(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    room = plant.world.zone("room")

    def stuck(point: int, called: str) -> None:
        found = Message("exposure.sensor_stuck", point=called, value=4.0, hours=6)
        plant.world.do(
            lambda u: quality.raise_alarm(u, room, "sensor_stuck", plant.now, None, point, found), now=plant.now
        )

    stuck(1, "s1/a/room/t1")
    stuck(2, "s1/a/room/t2")
    plant.turn()
    assert [one.partition(" has said")[0] for one in post.subjects] == ["Notice: s1/a/room/t1", "Notice: s1/a/room/t2"]
    plant.world.do(
        lambda u: quality.return_alarm(u, room, "sensor_stuck", plant.now, 1),
        now=plant.now,
    )
    plant.turn()
    plant.after(minutes=6)
    assert plant.rows("SELECT state FROM alert ORDER BY id") == [("over",), ("standing",)]
    until = plant.now + timedelta(hours=1)
    plant.world.do(lambda u: quality.shelve(u, room, "sensor_stuck", until, "being mended"), now=plant.now)
    plant.turn()
    assert plant.rows("SELECT silenced_until FROM alert WHERE state = 'standing'") == [(until,)]
