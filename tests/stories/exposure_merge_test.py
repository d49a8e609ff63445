"""Merged goods are as bad as the worst of their parts, whenever that becomes known: nothing is frozen by merging."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import text

from core.erp.catalog.model import Point, ProfileLimit
from core.erp.exposure import handlers as exposure_handlers
from core.erp.exposure.history.lineage import paths
from core.erp.kernel.errors import Refused
from core.erp.kernel.model import User
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.telemetry.batch import Watermark
from core.telemetry.reading import Reading
from tests.services.quality_plant import PASSWORD, _hash
from tests.world import HOUR, MINUTE, OVER_8_FOR_60, World, at, every

BUDGET_2H = ProfileLimit(key="spent", op=">", threshold=8.0, kind="cumulative", delay=2 * HOUR)


def merge(world: World, when: str, *parts: int) -> int:
    made = world.do(lambda u: lots.merge(u, parts).id, now=at(when))
    assert made is not None
    return made


def split(world: World, when: str, sublot: int, amount: int = 10) -> int:
    made = world.do(lambda u: lots.split(u, sublot, Decimal(amount)).id, now=at(when))
    assert made is not None
    return made


def two(world: World, limit: ProfileLimit, one: int, other: int, since: str = "01:00") -> tuple[int, int]:
    """Two sublots of one lot in two rooms."""
    item = world.item(limit)
    lot = world.lot(item)
    return world.sublot(item, one, at(since), lot=lot), world.sublot(item, other, at(since), lot=lot)


def outs(world: World, sublot: int) -> list[tuple[str, timedelta]]:
    with world.engine.connect() as conn:
        rows = conn.execute(
            text("SELECT limit_key, out FROM excursion WHERE sublot_id = :s AND state <> 'superseded' ORDER BY 1, 2"),
            {"s": sublot},
        )
        return [(row[0], row[1]) for row in rows]


def test_a_merger_has_spent_what_the_worst_of_its_parts_has_and_no_sum_of_them(world: World) -> None:
    """Part one spent 90 minutes in the warm room, part two 40; of a budget of 120, 30 are left."""
    cold, warm = world.zone("cold"), world.zone("warm")
    one, other = two(world, BUDGET_2H, warm, cold)
    world.feed("cold", every(10, at("01:00"), at("06:00"), 5.0), upto=at("06:00"))
    world.feed("warm", every(10, at("01:00"), at("06:00"), 9.0), upto=at("06:00"))
    world.put(one, cold, at("02:30"))
    world.put(other, warm, at("03:00"))
    world.put(other, cold, at("03:40"))
    whole = merge(world, "04:00", one, other)
    assert world.excursions(whole) == []
    world.put(whole, warm, at("05:00"))
    world.feed("warm", every(10, at("05:10"), at("05:20"), 9.0))
    world.put(whole, cold, at("05:29"))
    assert world.excursions(whole) == []
    world.put(whole, warm, at("05:40"))
    assert world.excursions(whole) == [(whole, "spent", at("01:00"), at("05:41"), "proven")]


def test_fifty_warm_minutes_before_a_merge_and_ten_after_make_sixty(world: World) -> None:
    room, dock = world.zone("room"), world.zone("dock")
    one, other = two(world, OVER_8_FOR_60, room, dock)
    world.feed("dock", every(5, at("01:00"), at("02:45"), 5.0), upto=at("02:45"))
    world.feed(
        "room", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("02:50"), 9.0)], upto=at("02:50")
    )
    world.put(other, room, at("02:45"))
    whole = merge(world, "02:50", one, other)
    assert world.holds(whole) == []
    world.feed("room", [(at("02:59"), 9.0)], upto=at("02:59"))
    assert world.holds(whole) == []
    world.feed("room", [(at("03:00"), 9.0)], upto=at("03:00"))
    assert world.excursions(whole) == [(whole, "high", at("02:00"), at("03:00"), "proven")]
    assert world.holds(whole) == ["proven"]


def test_silence_before_a_merge_goes_on_after_it(world: World) -> None:
    room = world.zone("room")
    one, other = two(world, OVER_8_FOR_60, room, room)
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("03:10"))
    whole = merge(world, "03:15", one, other)
    world.feed("room", [], upto=at("03:29"))
    assert world.holds(whole) == []
    world.feed("room", [], upto=at("03:30"))
    assert world.excursions(whole) == [(whole, "high", at("02:30"), at("03:30"), "unproven")]


def test_what_a_logger_tells_of_a_part_after_the_merge_is_the_mergers_too(world: World) -> None:
    """The van's gateway was cut off; its spool comes in when its goods have long been merged, and split again."""
    van, room = world.zone("van"), world.zone("room")
    one, other = two(world, OVER_8_FOR_60, van, room)
    world.feed("room", every(10, at("01:00"), at("06:00"), 5.0), upto=at("06:00"))
    world.feed("van", every(10, at("01:00"), at("01:30"), 5.0), upto=at("01:30"))
    world.put(one, room, at("03:00"))
    whole = merge(world, "04:00", one, other)
    part = split(world, "04:30", whole)
    third = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    assert world.holds(whole) == world.holds(part) == []
    world.feed("van", every(10, at("01:40"), at("03:30"), 9.0), upto=at("03:30"), now=at("06:00"))
    for sublot in (one, whole, part):
        assert world.excursions(sublot) == [(sublot, "high", at("01:40"), at("02:40"), "proven")]
        assert "proven" in world.holds(sublot)
    assert outs(world, whole) == [("high", 80 * MINUTE)], "not the half hour after they had left the van"
    assert world.holds(other) == world.holds(third) == []


def test_a_move_of_a_part_keyed_after_the_merge_is_judged_for_the_merger(world: World) -> None:
    """The rescue at 02:30 was keyed at 05:00, when the goods had been merged at 04:00."""
    warm, cold = world.zone("warm"), world.zone("cold")
    one, other = two(world, OVER_8_FOR_60, warm, cold)
    world.feed("cold", every(10, at("01:00"), at("05:00"), 5.0), upto=at("05:00"))
    world.feed(
        "warm", [*every(10, at("01:00"), at("01:50"), 5.0), *every(10, at("02:00"), at("05:00"), 9.0)], upto=at("05:00")
    )
    world.put(one, cold, at("03:30"))
    whole = merge(world, "04:00", one, other)
    assert world.excursions(whole) == [(whole, "high", at("02:00"), at("03:00"), "proven")]
    world.put(one, cold, at("02:30"), known=at("05:00"))
    assert world.excursions(whole) == [], "half an hour is no excursion"
    assert "proven" in world.holds(whole), "what stands is lifted by QA"


def test_a_merger_of_mergers_remembers_them_all(world: World) -> None:
    warm, cold = world.zone("warm"), world.zone("cold")
    item = world.item(BUDGET_2H)
    lot = world.lot(item)
    a, b, c = (world.sublot(item, zone, at("01:00"), lot=lot) for zone in (warm, cold, cold))
    world.feed("cold", every(10, at("01:00"), at("06:00"), 5.0), upto=at("06:00"))
    world.feed("warm", every(10, at("01:00"), at("06:00"), 9.0), upto=at("06:00"))
    world.put(a, cold, at("02:00"))
    ab = merge(world, "02:10", a, b)
    world.put(ab, warm, at("02:20"))
    world.put(ab, cold, at("02:50"))
    abc = merge(world, "03:00", split(world, "02:55", ab), c)
    world.put(abc, warm, at("03:10"))
    world.put(abc, cold, at("03:39"))
    assert world.excursions(abc) == [], "60, 30 and 29 minutes"
    world.put(abc, warm, at("03:50"))
    assert world.excursions(abc) == [(abc, "spent", at("01:00"), at("03:51"), "proven")]


def test_parts_that_stood_together_are_one_way_again(world: World) -> None:
    """Goods that are split and put together day after day in one room do not grow ways without end."""
    room, dock = world.zone("room"), world.zone("dock")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    for hour in range(12, 18):
        sublot = merge(world, f"{hour:02}:30", sublot, split(world, f"{hour:02}:00", sublot))
    with world.engine.connect() as conn:
        assert paths(conn, [sublot]) == {sublot: (((room, at("01:00"), None),),)}
    part = split(world, "20:00", sublot)
    world.put(part, dock, at("20:10"))
    world.put(part, room, at("20:20"))
    whole = merge(world, "20:30", sublot, part)
    with world.engine.connect() as conn:
        assert len(paths(conn, [whole])[whole]) == 2


def test_evidence_is_what_the_goods_met_where_they_were_and_of_what_was_broken(world: World) -> None:
    """Zone two was at 30 °C before they came and is humid: neither is any evidence against them."""
    one, zone_two = world.zone("one"), world.zone("two")
    world._add(Point(zone_id=zone_two, address="s1/a/two/p1/humidity", quantity="humidity", unit="%", role="required"))
    sublot = world.sublot(world.item(OVER_8_FOR_60), one, at("01:00"))
    world.feed("one", every(5, at("01:00"), at("01:55"), 5.0), upto=at("01:55"))
    world.feed("one", every(5, at("02:00"), at("02:30"), 12.0), upto=at("02:30"))
    world.feed("two", [*every(5, at("01:00"), at("02:25"), 30.0), (at("02:30"), 9.0)])
    world.put(sublot, zone_two, at("02:30"))
    humid = [Reading("s1/a/two/p1/humidity", at(clock), 45.0, "%", at(clock)) for clock in ("02:30", "02:50", "03:00")]
    world.fold(humid, [("g1", Watermark("source", at("02:30"), ("s1/a/two",)))], now=at("03:00"))
    world.feed("two", every(5, at("02:35"), at("03:00"), 9.0), upto=at("03:00"))
    with world.engine.connect() as conn:
        row = conn.execute(text("SELECT started_at, broke_at, lowest, highest FROM excursion")).one()
    assert tuple(row) == (at("02:00"), at("03:00"), 9.0, 12.0)


def accepted(world: World, sublot: int) -> None:
    """QA assesses, and accepts with a signature, what stands against it."""
    with world.engine.connect() as conn:
        found = conn.execute(text("SELECT id FROM app_user WHERE login = 'quinn'")).scalar()
        ended = conn.execute(text("SELECT id FROM excursion WHERE sublot_id = :s AND state = 'ended'"), {"s": sublot})
        ids = list(ended.scalars())
    user = found or world._add(
        User(login="quinn", name="Quinn", password_hash=_hash(), roles=["qa"], created_at=world.now)
    )
    quinn = Actor("quinn", frozenset({Role.QA}), user, session="session")
    for excursion in ids:
        world.do(partial(quality.assess, excursion_id=excursion, assessment="stability data"), actor=quinn)
        world.sign(quinn, quality.disposition_signing(excursion, "accept", "stable"), PASSWORD)
    assert world.holds(sublot) == []


def warmed(world: World) -> tuple[int, int, int]:
    """(room, dock, sublot) of eighty warm minutes that are over, and that QA has accepted."""
    room, dock = world.zone("room"), world.zone("dock")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("dock", every(10, at("01:00"), at("04:00"), 5.0), upto=at("04:00"))
    world.feed(
        "room", [*every(10, at("01:00"), at("02:10"), 9.0), *every(10, at("02:20"), at("04:00"), 5.0)], upto=at("04:00")
    )
    assert world.holds(sublot) == ["proven"]
    accepted(world, sublot)
    return room, dock, sublot


def test_what_qa_accepted_is_accepted_for_what_is_split_off_later(world: World) -> None:
    _, dock, sublot = warmed(world)
    part = split(world, "04:00", sublot)
    assert world.holds(part) == []
    world.put(part, dock, at("04:05"))
    assert world.holds(part) == []


def test_what_qa_accepted_of_every_part_is_accepted_of_the_merger(world: World) -> None:
    """Part one was accepted, part two went through nothing: the merger is free; it is not, were part two in it too."""
    room, dock, sublot = warmed(world)
    part = split(world, "04:00", sublot)
    with world.engine.connect() as conn:
        lot = conn.execute(text("SELECT lot_id FROM sublot WHERE id = :s"), {"s": sublot}).scalar_one()
        item = conn.execute(text("SELECT item_id FROM lot WHERE id = :l"), {"l": lot}).scalar_one()
    fresh = world.sublot(item, room, at("03:00"), lot=lot)
    whole = merge(world, "04:10", part, fresh)
    assert world.holds(whole) == []
    assert world.holds(split(world, "04:12", whole)) == []
    late = world.sublot(item, dock, at("01:00"), lot=lot)
    world.put(late, room, at("03:00"))
    second = merge(world, "04:15", sublot, late)
    assert world.holds(second) == []
    world.put(late, room, at("01:10"), known=at("04:20"))
    assert world.excursions(second) == [(second, "high", at("01:00"), at("02:00"), "proven")]
    assert "proven" in world.holds(second), "of the seventy minutes of part two nobody has signed anything"


def test_one_decision_answers_for_the_run_that_parts_went_through_before_they_were_merged(world: World) -> None:
    room = world.zone("room")
    one, other = two(world, OVER_8_FOR_60, room, room)
    world.feed(
        "room", [*every(10, at("01:00"), at("02:10"), 9.0), *every(10, at("02:20"), at("04:00"), 5.0)], upto=at("04:00")
    )
    whole = merge(world, "04:00", one, other)
    assert len(world.holds(whole)) == 3, "copies of its parts', and its own excursion's"
    accepted(world, whole)
    world.feed("room", every(10, at("04:10"), at("05:00"), 5.0), upto=at("05:00"))
    assert world.holds(whole) == []


def test_a_further_hour_after_what_was_accepted_holds_what_was_split_off(world: World) -> None:
    """The budget is two hours; ninety minutes more were accepted before the split, and are not accepted twice."""
    warm, cold = world.zone("warm"), world.zone("cold")
    sublot = world.sublot(world.item(BUDGET_2H), warm, at("01:00"))
    world.feed("warm", every(10, at("01:00"), at("05:00"), 9.0), upto=at("05:00"))
    world.feed("cold", every(10, at("01:00"), at("05:00"), 5.0), upto=at("05:00"))
    world.put(sublot, cold, at("04:30"))
    accepted(world, sublot)
    part = split(world, "05:00", sublot)
    world.feed("warm", every(10, at("05:10"), at("09:00"), 9.0), upto=at("09:00"))
    world.feed("cold", every(10, at("05:10"), at("09:00"), 5.0), upto=at("09:00"))
    world.put(part, cold, at("07:59"), known=at("09:00"))
    world.put(part, warm, at("06:00"), known=at("09:00"))
    assert world.holds(part) == []
    world.put(part, warm, at("08:10"), known=at("09:00"))
    assert world.holds(part) == ["proven"]
    assert world.holds(sublot) == []


def test_an_hour_that_was_accepted_unproven_and_turns_out_worse_is_a_further_excursion(world: World) -> None:
    """QA signed for 70 minutes of silence. The logger then proves 65 warm minutes of them: that was signed for; and
    then 75: that was not.
    """
    room = world.zone("room", gap=10 * MINUTE)
    limit = ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=HOUR)
    sublot = world.sublot(world.item(limit, gap=10 * MINUTE), room, at("13:00"))
    world.feed(
        "room", [*every(5, at("13:00"), at("13:20"), 5.0), *every(5, at("15:00"), at("16:00"), 5.0)], upto=at("16:00")
    )
    assert outs(world, sublot) == [("high", 90 * MINUTE)]
    world.feed("room", every(5, at("13:25"), at("13:40"), 5.0))
    assert outs(world, sublot) == [("high", 70 * MINUTE)]
    accepted(world, sublot)
    world.feed("room", every(5, at("13:55"), at("14:55"), 9.0))
    assert world.holds(sublot) == [], "65 proven minutes are no more than the 70 that were signed for"
    world.feed("room", [(at("13:45"), 9.0), (at("13:50"), 9.0)])
    assert outs(world, sublot) == [("high", 70 * MINUTE), ("high", 75 * MINUTE)]
    assert world.holds(sublot) == ["proven"]


def test_what_is_not_known_of_a_part_is_not_known_of_the_merger(world: World) -> None:
    """The van's silence before the merge still bars an automatic release."""
    van, room = world.zone("van"), world.zone("room")
    one, other = two(world, BUDGET_2H, van, room)
    world.feed("room", every(10, at("01:00"), at("04:00"), 5.0), upto=at("04:00"))
    world.feed("van", [(at("01:00"), 5.0), (at("02:00"), 5.0)], upto=at("02:00"))
    world.put(one, room, at("02:00"))
    whole = merge(world, "03:00", one, other)
    found = world.do(lambda u: quality.unfilled_gaps(u, whole))
    assert [(gap["zone_id"], gap["start_at"], gap["stop_at"]) for gap in found] == [(van, at("01:30"), at("02:00"))]
    assert world.do(lambda u: quality.unfilled_gaps(u, other)) == []


def test_goods_that_came_too_many_different_ways_are_kept_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split, apart for ten minutes and merged again: each time twice as many histories."""
    monkeypatch.setattr(exposure_handlers, "MAX_PATHS", 4)
    room, dock = world.zone("room"), world.zone("dock")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))

    def apart_and_together(hour: int, whole: int) -> int:
        part = split(world, f"{hour:02}:00", whole)
        world.put(part, dock, at(f"{hour:02}:10"))
        world.put(part, room, at(f"{hour:02}:20"))
        return merge(world, f"{hour:02}:30", whole, part)

    sublot = apart_and_together(3, apart_and_together(2, sublot))
    with world.engine.connect() as conn:
        assert len(paths(conn, [sublot])[sublot]) == 4
    with pytest.raises(Refused, match="8 different ways"):
        apart_and_together(4, sublot)
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT lotwise_on_hand(:s)"), {"s": sublot}).scalar_one() > 0
