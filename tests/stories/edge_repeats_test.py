"""A bridge goes on repeating what a dead sensor said last: it is not taken for a sensor that lives."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.quality.service import unfilled_gaps
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_points import MessageReader
from edge.collectors.mqtt_repeats import REPEATED
from tests.world import HOUR, MINUTE, OVER_8_FOR_60, World, at

POINT = "s1/a/room/p1/temperature"
NOON = at("12:00")


def reader(topic: str = "zigbee2mqtt/+", decoder: object = "zigbee2mqtt", **more: Any) -> MessageReader:
    clock: dict[str, Any] = {key: more.pop(key) for key in ("clock", "tolerance") if key in more}
    subscription = {"topic": topic, "decoder": decoder, "points": [{"field": "temperature", "point": POINT}], **more}
    config = {"name": "m", "protocol": "mqtt", "host": "h", "subscriptions": [subscription], **clock}
    return MessageReader(MqttSource.model_validate(config))


def tell(one: MessageReader, minute: int, payload: object, topic: str = "zigbee2mqtt/probe") -> list[Reading]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return list(one.read(topic, raw, NOON + minute * MINUTE, retained=False, queued=False).readings)


STATE = {"temperature": 4.1, "battery": 88, "linkquality": 120}


def verdicts(readings: list[Reading]) -> list[tuple[Any, Quality, str]]:
    return [(one.value, one.quality, one.reason) for one in readings if one.point == POINT]


def test_the_cache_of_a_dead_zigbee_sensor_does_not_stay_good() -> None:
    one = reader(ignore=["battery", "linkquality"])
    seen = [verdicts(tell(one, minute, STATE)) for minute in range(0, 181, 20)]
    assert seen[:7] == [[(4.1, Quality.GOOD, "")]] * 7, "for two hours it may be a stable value"
    assert seen[7:] == [[(4.1, Quality.UNCERTAIN, REPEATED)]] * 3
    assert verdicts(tell(one, 190, {**STATE, "linkquality": 121})) == [(4.1, Quality.GOOD, "")]
    assert verdicts(tell(one, 200, {**STATE, "linkquality": 121})) == [(4.1, Quality.GOOD, "")]


def test_what_the_bridge_says_of_itself_is_no_sign_of_life() -> None:
    one = reader(ignore=["battery", "linkquality"], may_repeat=600)
    tell(one, 0, {**STATE, "update": {"state": "idle", "progress": 1}})
    read = tell(one, 11, {**STATE, "update": {"state": "updating", "progress": 2}})
    assert verdicts(read) == [(4.1, Quality.UNCERTAIN, REPEATED)]


@pytest.mark.parametrize(
    ("decoder", "payload"), [({"name": "json", "values": {"temperature": "t"}}, b'{"t": 4.1}'), ("number", b"4.1")]
)
def test_any_source_may_say_that_it_repeats(decoder: Any, payload: bytes) -> None:
    decoder = {"name": decoder, "field": "temperature"} if decoder == "number" else decoder
    quiet, plain = reader("x", decoder, may_repeat=1800), reader("x", decoder)
    for minute in (0, 30):
        assert verdicts(tell(quiet, minute, payload, "x")) == [(4.1, Quality.GOOD, "")]
    assert verdicts(tell(quiet, 31, payload, "x")) == [(4.1, Quality.UNCERTAIN, REPEATED)]
    for minute in (0, 31):
        assert verdicts(tell(plain, minute, payload, "x")) == [(4.1, Quality.GOOD, "")]


@pytest.mark.parametrize("clock", ["device_within", "device", "gateway"])
def test_a_repeat_with_a_known_old_stamp_is_not_taken_as_new(clock: str) -> None:
    one = reader(ignore=["battery", "linkquality"], clock=clock)
    first = {**STATE, "last_seen": NOON.isoformat()}
    assert len(tell(one, 0, first)) == 1
    for minute in (1, 20, 300):
        assert tell(one, minute, first) == []
    assert one.counts["repeated_with_their_stamp"] == 3
    fresh = {**STATE, "last_seen": (NOON + 301 * MINUTE).isoformat()}
    assert verdicts(tell(one, 301, fresh)) == [(4.1, Quality.GOOD, "")]


def test_a_gateway_started_again_does_not_take_a_repeat_for_a_new_reading_of_a_wrong_clock() -> None:
    again = reader(ignore=["battery", "linkquality"])
    again.begin_after({POINT: NOON})
    (old,) = tell(again, 300, {**STATE, "last_seen": NOON.isoformat()})
    assert (old.at, old.quality) == (NOON, Quality.GOOD), "the core has it: a duplicate"
    assert tell(again, 301, {**STATE, "last_seen": NOON.isoformat()}) == []


def test_another_value_under_the_same_stamp_is_told() -> None:
    one = reader(ignore=["battery", "linkquality"])
    first = {**STATE, "last_seen": NOON.isoformat()}
    tell(one, 0, first)
    assert verdicts(tell(one, 1, {**first, "temperature": 9.9})) == [(9.9, Quality.GOOD, "")]


def test_what_was_read_and_not_kept_is_read_again() -> None:
    one = reader(ignore=["battery", "linkquality"])
    first = {**STATE, "last_seen": NOON.isoformat()}
    tell(one, 0, first)
    one.forget()
    assert len(tell(one, 0, first)) == 1


def test_a_repeat_opens_a_silent_gap(world: World) -> None:
    world.zone("room")
    one = reader(ignore=["battery", "linkquality"])
    last = NOON
    for minute in range(0, 241, 10):
        if minute <= 60:
            last = NOON + minute * MINUTE
        now = NOON + minute * MINUTE
        mark = Watermark("m", now - timedelta(seconds=1), ("s1/a/room",))
        world.fold(tell(one, minute, {**STATE, "last_seen": last.isoformat()}), [("g1", mark)], now=now)
    with world.engine.connect() as conn:
        gaps = conn.execute(text("SELECT start_at, stop_at, reason FROM gap_standing")).all()
        rows = conn.execute(text("SELECT count(*) FROM reading")).scalar_one()
    assert [tuple(gap) for gap in gaps] == [(NOON + HOUR + 30 * MINUTE, None, "silent")]
    assert rows == 7


def test_a_death_is_no_repetition_of_what_came_before() -> None:
    one = reader("zigbee2mqtt/#", ignore=["battery", "linkquality"])
    first = {**STATE, "last_seen": NOON.isoformat()}
    tell(one, 0, first)
    (dead,) = tell(one, 1, b"offline", "zigbee2mqtt/probe/availability")
    assert dead.reason == Reason.DISCONNECTED
    assert len(tell(one, 2, first)) == 1


def test_the_bad_samples_of_a_loose_contact_are_one_gap_to_who_releases(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("12:00"))
    for minute in range(60):
        quality = Quality.BAD if minute % 2 else Quality.GOOD
        when = NOON + minute * MINUTE
        world.feed("room", [(when, 5.0)], quality=quality, upto=when)
    later = NOON + 3 * HOUR  # after an hour and a half in which nothing was heard
    world.feed("room", [(later, 5.0), (later + MINUTE, 5.0)], upto=later + MINUTE)
    told = world.do(lambda u: unfilled_gaps(u, sublot), now=later + MINUTE)
    assert [(gap["start_at"], gap["stop_at"], gap["silences"]) for gap in told] == [
        (NOON + MINUTE, later, 30),
    ]
    world.feed("room", [(later + 5 * HOUR, 5.0)], quality=Quality.BAD, upto=later + 5 * HOUR)
    told = world.do(lambda u: unfilled_gaps(u, sublot), now=later + 5 * HOUR)
    assert [(gap["start_at"], gap["stop_at"], gap["silences"]) for gap in told] == [
        (NOON + MINUTE, later, 30),
        (later + 31 * MINUTE, None, 1),
    ]
