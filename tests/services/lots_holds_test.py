"""A hold reaches what it must in one transaction, and is lifted by itself."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import Forbidden, IllegalMove, Invalid, NotFound, Refused
from core.erp.lots import service as lots
from core.erp.lots.events import HoldLifted, HoldPlaced
from tests.services.lots_world import NOON, QA, RELEASER, WAREHOUSE, World, build


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def held(world: World, *sublots: int) -> list[bool]:
    with world.unit() as u:
        return [bool(lots.open_holds(u, sublot_id=sublot)) for sublot in sublots]


def made_of(world: World, parent: int, number: str, hours: float, transformation: str = "work_order:1") -> int:
    """A sublot made of the parent, `hours` after noon."""
    at = NOON + timedelta(hours=hours)
    with world.unit(now=at) as u:
        lot = lots.create_lot(u, world.vaccine, number)
        child = lots.receive(
            u,
            lot.id,
            Decimal(5),
            world.cold,
            source="production",
            parents=[(parent, Decimal(5))],
            transformation=transformation,
        )
        return child.id


def test_many_holds_stand_at_once_and_each_is_lifted_by_itself(world: World) -> None:
    sublot = world.stock()
    with world.unit() as u:
        first = lots.place_hold(u, sublot_id=sublot, kind="manual", reason="one", since_at=NOON)[0]
        second = lots.place_hold(
            u, sublot_id=sublot, kind="manual", reason="two", since_at=NOON, lift_permit="batch.release"
        )[0]
    with world.unit(QA) as u:
        lots.lift_hold(u, first.id, "fine")
    assert held(world, sublot) == [True]
    with pytest.raises(Forbidden), world.unit(QA) as u:
        lots.lift_hold(u, second.id, "fine too")
    with pytest.raises(Invalid), world.unit(RELEASER) as u:
        lots.lift_hold(u, second.id, " ")
    with world.unit(RELEASER) as u:
        lots.lift_hold(u, second.id, "fine too")
    assert held(world, sublot) == [False]
    with pytest.raises(IllegalMove), world.unit(RELEASER) as u:
        lots.lift_hold(u, second.id, "again")
    with pytest.raises(NotFound), world.unit(QA) as u:
        lots.lift_hold(u, 999, "what")
    assert len([e for e in world.seen if isinstance(e, HoldLifted)]) == 2


def test_exposure_hold_reaches_what_was_made_afterwards_only(world: World) -> None:
    parent = world.stock(100)
    before, after = made_of(world, parent, "before", 1), made_of(world, parent, "after", 3)
    grandchild = made_of(world, after, "grandchild", 4)
    with world.unit(now=NOON + timedelta(hours=5)) as u:
        placed = lots.place_hold(
            u,
            sublot_id=parent,
            kind="exposure",
            reason="warm",
            certainty="proven",
            since_at=NOON + timedelta(hours=2),
            excursion_id=7,
        )
    assert [hold.sublot_id for hold in placed] == [parent, after, grandchild]
    assert [hold.excursion_id for hold in placed] == [7, None, None], "a disposition lifts its own hold only"
    assert {hold.origin_hold_id for hold in placed[1:]} == {placed[0].id}
    assert held(world, parent, before, after, grandchild) == [True, False, True, True]


def test_lot_hold_reaches_all_sublots_and_all_descendants(world: World) -> None:
    one = world.stock(100)
    child = made_of(world, one, "child", -1)
    with world.unit() as u:
        two = lots.split(u, one, Decimal(40)).id
        lot = lots.get_sublot(u, one).lot_id
        assert two is not None
    grandchild = made_of(world, two, "grandchild", 1)
    with world.unit(now=NOON + timedelta(hours=2)) as u:
        lots.place_hold(u, lot_id=lot, kind="quality", reason="maker's recall", since_at=u.now)
    assert held(world, one, two, child, grandchild) == [True] * 4
    event = [e for e in world.seen if isinstance(e, HoldPlaced)][-1]
    assert set(event.sublot_ids) == {one, two, child, grandchild}
    later = made_of(world, one, "later", 3)
    with world.unit(now=NOON + timedelta(hours=3)) as u:
        new = lots.receive(u, lot or 0, Decimal(1), world.cold)
    assert held(world, later, new.id or 0) == [True, True], "births inherit"


def test_split_and_merge_keep_every_hold_and_restriction(world: World) -> None:
    parent = world.stock(100)
    with world.unit() as u:
        part = lots.split(u, parent, Decimal(30)).id
        assert part is not None
        lots.place_hold(u, sublot_id=part, kind="manual", reason="part only", since_at=NOON)
        lots.restrict(u, parent, "market", {"only": ["DE"]}, "registered there")
        assert lots.on_hand(u, parent) == 70
    assert held(world, parent, part) == [False, True]
    with world.unit() as u:
        whole = lots.merge(u, [parent, part])
        assert lots.on_hand(u, whole.id) == 100
        assert lots.on_hand(u, parent) == lots.on_hand(u, part) == 0
        assert {str(o.kind) for o in lots.movable(u, whole.id, "sale")} == {"held", "restricted"}
        grand = lots.split(u, whole.id, Decimal(1))
        assert {str(o.kind) for o in lots.movable(u, grand.id or 0, "sale")} == {"held", "restricted"}


def test_merges_that_are_refused(world: World) -> None:
    one, other_lot = world.stock(number="A"), world.stock(number="B")
    with world.unit() as u:
        raw = lots.receive(u, lots.get_sublot(u, one).lot_id or 0, Decimal(5), world.cold).id
    assert raw is not None
    for pair in ([one, other_lot], [one, raw]):
        with pytest.raises(Refused), world.unit() as u:
            lots.merge(u, pair)
    with pytest.raises(Invalid), world.unit() as u:
        lots.merge(u, [one, one])


def test_proof_upgrades_a_hold_and_adds_no_second(world: World) -> None:
    sublot = world.stock()
    for certainty in ("unproven", "proven", "uncertain"):
        with world.unit() as u:
            lots.place_hold(
                u, sublot_id=sublot, kind="exposure", reason="warm", since_at=NOON, certainty=certainty, excursion_id=3
            )
    with world.unit() as u:
        assert [(h.certainty, h.excursion_id) for h in lots.open_holds(u, sublot_id=sublot)] == [("proven", 3)]


def test_genealogy_has_no_circles(world: World) -> None:
    a = world.stock(10)
    b = made_of(world, a, "b", 1)
    c = made_of(world, b, "c", 2)
    with pytest.raises(Invalid), world.unit() as u:
        lots.link(u, c, c, "work_order:9", Decimal(1))
    for parent, child in ((c, a), (b, a)):
        with pytest.raises(DBAPIError), world.unit(now=NOON + timedelta(hours=3)) as u:
            lots.link(u, parent, child, "work_order:9", Decimal(1))


def test_two_halves_of_a_circle_at_once(world: World) -> None:
    a, d = world.stock(10, number="a"), world.stock(10, number="d")
    b, c = made_of(world, d, "b", 1), made_of(world, a, "c", 1)
    # d→b and a→c exist; b→a and c→d together close the circle d→b→a→c→d.
    failures: list[str] = []
    gate = threading.Barrier(2)

    def link(parent: int, child: int) -> None:
        try:
            with world.unit(now=NOON + timedelta(hours=3)) as u:
                gate.wait()
                lots.link(u, parent, child, "work_order:2", Decimal(1))
                time.sleep(0.2)
        except DBAPIError as error:
            failures.append(str(getattr(error.orig, "sqlstate", "")))

    threads = [threading.Thread(target=link, args=pair) for pair in ((b, a), (c, d))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == ["LW003"]


def test_a_child_of_held_stock_cannot_be_born_free_in_sql(world: World) -> None:
    parent, child = world.stock(number="p"), world.stock(number="c")
    with world.unit() as u:
        lots.place_hold(u, sublot_id=parent, kind="manual", reason="r", since_at=NOON)
    with pytest.raises(DBAPIError) as refused, world.engine.begin() as conn:
        conn.execute(
            text("INSERT INTO genealogy (parent_id, child_id, transformation, amount, at) VALUES (:p, :c, 'x', 1, :t)"),
            {"p": parent, "c": child, "t": NOON},
        )
    assert getattr(refused.value.orig, "sqlstate", None) == "LW001"


REWRITES = (
    "UPDATE hold SET reason = 'nothing' WHERE id = :h",
    "UPDATE hold SET sublot_id = sublot_id + 1 WHERE id = :h",
    "UPDATE hold SET since_at = now() WHERE id = :h",
    "UPDATE hold SET certainty = 'unproven' WHERE id = :h",
    "UPDATE hold SET lift_permit = 'read' WHERE id = :h",
    "UPDATE hold SET lifted_at = now() WHERE id = :h",
    "UPDATE hold SET excursion_id = 5 WHERE id = :h",
    "DELETE FROM hold WHERE id = :h",
    "TRUNCATE hold",
)


def test_a_hold_is_not_rewritten(world: World) -> None:
    sublot = world.stock()
    with world.unit() as u:
        hold = lots.place_hold(u, sublot_id=sublot, kind="exposure", reason="r", since_at=NOON, certainty="proven")[0]
    for sql in REWRITES:
        with pytest.raises(DBAPIError), world.engine.begin() as conn:
            conn.execute(text(sql), {"h": hold.id} if ":h" in sql else {})
    with world.unit(QA) as u:
        lots.lift_hold(u, hold.id or 0, "done")
    with pytest.raises(DBAPIError), world.engine.begin() as conn:
        conn.execute(text("UPDATE hold SET lifted_at = NULL, lifted_by = NULL WHERE id = :h"), {"h": hold.id})


def test_a_thousand_in_two_rooms(world: World) -> None:
    whole = world.stock(1000)
    with world.unit() as u:
        part = lots.split(u, whole, Decimal(400)).id
        assert part is not None
    with world.unit(now=NOON + timedelta(minutes=9)) as u:
        since = NOON + timedelta(minutes=1)
        lots.place_hold(u, sublot_id=whole, kind="exposure", reason="room A was warm", since_at=since)
    with pytest.raises(Refused, match="insufficient"), world.unit(WAREHOUSE) as u:
        lots.move(u, part, Decimal(401), "customer", purpose="sale", reference="r")
    with pytest.raises(Refused, match="held"), world.unit(WAREHOUSE) as u:
        lots.move(u, whole, Decimal(1), "customer", purpose="sale", reference="r")
    with world.unit(WAREHOUSE) as u:
        lots.move(u, part, Decimal(400), "customer", purpose="sale", reference="r")


def test_two_sell_the_same_stock_once(world: World) -> None:
    sublot = world.stock(10)
    outcome: list[str] = []
    gate = threading.Barrier(4)

    def sell() -> None:
        gate.wait()
        try:
            world.run(lambda u: lots.move(u, sublot, Decimal(6), "customer", purpose="sale", reference="r"))
            outcome.append("sold")
        except Refused:
            outcome.append("refused")

    threads = [threading.Thread(target=sell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome) == ["refused"] * 3 + ["sold"]


def test_hold_and_dispatch_race_one_way_or_the_other(world: World) -> None:
    for turn in range(6):
        sublot = world.stock(10, number=f"T{turn}")
        gate, order = threading.Barrier(2), list[str]()

        def sell(
            sublot: int = sublot, gate: threading.Barrier = gate, order: list[str] = order, turn: int = turn
        ) -> None:
            gate.wait()
            time.sleep(0.002 * (turn % 3))
            try:
                with world.unit() as u:
                    lots.move(u, sublot, Decimal(10), "customer", purpose="sale", reference="r")
                    order.append("sold")
            except Refused:
                pass

        def hold(sublot: int = sublot, gate: threading.Barrier = gate, order: list[str] = order) -> None:
            gate.wait()
            with world.unit() as u:
                lots.place_hold(u, sublot_id=sublot, kind="exposure", reason="warm", since_at=NOON)
                order.append("held")

        threads = [threading.Thread(target=sell), threading.Thread(target=hold)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert order in (["held"], ["sold", "held"]), "nothing is sold once it is held"


def test_a_split_that_races_a_hold_is_held_too(world: World) -> None:
    for turn in range(4):
        sublot = world.stock(10, number=f"r{turn}")
        gate, parts = threading.Barrier(2), list[int]()

        def split(sublot: int = sublot, gate: threading.Barrier = gate, parts: list[int] = parts) -> None:
            gate.wait()
            parts.append(world.run(lambda u: lots.split(u, sublot, Decimal(4)).id or 0))

        def hold(sublot: int = sublot, gate: threading.Barrier = gate) -> None:
            gate.wait()
            world.run(
                lambda u: lots.place_hold(
                    u, sublot_id=sublot, kind="exposure", reason="w", since_at=NOON - timedelta(hours=1)
                )
            )

        threads = [threading.Thread(target=split), threading.Thread(target=hold)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert held(world, sublot, *parts) == [True, True]


def test_four_hundred_at_once(world: World) -> None:
    with world.unit() as u:
        lot = lots.create_lot(u, world.vial, "many").id
        u.conn.execute(
            text(
                "INSERT INTO sublot (code, lot_id, state, zone_id, created_at) "
                "SELECT 'M' || n, :lot, 'quarantine', :zone, :now FROM generate_series(1, 400) n"
            ),
            {"lot": lot, "zone": world.cold, "now": NOON},
        )
        ids = list(u.conn.execute(text("SELECT id FROM sublot WHERE lot_id = :l ORDER BY id"), {"l": lot}).scalars())
    start = time.perf_counter()
    with world.unit() as u:
        placed = lots.place_holds(
            u,
            [
                lots.NewHold(
                    kind="exposure", reason="warm", since_at=NOON, sublot_id=s, certainty="proven", excursion_id=n
                )
                for n, s in enumerate(ids, 1)
            ],
        )
    taken = time.perf_counter() - start
    assert [hold.sublot_id for hold in placed] == ids
    assert len(placed) == len({hold.id for hold in placed}) == 400
    assert len([e for e in world.seen if isinstance(e, HoldPlaced)]) == 1
    with world.unit() as u:
        counts = [
            u.conn.execute(text(f"SELECT count(*) FROM {t} WHERE {w}")).scalar_one()
            for t, w in (
                ("hold", "true"),
                ("audit", "action = 'hold.place'"),
                ("outbox", "topic = 'hold.placed'"),
            )
        ]
    assert counts == [400] * 3
    print(f"400 holds in {taken:.3f} s")
