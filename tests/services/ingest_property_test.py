"""Whatever order batches come in, however often, in whatever company: the same rows, the same progress."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from core.ingest.transaction import IngestTransaction, StreamMessage
from core.telemetry.reading import Reading
from tests.services.ingest_support import (
    AT,
    PARTITION,
    ZONE,
    Gateway,
    RecordingJudge,
    S,
    add_points,
    fold,
    mark,
    reading,
)

_examples = itertools.count(1)

# each batch's readings as (second, value): few seconds and values, so that batches repeat and contradict each other
BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=6), min_size=1, max_size=8)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[list[tuple[int, int]]], int, list[list[int]]]:
    """Batches, how many of them before the gateway's restart, and transactions of batch indices, each at least once."""
    batches = draw(BATCHES)
    order = draw(st.permutations(range(len(batches))))
    extra = draw(st.lists(st.sampled_from(range(len(batches))), max_size=5))
    stream = draw(st.permutations([*order, *extra]))
    cuts = sorted(draw(st.sets(st.integers(1, len(stream)), max_size=4)) | {0, len(stream)})
    return batches, draw(st.integers(0, len(batches))), [list(stream[a:b]) for a, b in itertools.pairwise(cuts)]


def values(engine: Engine, point: str) -> dict[datetime, set[float]]:
    """Every value known at each time of a point, the standing and the second ones."""
    found: defaultdict[datetime, set[float]] = defaultdict(set)
    with engine.connect() as conn:
        for table in ("reading", "reading_conflict"):
            rows = conn.execute(
                text(f"SELECT r.at, r.num FROM {table} r JOIN series_point p ON p.id = r.point_id WHERE address = :p"),
                {"p": point},
            )
            for at, number in rows:
                found[at].add(number)
    return dict(found)


def cut(batches: Sequence[Sequence[Reading]], before_restart: int, name: str) -> list[StreamMessage]:
    gateway = Gateway(name)
    made = []
    for index, some in enumerate(batches):
        if index == before_restart:
            gateway = gateway.restart("e2") if gateway.numbers else Gateway(name, "e2")
        made.append(gateway.cut(some, [mark(100 + index)], partition=PARTITION))
    return made


def test_any_delivery_ends_the_same(engine: Engine) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(deliveries())
    def check(delivery: tuple[list[list[tuple[int, int]]], int, list[list[int]]]) -> None:
        batches, before_restart, transactions = delivery
        name = f"gw-{next(_examples)}"
        point = f"{ZONE}/{name}/temperature"
        add_points(engine, [point])
        made = [[reading(second, float(value), point) for second, value in some] for some in batches]
        carried = cut(made, before_restart, name)
        judge = RecordingJudge()
        ingest = IngestTransaction(judge=judge, live=False)
        for some in transactions:
            fold(engine, ingest, *[carried[index] for index in some])

        expected: defaultdict[datetime, set[float]] = defaultdict(set)
        for each in itertools.chain.from_iterable(made):
            assert isinstance(each.value, float)
            expected[each.at].add(each.value)
        assert values(engine, point) == dict(expected)
        # the judge was given each key once, and every second value as a conflict
        assert sorted(r.at for r in judge.readings) == sorted(expected)
        judged: defaultdict[datetime, set[object]] = defaultdict(set)
        for each in [*judge.readings, *[second for _, second in judge.conflicts]]:
            judged[each.at].add(each.value)
        assert judged == expected
        # all confirmed, the last watermark counts, nothing waits
        assert max(m.upto for _, m in judge.watermarks) == AT + (99 + len(batches)) * S
        with engine.connect() as conn:
            through = conn.execute(
                text("SELECT sum(through) FROM batch_progress WHERE gateway = :g"), {"g": name}
            ).scalar_one()
            waiting = conn.execute(
                text("SELECT count(*) FROM pending_watermark WHERE gateway = :g"), {"g": name}
            ).scalar_one()
        assert (through, waiting) == (len(batches), 0)

    check()
