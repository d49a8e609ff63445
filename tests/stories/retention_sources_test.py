"""A source removed from its gateway holds its zones back for ever, until it is retired."""

from datetime import datetime

import pytest
from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import SilenceLimits, tick
from core.erp.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor
from core.ingest.sources import retire_source
from core.telemetry.batch import Watermark
from core.wiring import build_events
from tests.world import OVER_8_FOR_60, World, at, every

ADMIN = Actor("an.admin", frozenset({Role.ADMIN}))


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def mark(source: str, clock: str) -> tuple[str, Watermark]:
    return ("g1", Watermark(source, at(clock), ("s1/a/room",)))


def watermark(world: World, zone: int) -> datetime | None:
    with world.engine.connect() as conn:
        return conn.execute(text("SELECT watermark FROM zone_judged WHERE zone_id = :z"), {"z": zone}).scalar_one()  # type: ignore[no-any-return]  # a driver's row is untyped


def retire(
    world: World, source: str, clock: str, reason: str = "the old probe is gone", who: Actor = ADMIN
) -> list[str]:
    return world.do(lambda u: retire_source(u, Judge(), "g1", source, reason=reason), now=at(clock), actor=who)


def test_a_removed_source_holds_its_zones_back_until_it_is_retired(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.fold([], [mark("old", "01:10"), mark("source", "01:10")], now=at("01:10"))
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("04:00"), now=at("04:00"))
    assert watermark(world, room) == at("01:10")
    assert world.holds(sublot) == []  # two hours of silence, and nobody may say so
    assert retire(world, "old", "04:01") == ["s1/a/room"]
    assert watermark(world, room) == at("04:00")
    assert world.holds(sublot) == ["unproven"]
    with world.engine.connect() as conn:
        row = conn.execute(text("SELECT actor, entity_id, reason FROM audit WHERE action = 'source.retire'")).one()
    assert tuple(row) == ("an.admin", "g1:old", "the old probe is gone")
    # the running ingest, which had counted it, goes on without
    world.fold([], [mark("source", "04:05")], now=at("04:05"))
    assert watermark(world, room) == at("04:05")


def test_what_it_said_before_holds_nobody_back_and_what_it_says_after_does(world: World) -> None:
    room = world.zone("room")
    world.fold([], [mark("old", "01:00"), mark("source", "02:00")], now=at("02:00"))
    retire(world, "old", "02:01")
    world.fold([], [mark("old", "01:30"), mark("source", "03:00")], now=at("03:00"))  # was still on its way
    assert watermark(world, room) == at("03:00")
    world.restart()
    world.fold([], [mark("source", "03:10")], now=at("03:10"))
    assert watermark(world, room) == at("03:10")
    world.fold([], [mark("old", "03:11"), mark("source", "04:00")], now=at("04:00"))
    assert watermark(world, room) == at("03:11")


def test_a_zone_whose_only_source_is_retired_is_silent(world: World) -> None:
    room = world.zone("room")
    world.fold([], [mark("source", "02:00")], now=at("02:00"))
    retire(world, "source", "02:01")
    world.do(lambda u: tick(u, Judge(), SilenceLimits()), now=at("02:10"))
    with world.engine.connect() as conn:
        since = conn.execute(text("SELECT silent_since FROM zone_judged WHERE zone_id = :z"), {"z": room}).scalar_one()
    assert since == at("02:00")


def test_who_may_not_and_what_cannot_be_retired(world: World) -> None:
    world.zone("room")
    world.fold([], [mark("source", "02:00")], now=at("02:00"))
    with pytest.raises(Forbidden):
        retire(world, "source", "02:01", who=Actor("somebody", frozenset({Role.QA})))
    with pytest.raises(Invalid):
        retire(world, "source", "02:01", reason=" ")
    with pytest.raises(NotFound):
        retire(world, "no such", "02:01")
    retire(world, "source", "02:01")
    with pytest.raises(Conflict):
        retire(world, "source", "02:02")
