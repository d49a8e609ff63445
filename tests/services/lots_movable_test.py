"""Intentions are refused for what stands against the goods; facts never are."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.custody import service as custody
from core.erp.kernel.errors import Conflict, Forbidden, IllegalMove, Invalid, NotFound, Refused
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.events import FactBrokeRule
from core.erp.lots.rules import ObstacleKind
from tests.services.lots_world import ADMIN, NOON, QA, SYSTEM, WAREHOUSE, World, build
from tests.world import RELEASE


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def kinds(u: Unit, sublot: int, purpose: str = "sale", **context: str) -> set[str]:
    return {str(o.kind) for o in lots.movable(u, sublot, purpose, context=context or None)}


def dispatch(u: Unit, sublot: int, amount: int = 10, key: str | None = None) -> object:
    return lots.move(u, sublot, Decimal(amount), "customer", purpose="sale", reference="shipment:1", key=key)


def test_free_stock_is_sold(world: World) -> None:
    sublot = world.stock(100)
    with world.unit() as u:
        assert kinds(u, sublot) == set()
        dispatch(u, sublot, 40)
        assert lots.on_hand(u, sublot) == 60


def test_each_obstacle_by_itself(world: World) -> None:
    held, expired, raw, bound = (
        world.stock(number="held"),
        world.stock(number="expired", expiry=date(2026, 3, 1)),
        world.stock(number="raw", released=False),
        world.stock(number="bound"),
    )
    with world.unit() as u:
        lots.place_hold(u, sublot_id=held, kind="manual", reason="seal broken", since_at=NOON)
        lots.restrict(u, bound, "market", {"only": ["DE"]}, "registered there only")
        assert kinds(u, held) == {"held"}
        assert kinds(u, expired) == {"expired"}
        assert kinds(u, raw) == {"unreleased"}
        assert kinds(u, bound) == {"restricted"}
        assert kinds(u, bound, market="DE") == set()
        assert kinds(u, bound, market="FR") == {"restricted"}
    for sublot in (held, expired, raw, bound):
        with pytest.raises(Refused), world.unit() as u:
            dispatch(u, sublot)
    with world.unit() as u:
        lots.place_hold(u, sublot_id=expired, kind="manual", reason="and", since_at=NOON)
    with pytest.raises(Refused, match=r"held.*expired"), world.unit() as u:
        dispatch(u, expired)


def test_silence_makes_unjudged_and_late_data_clear_it(world: World) -> None:
    sublot = world.stock()
    world.good_until(world.cold, datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
    with world.unit(now=datetime(2026, 3, 2, 14, 30, tzinfo=UTC)) as u:
        dispatch(u, sublot)
    with world.unit(now=datetime(2026, 3, 2, 14, 31, tzinfo=UTC)) as u:
        assert kinds(u, sublot) == {"unjudged"}
    with pytest.raises(Refused, match="unjudged"), world.unit(now=datetime(2026, 3, 2, 14, 31, tzinfo=UTC)) as u:
        dispatch(u, sublot)
    world.good_until(world.cold, datetime(2026, 3, 2, 14, 45, tzinfo=UTC))
    with world.unit(now=datetime(2026, 3, 2, 14, 45, tzinfo=UTC)) as u:
        dispatch(u, sublot)


def test_zone_without_points_is_unknown_unless_it_declares_its_worst(world: World) -> None:
    sublot, free = world.stock(zone=world.freezer), world.stock(number="V", item=world.vial, zone=world.freezer)
    with world.unit() as u:
        assert kinds(u, sublot) == {"unjudged"}
        assert kinds(u, free) == set(), "an item without a profile needs no reading"
        u.conn.execute(text("UPDATE zone SET worst_temperature = 5 WHERE id = :z"), {"z": world.freezer})
        assert kinds(u, sublot) == set()


def test_shipper_in_a_monitored_room_is_judged_by_the_room(world: World) -> None:
    sublot = world.stock(zone=world.freezer)
    with world.unit() as u:
        u.conn.execute(
            text("INSERT INTO zone_nesting (zone_id, parent_id, from_at) VALUES (:a, :b, :t)"),
            {"a": world.freezer, "b": world.cold, "t": NOON - timedelta(hours=1)},
        )
        assert kinds(u, sublot) == set()


@pytest.mark.parametrize(
    ("now", "expired"),
    [
        (datetime(2026, 3, 1, 22, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 1, 23, 0, tzinfo=UTC), True),  # midnight in Berlin
    ],
)
def test_expiry_is_at_midnight_of_the_site(world: World, now: datetime, expired: bool) -> None:
    sublot = world.stock(expiry=date(2026, 3, 1), at=NOON - timedelta(days=2))
    world.good_until(world.cold, now)
    with world.unit(now=now) as u:
        assert (ObstacleKind.EXPIRED in {o.kind for o in lots.movable(u, sublot, "sale")}) is expired


FORBIDDEN = [
    # state, purpose
    ("expected", "sale"),
    ("expected", "use"),
    ("expected", "sampling"),
    ("expected", "rescue"),
    ("quarantine", "sale"),
    ("quarantine", "use"),
    ("quarantine", "supplier_return"),
    ("quarantine", "destruction"),
    ("released", "supplier_return"),
    ("released", "destruction"),
    ("rejected", "sale"),
    ("rejected", "use"),
    ("reworked", "sale"),
    ("reworked", "use"),
    ("returned", "sale"),
    ("destroyed", "use"),
    ("destroyed", "sampling"),
]


def force(world: World, sublot: int, state: str) -> None:
    """Sets a state by going round the guards."""
    with world.engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("UPDATE sublot SET state = :s WHERE id = :id"), {"s": state, "id": sublot})


@pytest.mark.as_owner
def test_status_forbids_purpose(world: World) -> None:
    sublot = world.stock(released=False)
    for state, purpose in FORBIDDEN:
        force(world, sublot, state)
        with world.unit() as u:
            assert "unreleased" in kinds(u, sublot, purpose), (state, purpose)


def test_held_stock_may_be_sampled_and_saved(world: World) -> None:
    sublot = world.stock()
    with world.unit() as u:
        lots.place_hold(u, sublot_id=sublot, kind="manual", reason="look at it", since_at=NOON)
        for purpose in ("sampling", "rescue", "quarantine_transfer"):
            assert kinds(u, sublot, purpose) == set()


def take(world: World, sublot: int, purpose: str, target: str) -> str:
    """Posts by plain SQL; the SQLSTATE it was refused with, or nothing."""
    try:
        with world.engine.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO stock_move (sublot_id, source, target, amount, at, posted_at, actor, purpose,"
                    " reference, fact) VALUES (:s, 'stock', :t, 1, :now, :now, 'me', :p, '', false)"
                ),
                {"s": sublot, "t": target, "now": NOON, "p": purpose},
            )
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", "unknown"))
    return ""


def test_plain_sql_cannot_take_held_stock(world: World) -> None:
    sublot = world.stock()
    assert take(world, sublot, "sale", "customer") == "", "free stock it may"
    with world.unit() as u:
        lots.place_hold(u, sublot_id=sublot, kind="manual", reason="look at it", since_at=NOON)
    for purpose, target in (("sale", "customer"), ("use", "production")):
        assert take(world, sublot, purpose, target) == "LW001"


def test_no_other_purpose_is_a_way_out(world: World) -> None:
    sublot = world.stock()
    for purpose, target in (
        ("split", "customer"),
        ("adjustment", "customer"),
        ("merge", "production"),
        ("sampling", "customer"),
        ("receipt", "customer"),
        ("reversal", "customer"),
        ("party", "customer"),
        ("sale", "stock"),
        ("sale", "production"),
        ("rescue", "customer"),
        ("quarantine_transfer", "customer"),
    ):
        assert take(world, sublot, purpose, target) != "", (purpose, target)


def test_more_than_there_is(world: World) -> None:
    sublot = world.stock(10)
    with pytest.raises(Refused, match="insufficient"), world.unit() as u:
        dispatch(u, sublot, 11)
    for bad in (0, -1, Decimal("0.0000001")):
        with pytest.raises(Invalid), world.unit() as u:
            lots.move(u, sublot, Decimal(bad), "customer", purpose="sale", reference="r")
    with pytest.raises(NotFound), world.unit() as u:
        dispatch(u, 999999)
    with pytest.raises(Invalid, match="unknown purpose"), world.unit() as u:
        lots.movable(u, sublot, "party")
    with pytest.raises(Invalid), world.unit() as u:
        lots.move(u, sublot, Decimal(1), "customer", purpose="sampling", reference="r")


def test_the_same_key_posts_once(world: World) -> None:
    sublot = world.stock(10)
    for _ in range(2):
        with world.unit() as u:
            dispatch(u, sublot, 6, key="k1")
    with world.unit() as u:
        assert lots.on_hand(u, sublot) == 4
    with pytest.raises(Conflict), world.unit() as u:
        dispatch(u, sublot, 1, key="k1")


def test_a_departure_learned_after_the_hold_stands_and_breaks_a_rule(world: World) -> None:
    sublot = world.stock(100)
    left, held, posted = (datetime(2026, 3, 2, h, m, tzinfo=UTC) for h, m in ((14, 58), (15, 0), (15, 5)))
    world.good_until(world.cold, posted)
    with world.unit(now=held) as u:
        lots.place_hold(u, sublot_id=sublot, kind="exposure", reason="warm", since_at=held)
    with world.unit(WAREHOUSE, now=posted) as u:
        lots.post_fact(
            u,
            sublot,
            Decimal(100),
            "customer",
            purpose="sale",
            reference="shipment:7",
            at=left,
            reason="truck left before the call",
        )
        assert lots.on_hand(u, sublot) == 0
    broken = [event for event in world.seen if isinstance(event, FactBrokeRule)]
    assert [(b.sublot_id, b.at, b.reference, [str(o.kind) for o in b.obstacles]) for b in broken] == [
        (sublot, left, "shipment:7", ["held"])
    ]
    with pytest.raises(Refused), world.unit(now=posted) as u:
        dispatch(u, sublot)


def test_a_fact_of_more_than_on_record_is_posted_too(world: World) -> None:
    sublot = world.stock(10)
    with world.unit(WAREHOUSE) as u:
        lots.post_fact(
            u,
            sublot,
            Decimal(12),
            "production",
            purpose="use",
            reference="work_order:1",
            at=NOON,
            reason="counted at the line",
        )
        assert lots.on_hand(u, sublot) == 0
    assert [str(o.kind) for e in world.seen if isinstance(e, FactBrokeRule) for o in e.obstacles] == ["insufficient"]


def test_facts_need_a_permit_a_reason_and_a_past(world: World) -> None:
    sublot = world.stock(10)

    def fact(u: Unit, **changes: object) -> None:
        given = {"purpose": "sale", "reference": "r", "at": NOON, "reason": "seen"} | changes
        lots.post_fact(u, sublot, Decimal(1), "customer", **given)  # type: ignore[arg-type]  # keywords of several types

    with pytest.raises(Forbidden), world.unit(ADMIN) as u:
        fact(u)
    with pytest.raises(Invalid), world.unit(WAREHOUSE) as u:
        fact(u, reason=" ")
    with pytest.raises(Invalid), world.unit(WAREHOUSE) as u:
        fact(u, at=NOON + timedelta(seconds=1))


def test_reserve_pick_consume(world: World) -> None:
    sublot = world.stock(10)
    with world.unit() as u:
        one = lots.reserve(u, sublot, Decimal(6), "use", "work_order:1")
    with pytest.raises(Refused, match="4 free"), world.unit() as u:
        lots.reserve(u, sublot, Decimal(5), "use", "work_order:2")
    with world.unit() as u:
        lots.pick(u, one.id)
    with world.unit() as u:
        lots.consume(u, one.id)
        assert lots.on_hand(u, sublot) == 4
    for verb in (lots.pick, lots.consume, lots.cancel_reservation):
        with pytest.raises(IllegalMove), world.unit() as u:
            verb(u, one.id)


@pytest.mark.parametrize("stage", ["reserve", "pick", "consume"])
def test_a_hold_stops_every_stage(world: World, stage: str) -> None:
    sublot = world.stock(10)
    with world.unit() as u:
        reservation = lots.reserve(u, sublot, Decimal(6), "use", "work_order:1")
        if stage == "consume":
            lots.pick(u, reservation.id)
        lots.place_hold(u, sublot_id=sublot, kind="manual", reason="stop", since_at=NOON)
    verbs: dict[str, Callable[[Unit], object]] = {
        "reserve": lambda u: lots.reserve(u, sublot, Decimal(1), "use", "work_order:2"),
        "pick": lambda u: lots.pick(u, reservation.id or 0),
        "consume": lambda u: lots.consume(u, reservation.id or 0),
    }
    with pytest.raises(Refused, match="held"), world.unit() as u:
        verbs[stage](u)
    with world.unit() as u:
        state = u.conn.execute(text("SELECT state FROM reservation")).scalars().all()
        tasks = set(u.conn.execute(text("SELECT kind FROM stock_task")).scalars())
        topics = set(
            u.conn.execute(
                text("SELECT topic FROM outbox WHERE topic LIKE 'stock.re%' OR topic LIKE '%put%'")
            ).scalars()
        )
    assert state == ["suspended"]
    assert tasks == ({"put_back", "reallocate"} if stage == "consume" else {"reallocate"})
    assert topics == {f"stock.{task}" for task in tasks}


def test_corrections_are_reversals(world: World) -> None:
    sublot = world.stock(10)
    with world.unit() as u:
        gone = lots.move(u, sublot, Decimal(4), "customer", purpose="sale", reference="r")
    with world.unit() as u:
        lots.reverse(u, gone.id, reason="wrong pallet")
        assert lots.on_hand(u, sublot) == 10
    with pytest.raises(Refused), world.unit() as u:
        lots.reverse(u, gone.id, reason="again")


def test_transfer_of_held_goods(world: World) -> None:
    sublot = world.stock(10)
    with world.unit() as u:
        lots.place_hold(u, sublot_id=sublot, kind="exposure", reason="warm", since_at=NOON)
    with pytest.raises(Refused, match="accepts no held stock"), world.unit(WAREHOUSE) as u:
        custody.transfer(u, sublot, world.freezer)
    with pytest.raises(Refused, match="not within the profile"), world.unit(WAREHOUSE) as u:
        custody.transfer(u, sublot, world.freezer, purpose="rescue")
    with pytest.raises(Forbidden), world.unit(ADMIN) as u:
        custody.transfer(u, sublot, world.cold, purpose="rescue")
    with world.unit(WAREHOUSE) as u:
        custody.transfer(u, sublot, world.cold, purpose="rescue")
        custody.transfer(u, sublot, world.pen)
        assert lots.get_sublot(u, sublot).zone_id == world.pen
        assert len(lots.open_holds(u, sublot_id=sublot)) == 1, "its holds stay"


def test_release_needs_the_permit_and_no_hold(world: World) -> None:
    from tests.services.lots_world import RELEASER

    sublot = world.stock(10, released=False)
    with pytest.raises(Forbidden), world.unit(QA) as u:
        lots.SUBLOT.apply(u, lots.get_sublot(u, sublot), "release")
    with world.unit(SYSTEM) as u:
        hold = lots.place_hold(u, sublot_id=sublot, kind="manual", reason="paper missing", since_at=NOON)[0]
    with pytest.raises(Refused, match="paper missing"), world.unit(RELEASER) as u:
        lots.SUBLOT.apply(u, lots.get_sublot(u, sublot), "release")
    with world.unit(QA) as u:
        lots.lift_hold(u, hold.id or 0, "paper here")
    with pytest.raises(DBAPIError, match="by a batch release only"), world.unit(RELEASER) as u:
        lots.SUBLOT.apply(u, lots.get_sublot(u, sublot), "release")
    with world.engine.begin() as conn:
        conn.execute(RELEASE, {"id": sublot})
    with pytest.raises(Invalid, match="reason"), world.unit(QA) as u:
        lots.SUBLOT.apply(u, lots.get_sublot(u, sublot), "reject")


FORBIDDEN_MOVES = [
    ("expected", "released"),
    ("expected", "rejected"),
    ("quarantine", "expected"),
    ("rejected", "released"),
    ("rejected", "quarantine"),
    ("reworked", "released"),
    ("returned", "released"),
    ("destroyed", "quarantine"),
    ("quarantine", "destroyed"),
    ("quarantine", "returned"),
    ("quarantine", "reworked"),
    ("released", "destroyed"),
    ("released", "returned"),
    ("released", "reworked"),
    ("destroyed", "released"),
    ("released", "expected"),
]


@pytest.mark.as_owner
def test_states_do_not_jump_even_in_sql(world: World) -> None:
    sublot = world.stock(released=False)
    for source, target in FORBIDDEN_MOVES:
        assert not [m for m in lots.SUBLOT.moves.values() if source in m.sources and m.target == target]
        force(world, sublot, source)
        with pytest.raises(DBAPIError), world.engine.begin() as conn:
            conn.execute(text("UPDATE sublot SET state = :s WHERE id = :id"), {"s": target, "id": sublot})


RESTRICTIONS: list[tuple[str, dict[str, object], set[str]]] = [
    ("purpose", {"only": ["sampling", "use"]}, {"sale"}),
    ("purpose", {"except": ["use"]}, {"use"}),
    ("use_by", {"date": "2026-03-01"}, {"sale", "use"}),
    ("use_by", {"date": "2026-03-02"}, set()),
    ("remaining_life", {"days": 304}, set()),
    ("remaining_life", {"days": 306}, {"sale", "use"}),
    ("customer", {"only": ["C1"]}, {"sale"}),
]


def test_restrictions(world: World) -> None:
    for number, (kind, value, forbidden) in enumerate(RESTRICTIONS):
        sublot = world.stock(number=f"R{number}")
        with world.unit() as u:
            placed = lots.restrict(u, sublot, kind, value, "registration").id or 0
        for purpose, target in (("sale", "customer"), ("use", "production")):
            with world.unit() as u:
                assert kinds(u, sublot, purpose) == ({"restricted"} if purpose in forbidden else set()), (kind, value)
            if kind != "customer":  # whom it is for, only the movement's context knows
                assert take(world, sublot, purpose, target) == ("LW001" if purpose in forbidden else "")
        with world.unit(QA) as u:
            lots.lift_restriction(u, placed, "registered now")
            assert kinds(u, sublot) == set()
        with pytest.raises(IllegalMove), world.unit(QA) as u:
            lots.lift_restriction(u, placed, "again")


def test_restrictions_that_cannot_be(world: World) -> None:
    sublot = world.stock()
    cases: list[tuple[str, dict[str, object], str]] = [
        ("market", {}, "r"),
        ("use_by", {"date": "x"}, "r"),
        ("market", {"only": []}, " "),
    ]
    for kind, said, reason in cases:
        with pytest.raises(Invalid), world.unit() as u:
            lots.restrict(u, sublot, kind, said, reason)
