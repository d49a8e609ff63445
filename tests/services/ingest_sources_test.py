"""A gateway says which sources it has; one that its next start no longer names holds nobody back any more."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.unit import system, transact
from core.ingest.epochs import close_epoch
from core.ingest.sources import retire_unnamed
from core.ingest.transaction import IngestTransaction, StreamMessage
from core.telemetry.address import partition_of
from core.telemetry.batch import Announced, Watermark
from core.telemetry.reading import Reading
from core.wiring import build_events
from tests.services.ingest_after_test import rows
from tests.services.ingest_support import Gateway
from tests.world import OVER_8_FOR_60, World, at, every

ROOM = "s1/a/room"
PARTITION = partition_of(ROOM)


@pytest.fixture
def world(engine: Engine) -> World:
    made = World(engine, build_events())
    made.zone("room")
    return made


@pytest.fixture
def tell(world: World) -> Callable[..., None]:
    """The core takes batches."""
    ingest = IngestTransaction(judge=world.judge, live=False)

    def fold(clock: str, *messages: StreamMessage) -> None:
        transact(world.engine, system("ingest"), world.events, lambda u: ingest.run(u, messages), at(clock))

    return fold


def mark(source: str, clock: str) -> Watermark:
    return Watermark(source, at(clock), (ROOM,))


def cut(gateway: Gateway, *marks: Watermark, readings: list[tuple[datetime, float]] | None = None) -> StreamMessage:
    told = [Reading(f"{ROOM}/p1/temperature", when, value, "Cel", when) for when, value in readings or []]
    return gateway.cut(told, marks, partition=PARTITION)


def retired(world: World, clock: str) -> list[tuple[str, tuple[str, ...]]]:
    """Sources that are retired now, with their zones."""
    return [(each.source, each.zones) for each in retire_unnamed(world.engine, Judge(), world.events, at(clock))]


def watermark(world: World) -> datetime:
    found = rows(world.engine, "SELECT watermark FROM zone_judged")[0][0]
    assert isinstance(found, datetime)
    return found


FIRST = Announced("config of e1", ("old", "probes"))


def test_a_source_taken_out_of_the_configuration_holds_nobody_back(world: World, tell: Callable[..., None]) -> None:
    sublot = world.sublot(world.item(OVER_8_FOR_60), 1, at("01:00"))
    first = Gateway(epoch="e1", announced=FIRST)
    tell(
        "02:00",
        cut(first, mark("old", "02:00"), mark("probes", "02:00"), readings=every(5, at("01:00"), at("02:00"), 5.0)),
    )
    assert retired(world, "02:01") == []
    # both cannot be reached: who is silent is still waited for
    second = first.restart("e2", "probes")
    tell("04:00", cut(second, mark("probes", "04:00")))
    assert watermark(world) == at("02:00")
    assert world.holds(sublot) == []
    assert retired(world, "04:01") == [("old", (ROOM,))]
    assert watermark(world) == at("04:00")
    assert world.holds(sublot) == ["unproven"]  # two hours of silence can be told now
    with world.engine.connect() as conn:
        told = conn.execute(text("SELECT actor, entity_id, reason, at FROM audit WHERE action = 'source.retire'")).one()
    assert told[:2] == ("system:ingest", "gw-1:old")
    assert "config of e2"[:12] in told.reason
    assert told.at == at("04:01")
    assert rows(world.engine, "SELECT source, retired_at FROM source_watermark ORDER BY 1") == [
        ("old", at("04:01")),
        ("probes", None),
    ]
    assert retired(world, "04:02") == []
    # the ingest that runs goes on without it
    tell("04:05", cut(second, mark("probes", "04:05")))
    assert watermark(world) == at("04:05")


def test_a_source_that_is_named_and_cannot_be_reached_is_waited_for(world: World, tell: Callable[..., None]) -> None:
    first = Gateway(epoch="e1", announced=FIRST)
    tell("02:00", cut(first, mark("old", "02:00"), mark("probes", "02:00")))
    second = first.restart("e2", "probes", "old")
    tell("04:00", cut(second, mark("probes", "04:00")))
    assert retired(world, "09:00") == []
    assert watermark(world) == at("02:00")


def test_what_the_source_may_still_have_to_tell_is_waited_for(world: World, tell: Callable[..., None]) -> None:
    first = Gateway(epoch="e1", announced=FIRST)
    tell("02:00", cut(first, mark("old", "02:00"), mark("probes", "02:00")))
    on_its_way = cut(first, mark("old", "03:00"), mark("probes", "03:00"))
    second = first.restart("e2", "probes")
    tell("04:00", cut(second, mark("probes", "04:00")))
    assert retired(world, "04:01") == []
    tell("04:02", on_its_way)
    assert watermark(world) == at("03:00")
    assert retired(world, "04:03") == [("old", (ROOM,))]
    assert watermark(world) == at("04:00")


def test_zones_go_one_by_one_as_they_are_complete(world: World, tell: Callable[..., None]) -> None:
    world.zone("other")
    other = "s1/a/other"
    assert partition_of(other) != PARTITION
    first = Gateway(epoch="e1", announced=FIRST)
    tell(
        "02:00",
        cut(first, mark("old", "02:00")),
        first.cut([], [Watermark("old", at("02:00"), (other,))], partition=partition_of(other)),
    )
    late = first.cut([], [Watermark("old", at("02:30"), (other,))], partition=partition_of(other))
    tell("03:00", cut(first.restart("e2", "probes"), mark("probes", "03:00")))
    assert retired(world, "03:01") == [("old", (ROOM,))]
    tell("03:02", late)
    assert retired(world, "03:03") == [("old", (other,))]


def test_a_start_heard_of_late_does_not_speak_for_the_newest(world: World, tell: Callable[..., None]) -> None:
    first = Gateway(epoch="e1", announced=FIRST)
    tell("02:00", cut(first, mark("old", "02:00"), mark("probes", "02:00")))
    second = first.restart("e2", "probes")
    between = cut(second, mark("probes", "02:30"))
    third = second.restart("e3", "probes", "old")
    tell("03:00", cut(third, mark("probes", "03:00")))
    tell("03:01", between)
    assert retired(world, "03:02") == []


def test_a_source_that_is_named_again_counts_again(world: World, tell: Callable[..., None]) -> None:
    first = Gateway(epoch="e1", announced=FIRST)
    tell("02:00", cut(first, mark("old", "02:00"), mark("probes", "02:00")))
    second = first.restart("e2", "probes")
    tell("03:00", cut(second, mark("probes", "03:00")))
    assert retired(world, "03:01") == [("old", (ROOM,))]
    third = second.restart("e3", "probes", "old")
    tell("04:00", cut(third, mark("probes", "04:00"), mark("old", "03:30")))
    assert watermark(world) == at("03:30")
    assert retired(world, "04:01") == []


def test_a_lost_spool_is_closed_before_anything_is_retired(world: World, tell: Callable[..., None]) -> None:
    first = Gateway(epoch="e1", announced=FIRST)
    tell("02:00", cut(first, mark("old", "02:00"), mark("probes", "02:00")))
    fresh = Gateway(epoch="f1", announced=Announced("config of f1", ("probes",)))
    tell("04:00", cut(fresh, mark("probes", "04:00")))
    assert retired(world, "04:01") == []
    world.do(
        lambda u: close_epoch(u, Judge(), "gw-1", "e1", reason="disk burnt", signature_id=None),
        now=at("04:02"),
        actor=system("test"),
    )
    assert retired(world, "04:03") == [("old", (ROOM,))]
    assert watermark(world) == at("04:00")


def test_a_gateway_that_does_not_say_or_says_nonsense_retires_nobody(world: World, tell: Callable[..., None]) -> None:
    first = Gateway(epoch="e1", announced=FIRST)
    tell("02:00", cut(first, mark("old", "02:00"), mark("probes", "02:00")))
    second = first.restart("e2")
    tell("03:00", cut(second, mark("probes", "03:00")))
    third = second.restart("e3", "probes", "\0")
    tell("04:00", cut(third, mark("probes", "04:00")))
    assert retired(world, "04:01") == []
    assert rows(world.engine, "SELECT kind, reason FROM dead_letter") == [("part", "undecodable")]
    # another gateway's word counts for itself alone
    tell("04:02", cut(Gateway(name="gw-2", announced=Announced("c", ("x",))), mark("x", "04:02")))
    assert retired(world, "04:03") == []
    assert watermark(world) == at("02:00")
