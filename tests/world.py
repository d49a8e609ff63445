"""A small plant for tests of the judge and of what follows from it: zones, points, items, lots, and time by hand."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from core.erp.catalog.model import (
    Calibration,
    Installation,
    Item,
    ItemProfile,
    Point,
    ProfileLimit,
    ProfileVersion,
    Sensor,
    Site,
    StorageProfile,
    Zone,
)
from core.erp.custody import handlers as custody_handlers
from core.erp.custody import service as custody
from core.erp.exposure import handlers as exposure_handlers
from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.events import Events
from core.erp.kernel.signatures import Signing, prove
from core.erp.kernel.unit import Actor, Unit, system, transact
from core.erp.lots import service as lots
from core.erp.lots.model import Sublot
from core.erp.quality import handlers as quality_handlers
from core.series.landing import land
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading

T = TypeVar("T")
DAY = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

RELEASE = text("""
    WITH act AS (INSERT INTO batch_release (sublot_id, at, automatic, record) VALUES (:id, now(), true, '{}'))
    UPDATE sublot SET state = 'released' WHERE id = :id
""")
"""A release as the database asks for one, without its ceremony."""

OVER_8_FOR_60 = ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=HOUR)


def at(clock: str, day: int = 0) -> datetime:
    """02:30 (or 02:30:15) on the test's day, UTC."""
    parts = [int(part) for part in clock.split(":")]
    return DAY + timedelta(days=day, hours=parts[0], minutes=parts[1], seconds=parts[2] if len(parts) > 2 else 0)


def signed(
    engine: Engine,
    events: Events,
    actor: Actor,
    signing: Signing[T],
    password: str,
    now: datetime,
    *,
    login: str | None = None,
) -> T:
    """What a door does with an act of signing."""
    actor.need(signing.permit)
    proof = prove(engine, actor, signing.act, password, login=login, now=now)
    return transact(engine, actor, events, lambda u: signing.work(u, proof), now)


class World:
    """Everything is posted through the services; `now` is handed in by the test."""

    def __init__(self, engine: Engine, events: Events) -> None:
        self.engine = engine
        self.events = events
        self.judge = Judge()
        self.now = at("00:00")
        self.site = self._add(Site(code="S1", name="Site 1"))
        self._serial = 0

    def do(self, work: Callable[[Unit], T], *, now: datetime | None = None, actor: Actor | None = None) -> T:
        """Runs work in one transaction at a time."""
        return transact(self.engine, actor or system("test"), self.events, work, now or self.now)

    def sign(self, actor: Actor, signing: Signing[T], password: str, *, now: datetime | None = None) -> T:
        """As a door does it: permit, password and login, then the transaction."""
        return signed(self.engine, self.events, actor, signing, password, now or self.now, login=actor.login)

    def _add(self, row: SQLModel) -> int:
        def work(u: Unit) -> int:
            u.session.add(row)
            u.session.flush()
            return row.id  # type: ignore[attr-defined, no-any-return]  # every table has an id

        return self.do(work)

    def _number(self) -> int:
        self._serial += 1
        return self._serial

    def zone(self, name: str, *, points: Sequence[str] = ("p1",), gap: timedelta = 30 * MINUTE, **more: Any) -> int:
        """A zone s1/a/NAME with required temperature points (`~` before a point's name makes it a spare)."""
        address = f"s1/a/{name}"
        zone = self._add(Zone(site_id=self.site, address=address, name=name, allowed_gap=gap, **more))
        for point in points:
            role = "spare" if point.startswith("~") else "required"
            self._add(
                Point(
                    zone_id=zone,
                    address=f"{address}/{point.strip('~')}/temperature",
                    quantity="temperature",
                    unit="Cel",
                    role=role,
                )
            )
        return zone

    def sensor(self, zone: str, point: str = "p1", *, done: datetime, due: datetime, **more: Any) -> int:
        """A calibrated sensor, installed at the point for ever."""
        sensor = self._add(Sensor(serial=f"SN-{self._number()}"))
        with self.engine.connect() as conn:
            point_id = conn.execute(
                text("SELECT id FROM point WHERE address = :a"), {"a": f"s1/a/{zone}/{point}/temperature"}
            ).scalar_one()
        self._add(Installation(sensor_id=sensor, point_id=point_id, from_at=DAY - timedelta(days=900)))
        self._add(Calibration(sensor_id=sensor, done_at=done, due_at=due, known_at=done, **more))
        return sensor

    def item(self, *limits: ProfileLimit, gap: timedelta = 30 * MINUTE, **more: Any) -> int:
        """An item with a profile of these limits."""
        number = self._number()
        profile = self._add(StorageProfile(code=f"P{number}", name=f"P{number}"))
        version = self._add(ProfileVersion(profile_id=profile, version=1, allowed_gap=gap, created_at=DAY, **more))
        for limit in limits:
            values = limit.model_dump(exclude={"id", "version_id"})
            self._add(ProfileLimit(version_id=version, **values))
        item = self._add(Item(code=f"I{number}", name=f"I{number}", profile_id=profile))
        self._add(ItemProfile(item_id=item, version_id=version, from_at=DAY - timedelta(days=900)))
        return item

    def lot(self, item: int) -> int:
        """A lot without expiry."""
        lot = self.do(lambda u: lots.create_lot(u, item, f"L{self._number()}"))
        return lot.id

    def sublot(
        self, item: int, zone: int, since: datetime, amount: int = 100, lot: int | None = None, *, released: bool = True
    ) -> int:
        """Received into the zone at a time (known then); released at once, unless it is to stay in quarantine."""
        lot_id = lot or self.lot(item)

        def work(u: Unit) -> int:
            made = lots.receive(u, lot_id, Decimal(amount), zone)
            return made.id

        sublot = self.do(work, now=since)
        if released:
            with self.engine.begin() as conn:
                conn.execute(RELEASE, {"id": sublot})
        return sublot

    def put(self, sublot: int, zone: int | None, when: datetime, *, known: datetime | None = None) -> None:
        """A custody fact."""
        self.do(lambda u: custody.record_location(u, sublot, zone, when), now=known or when)

    def feed(
        self,
        zone: str,
        values: Iterable[tuple[datetime, float]],
        *,
        point: str = "p1",
        quality: Quality = Quality.GOOD,
        now: datetime | None = None,
        upto: datetime | None = None,
        gateway: str = "g1",
    ) -> None:
        """One fold: readings of a point and, with `upto`, its source's watermark."""
        address = f"s1/a/{zone}/{point}/temperature"
        reason = Reason.NONE if quality is Quality.GOOD else Reason.DEVICE
        readings = [Reading(address, when, value, "Cel", when, None, quality, reason) for when, value in values]
        marks = [(gateway, Watermark("source", upto, (f"s1/a/{zone}",)))] if upto is not None else []
        last = max([r.at for r in readings] + ([upto] if upto else []), default=self.now)
        self.fold(readings, marks, now=now or max(self.now, last))

    def fold(self, readings: Sequence[Reading], marks: Sequence[tuple[str, Watermark]], *, now: datetime) -> None:
        """Lands and judges in one transaction."""

        batch = self._number()  # each fold brings another: nothing has landed under it before

        def work(u: Unit) -> None:
            landed = land(u.conn, readings, [batch] * len(readings), u.now)
            new = [readings[index] for index in landed.new]
            self.judge.fold(u, new, [(first, second) for _, first, second in landed.conflicts], marks)

        self.do(work, now=now, actor=system("ingest"))
        self.now = max(self.now, now)

    def restart(self) -> None:
        """The ingest is killed and started again: what was in memory is gone."""
        self.judge = Judge()

    def excursions(self, sublot: int | None = None) -> list[tuple[int, str, datetime, datetime, str]]:
        """(sublot, limit, started, broke, certainty) of every excursion not superseded."""
        with self.engine.connect() as conn:
            rows = conn.execute(
                text(
                    "SELECT sublot_id, limit_key, started_at, broke_at, certainty FROM excursion"
                    " WHERE state <> 'superseded' AND (CAST(:s AS bigint) IS NULL OR sublot_id = :s)"
                    " ORDER BY sublot_id, limit_key, started_at"
                ),
                {"s": sublot},
            ).all()
        return [(r.sublot_id, r.limit_key, r.started_at, r.broke_at, r.certainty) for r in rows]

    def holds(self, sublot: int) -> list[str]:
        """Certainties (or kinds) of the open holds on a sublot."""
        with self.engine.connect() as conn:
            rows = conn.execute(
                text(
                    "SELECT coalesce(certainty, kind) AS c FROM hold"
                    " WHERE sublot_id = :s AND lifted_at IS NULL ORDER BY id"
                ),
                {"s": sublot},
            )
            return [row.c for row in rows]

    def obstacles(self, sublot: int, now: datetime, purpose: str = "sale") -> list[str]:
        """Kinds of what stands against taking the sublot."""
        return self.do(lambda u: [str(o.kind) for o in lots.movable(u, sublot, purpose)], now=now)

    def state(self, sublot: int) -> str:
        """The sublot's state."""
        return self.do(lambda u: u.session.get_one(Sublot, sublot).state)


def every(minutes: float, start: datetime, stop: datetime, value: float) -> list[tuple[datetime, float]]:
    """Readings of one value from start to stop, both included."""
    out, when = [], start
    while when <= stop:
        out.append((when, value))
        when += timedelta(minutes=minutes)
    return out


def judging_events() -> Events:
    """Custody, the judge and quality listen to each other, and nobody else does."""
    events = Events()
    for module in (custody_handlers, exposure_handlers, quality_handlers):
        module.register(events)
    return events


def judging(engine: Engine) -> World:
    """A world in which custody, the judge and quality listen to each other, and nobody else does."""
    return World(engine, judging_events())
