"""The spool against a model: whatever is kept, cut, sent, confirmed, dropped and interrupted, in any order."""

import os
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.telemetry.batch import Confirmed, ConfirmReply, decode_body, digest
from edge.spool import SentMark, SpoolOptions, cursors, sending
from edge.spool.epochs import begin_epoch
from edge.spool.records import RawRow
from edge.spool.retention import prune
from edge.spool.schema import open_spool
from edge.spool.store import Rows
from tests.services.edge_readings import numbers, reading

OPTIONS = SpoolOptions(batch_readings=4, keep_confirmed=timedelta(hours=1))
ZONES = 3


class SpoolMachine(RuleBasedStateMachine):
    """Transactions on the real file; a model of which reading is where; a core that may forget."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.next = 0
        self.kept: set[int] = set()
        self.dropped: set[int] = set()
        self.core: dict[tuple[str, int, int], bytes] = {}
        self.floor = 0
        self.sequence = 0

    @initialize()
    def start(self) -> None:
        self.rows = Rows(open_spool(Path(self.folder.name), self.now), "gw", "plant", OPTIONS)
        self._in(lambda: begin_epoch(self.rows, self.now))

    def _in(self, what: object) -> None:
        self.rows.db.execute("BEGIN IMMEDIATE")
        assert callable(what)
        what()
        self.rows.db.execute("COMMIT")

    @rule(count=st.integers(1, 9), cut=st.booleans())
    def keep(self, count: int, cut: bool) -> None:
        fresh = list(range(self.next, self.next + count))
        self.next += count
        raw = RawRow([reading(n, zones=ZONES) for n in fresh])
        if cut:
            self._in(lambda: self.rows.cut({}, self.now, raw))
        else:
            body = msgspec.msgpack.encode(raw)
            self._in(lambda: self.rows.keep_raw(body))
            self.rows.add_raw(raw, len(body))
        self.kept.update(fresh)

    @rule()
    def cut(self) -> None:
        self._in(lambda: self.rows.cut({0: []}, self.now))

    @rule(count=st.integers(1, 5), then=st.sampled_from(["keep", "cut", "confirm"]))
    def interrupted_before_the_commit(self, count: int, then: str) -> None:
        fresh = range(self.next, self.next + count)
        self.next += count
        raw = RawRow([reading(n, zones=ZONES) for n in fresh])
        self.rows.db.execute("BEGIN IMMEDIATE")
        if then == "keep":
            self.rows.keep_raw(msgspec.msgpack.encode(raw))
        elif then == "cut":
            self.rows.cut({}, self.now, raw)
        else:
            asks = cursors.outstanding(self.rows)
            reply = ConfirmReply(tuple(Confirmed(a.epoch, a.partition, a.upto, ()) for a in asks), "s", {})
            cursors.settle(self.rows, asks, reply, {}, self.now)
        self.rows.db.execute("ROLLBACK")
        self.rows.load(self.rows.epoch_id, self.now)

    @rule()
    def killed_and_started(self) -> None:
        self.rows.db.close()
        self.start()

    @rule(count=st.integers(1, 6), arrives=st.booleans())
    def send(self, count: int, arrives: bool) -> None:
        marks = []
        for batch in sending.unsent(self.rows, count, frozenset(), self.now):
            self.sequence += 1
            marks.append(SentMark(batch.row, batch.attempt, self.sequence, "s"))
            header = batch.header
            assert digest(batch.body) == header.sha256
            if arrives:
                self.core.setdefault((header.epoch, header.partition, header.number), batch.body)
                if header.kind == "tombstone":
                    assert decode_body(batch.body).gaps
        self._in(lambda: sending.mark_sent(self.rows, marks, self.now))

    @rule(believe=st.booleans())
    def confirm(self, believe: bool) -> None:
        self._ask(believe=believe)
        self.now += timedelta(minutes=10)

    def _ask(self, *, believe: bool) -> None:
        asks = [*cursors.outstanding(self.rows)]
        known = {(a.epoch, a.partition) for a in asks}
        asks += [a for a in cursors.replayable(self.rows) if (a.epoch, a.partition) not in known]
        answers = []
        for ask in asks:
            missing = [n for n in range(1, ask.upto + 1) if (ask.epoch, ask.partition, n) not in self.core]
            answers.append(Confirmed(ask.epoch, ask.partition, missing[0] - 1 if missing else ask.upto, tuple(missing)))
        floors = {a.partition: self.sequence for a in asks} if believe else {}
        self._in(lambda: cursors.settle(self.rows, asks, ConfirmReply(tuple(answers), "s", {}), floors, self.now))

    @rule(data=st.data())
    def the_core_is_restored(self, data: st.DataObject) -> None:
        if self.core:
            lost = data.draw(st.lists(st.sampled_from(sorted(self.core)), max_size=4))
            for name in lost:
                row = self._row(name)
                # what is past its replay window cannot come back; the core's backups are younger than that
                if row is not None and row[1]:
                    self.core.pop(name, None)
            self._ask(believe=False)

    @rule()
    def the_stream_is_another(self) -> None:
        self._in(lambda: cursors.lost_with_stream(self.rows, "s", 0, self.now + timedelta(seconds=1)))

    @rule(size=st.integers(1, 400))
    def the_bound_is_reached(self, size: int) -> None:
        before = self._readings_here()
        self._in(lambda: cursors.drop_oldest(self.rows, size, self.now))
        self.dropped |= before - self._readings_here()

    @rule()
    def time_passes(self) -> None:
        self.now += timedelta(minutes=40)
        self._in(lambda: prune(self.rows, self.now))

    def _row(self, name: tuple[str, int, int]) -> tuple[int, int] | None:
        found = self.rows.db.execute(
            "SELECT b.id, EXISTS (SELECT 1 FROM payload p WHERE p.batch = b.id) FROM batch b"
            " JOIN epoch e ON e.id = b.epoch WHERE e.epoch = ? AND b.partition = ? AND b.number = ?",
            name,
        ).fetchone()
        return None if found is None else (found[0], found[1])

    def _readings_here(self) -> set[int]:
        bodies = [decode_body(body) for (body,) in self.rows.db.execute("SELECT body FROM payload")]
        return {n for body in bodies for n in numbers(body)} | {int(str(r.value)[:-2]) for r in self.rows.pending}

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "rows"):
            return
        in_core = {n for body in self.core.values() for n in numbers(decode_body(body))}
        assert self.kept <= self._readings_here() | in_core | self.dropped
        assert self._readings_here() <= self.kept

    @invariant()
    def numbers_have_no_holes(self) -> None:
        if not hasattr(self, "rows"):
            return
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for epoch, partition, first, last in self.rows.db.execute(
            "SELECT epoch, partition, first_number, last_number FROM fold UNION ALL"
            " SELECT epoch, partition, number, number FROM batch ORDER BY 1, 2, 3"
        ):
            found[epoch, partition].extend(range(first, last + 1))
        counters = {(e, p): n for e, p, n in self.rows.db.execute("SELECT epoch, partition, last FROM counter")}
        assert found == {name: list(range(1, last + 1)) for name, last in counters.items()}

    @invariant()
    def memory_is_a_copy_of_the_file(self) -> None:
        if not hasattr(self, "rows"):
            return
        rows = self.rows
        remembered = (
            rows.numbers,
            rows.pending,
            rows.raw_bytes,
            rows.kept_bytes,
            rows.open_batches,
            rows.open_readings,
            rows.open_bytes,
            rows.last_kept,
        )
        rows.load(rows.epoch_id, self.now)
        assert remembered == (
            rows.numbers,
            rows.pending,
            rows.raw_bytes,
            rows.kept_bytes,
            rows.open_batches,
            rows.open_readings,
            rows.open_bytes,
            rows.last_kept,
        )

    def teardown(self) -> None:
        if hasattr(self, "rows"):
            self.rows.db.close()
        self.folder.cleanup()


TestSpool = SpoolMachine.TestCase
HEAVY = os.environ.get("LOTWISE_TEST_HEAVY") == "1"
TestSpool.settings = settings(max_examples=300 if HEAVY else 25, stateful_step_count=60 if HEAVY else 30, deadline=None)
