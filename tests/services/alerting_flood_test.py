"""A flood: summaries to everybody, harm to goods before all else, nothing lost, and one slow server in nobody's way."""

import threading
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.events import Events
from core.erp.kernel.outbox import Outbox, OutboxMessage
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Unit, When, system, unit
from core.erp.lots import holds
from core.erp.quality import service as quality
from core.lanes import Lane
from tests.services.alerting_world import Plant, Post, mail_server
from tests.world import OVER_8_FOR_60, at

LOST = "SELECT count(*) FROM alert a WHERE NOT EXISTS (SELECT FROM alert_message m WHERE a.id = ANY (m.alert_ids))"


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


def alarms(plant: Plant, zones: list[int]) -> None:
    """All in one transaction, as the judge raises those that it folds together."""
    plant.world.do(lambda u: [quality.raise_alarm(u, zone, "high", plant.now, 12.0) for zone in zones], now=plant.now)


def hold(plant: Plant, sublot: int, reason: str) -> None:
    def place(u: Unit) -> object:
        return holds.place_hold(u, kind="quality", reason=reason, since_at=plant.now, sublot_id=sublot)

    plant.world.do(place, now=plant.now)


def test_harm_is_told_by_itself_in_a_flood_of_alarms_and_before_it(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("quinn", Role.QA, ("mail", "quinn@example.com"))
    room = plant.world.zone("room")
    goods = [plant.world.sublot(plant.world.item(OVER_8_FOR_60), room, at("01:00")) for _ in range(2)]
    alarms(plant, [plant.world.zone(f"z{number}") for number in range(30)])
    hold(plant, goods[0], "leaking box")
    plant.turn()
    assert "leaking box" in post.subjects[0]
    assert post.subjects[-1] == "20 alarms at once"
    alarms(plant, [plant.world.zone(f"y{number}") for number in range(30)])
    hold(plant, goods[1], "wrong label")
    before = len(post.letters)
    plant.turn()
    assert [one for one in post.subjects[before:] if "wrong label" in one] == post.subjects[before:]
    assert plant.rows(LOST) == [(0,)]


def test_the_end_of_a_flood_is_told_in_summaries_too(engine: Engine, post: Post) -> None:
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    zones = [plant.world.zone(f"z{number}") for number in range(40)]
    alarms(plant, zones)
    plant.turn()
    for zone in zones:
        plant.end_alarm(zone)
    plant.turn()
    before = len(post.letters)
    plant.after(minutes=6)
    assert len(post.subjects[before:]) == 11
    assert post.subjects[-1] == "30 alarms are over"
    assert plant.rows("SELECT count(*) FROM alert WHERE state <> 'over'") == [(0,)]


def test_ten_thousand_alarms_are_some_summaries_in_flat_memory(engine: Engine, post: Post) -> None:
    """Ten of them here stand for one: what is looked at is that nothing grows with the number but the list of ids."""
    plant = Plant(engine, at("03:00"), post.port)
    plant.person("wes", Role.PLANT_ENGINEER, ("mail", "wes@example.com"))
    zones = [plant.world.zone(f"z{number}") for number in range(1000)]
    peaks = []
    tracemalloc.start()
    for start in range(0, len(zones), 200):
        alarms(plant, zones[start : start + 200])
        tracemalloc.reset_peak()
        plant.turn()
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    plant.after(seconds=30)
    assert plant.rows(LOST) == [(0,)]
    assert len(post.letters) <= 12
    assert peaks[-1] < 1.5 * peaks[1]


def test_a_handler_that_takes_many_takes_those_that_trickle_in_together_too(engine: Engine) -> None:
    """A flood that comes one by one must not be handled one by one for as long as it lasts."""
    outbox, taken = Outbox(), list[int]()

    def tell(count: int) -> None:
        with unit(engine, system("test"), Events(), at("03:00")) as u:
            for number in range(count):
                u.outbox("thing.said", number, {})

    def take(u: Unit, rows: Sequence[OutboxMessage]) -> None:
        del u
        taken.append(len(rows))
        if len(taken) <= 3:
            tell(100)

    outbox.on_internal_many("thing.%", "things", take)
    outbox.subscribe(engine)
    tell(1)
    outbox.run(engine, Events(), at("03:01"))
    assert taken == [1, 100, 100, 100]


def test_a_receiver_that_hangs_holds_up_no_other_of_its_channel_and_harm_goes_first(engine: Engine) -> None:
    outbox, sent = Outbox(), list[str]()
    go_on, all_sent = threading.Event(), threading.Event()

    def carry(engine: Engine, events: Events, message: OutboxMessage, when: When) -> None:
        del engine, events, when
        if message.key == "hangs":
            go_on.wait(20)
        sent.append(message.key)
        if len(sent) == 3:
            all_sent.set()

    outbox.on_carrier("harm.said", "mail:harm", carry, urgent=True)
    outbox.on_carrier("thing.said", "mail:messages", carry)
    outbox.subscribe(engine)
    with unit(engine, system("test"), Events()) as u:
        for key in ("hangs", "one", "two"):
            u.outbox("thing.said", key, {})
    lane = Lane(outbox, engine, Events(), outbox.lanes["mail"], at_once=2)
    lane.turn()
    with unit(engine, system("test"), Events()) as u:
        u.outbox("harm.said", "harm", {})
    while not all_sent.wait(0.05):
        lane.turn()
    assert set(sent) == {"one", "two", "harm"}
    go_on.set()
    lane.stop()
    assert sent[-1] == "hangs"
    with unit(engine, system("test"), Events()) as u:
        u.outbox("thing.said", "later", {})
        u.outbox("harm.said", "first", {})
    outbox.run(engine, Events(), names=outbox.lanes["mail"])
    assert sent[-2:] == ["first", "later"]


def test_what_another_runner_has_in_hand_is_left_to_it(engine: Engine) -> None:
    outbox, taken = Outbox(), list[int]()
    outbox.on_internal_many("thing.%", "things", lambda _, rows: taken.append(len(rows)))
    outbox.subscribe(engine)
    with unit(engine, system("test"), Events(), at("03:00")) as u:
        u.outbox("thing.said", 1, {})
    with engine.begin() as other:
        other.execute(text("SELECT id FROM outbox_task FOR UPDATE"))
        assert outbox.run(engine, Events(), at("03:01")) == 0  # and it comes back, instead of asking on and on
    assert outbox.run(engine, Events(), at("03:01")) == 1
    assert taken == [1]
