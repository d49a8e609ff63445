"""Whatever is tried in whatever order: nothing below nothing, nothing out of nothing, nothing held leaves."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from tests.services.lots_world import NOON, World, build

STEP = st.tuples(
    st.sampled_from(
        ["move", "fact", "split", "merge", "reverse", "hold", "lift", "reserve", "consume", "found", "lost"]
    ),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(1, 60),
)


def _step(u: Unit, name: str, ids: list[int], first: int, second: int, amount: Decimal) -> None:
    one, two = ids[first % len(ids)], ids[second % len(ids)]
    last = u.conn.execute(text("SELECT max(id) FROM stock_move")).scalar_one()
    holds = lots.open_holds(u, sublot_id=one)
    reservation = u.conn.execute(text("SELECT max(id) FROM reservation")).scalar() or 0
    verbs: dict[str, Callable[[], object]] = {
        "move": lambda: lots.move(u, one, amount, "customer", purpose="sale", reference="r"),
        "fact": lambda: lots.post_fact(u, one, amount, "production", purpose="use", reference="r", at=NOON, reason="f"),
        "split": lambda: ids.append(lots.split(u, one, amount).id or 0),
        "merge": lambda: ids.append(lots.merge(u, [one, two, ids[0]]).id or 0),
        "reverse": lambda: lots.reverse(u, last - first, reason="x"),
        "hold": lambda: lots.place_hold(u, sublot_id=one, kind="manual", reason="h", since_at=NOON),
        "lift": lambda: [lots.lift_hold(u, hold.id or 0, "ok") for hold in holds],
        "reserve": lambda: lots.reserve(u, one, amount, "use", "work_order:1"),
        "consume": lambda: lots.consume(u, reservation - second),
        "found": lambda: lots.post_found(u, one, amount, at=NOON, reason="f"),
        "lost": lambda: lots.post_lost(u, one, amount, at=NOON, reason="l"),
    }
    verbs[name]()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, min_size=5, max_size=25), st.integers(0, 2**31))
def _explore(world: World, steps: list[tuple[str, int, int, int]], number: int) -> None:
    ids = [world.stock(100, number=f"P{number}-{id(steps)}")]
    for name, first, second, amount in steps:
        before = list(ids)
        try:
            with world.unit() as u:
                held = {s for s in ids if lots.open_holds(u, sublot_id=s)}
                top = u.conn.execute(text("SELECT COALESCE(max(id), 0) FROM stock_move")).scalar_one()
                _step(u, name, ids, first, second, Decimal(amount))
                left = u.conn.execute(
                    text(
                        "SELECT sublot_id FROM stock_move WHERE id > :top AND NOT fact AND target IN "
                        "('customer', 'production')"
                    ),
                    {"top": top},
                ).scalars()
                assert not held & set(left), "what is held does not leave"
        except LotwiseError as error:
            if error.status not in {404, 409, 422}:
                raise
            ids[:] = before
    with world.unit() as u:
        hands = lots.on_hand_by_sublot(u, ids)
        assert all(amount >= 0 for amount in hands.values())
        rows = u.conn.execute(
            text(
                "SELECT source, target, sum(amount) AS amount FROM stock_move WHERE sublot_id = ANY (:ids) "
                "GROUP BY source, target"
            ),
            {"ids": ids},
        ).all()
    flow = {(row.source, row.target): row.amount for row in rows}
    assert flow.get(("stock", "split"), 0) == flow.get(("split", "stock"), 0), "splits and merges make nothing"
    came = sum(amount for (source, target), amount in flow.items() if target == "stock" and source != "split")
    went = sum(amount for (source, target), amount in flow.items() if source == "stock" and target != "split")
    assert came - went == sum(hands.values())


def test_the_ledger_in_any_order(engine: Engine) -> None:
    world = build(engine)
    _explore(world)
