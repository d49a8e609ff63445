"""Gateways that cut batches, and a judge that writes down what it is given."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Engine, text

from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit, system, transact
from core.ingest.transaction import IngestCounts, IngestTransaction, StreamMessage
from core.telemetry.address import partition_of, zone_of
from core.telemetry.batch import Announced, Body, Gap, Header, PreviousEpoch, Watermark, digest, encode_body, pack
from core.telemetry.reading import Reading

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ZONE = "north/cold/room-1"
POINT = f"{ZONE}/probe_1/temperature"
PARTITION = partition_of(ZONE)
S = timedelta(seconds=1)


def reading(seconds: float, value: float | bool | str = 4.0, point: str = POINT, unit: str = "Cel") -> Reading:
    at = AT + seconds * S
    return Reading(point=point, at=at, value=value, unit=unit, edge_at=at)


def mark(seconds: float, zones: tuple[str, ...] = (ZONE,), source: str = "probes") -> Watermark:
    return Watermark(source, AT + seconds * S, zones)


@dataclass
class Gateway:
    """Cuts batches as a spool does: numbers without holes, number 1 names the epoch before."""

    name: str = "gw-1"
    epoch: str = "e1"
    previous: PreviousEpoch | None = None
    numbers: dict[int, int] = field(default_factory=dict)
    now: datetime | None = None
    """When it cuts; the last reading's time if not said."""
    announced: Announced | None = None

    def cut(
        self,
        readings: Sequence[Reading] = (),
        watermarks: Sequence[Watermark] = (),
        gaps: Sequence[Gap] = (),
        *,
        partition: int | None = None,
        kind: str = "readings",
    ) -> StreamMessage:
        if partition is None:
            partition = partition_of(zone_of(readings[0].point)) if readings else PARTITION
        number = self.numbers[partition] = self.numbers.get(partition, 0) + 1
        body = Body(tuple(readings), tuple(watermarks), tuple(gaps))
        if number == 1:
            body = msgspec.structs.replace(body, previous=self.previous, announced=self.announced)
        return self.carry(partition, number, encode_body(body), readings, kind)

    def carry(
        self, partition: int, number: int, raw: bytes, readings: Sequence[Reading] = (), kind: str = "readings"
    ) -> StreamMessage:
        times = [r.at for r in readings]
        header = Header(
            gateway=self.name,
            site="north",
            epoch=self.epoch,
            partition=partition,
            number=number,
            kind=kind,  # type: ignore[arg-type]  # also kinds that there are not
            sha256=digest(raw),
            count=len(times),
            first_at=min(times, default=None),
            last_at=max(times, default=None),
            cut_at=self.now or max(times, default=AT),
        )
        return StreamMessage(partition, pack(header, raw))

    def restart(self, epoch: str, *sources: str) -> "Gateway":
        """The next start of its spool, under a configuration that names these sources; none: it does not say."""
        announced = Announced(f"config of {epoch}", sources) if sources else None
        return Gateway(self.name, epoch, PreviousEpoch(self.epoch, dict(self.numbers)), announced=announced)


@dataclass
class RecordingJudge:
    """A judge that keeps what it was given, and fails on the points in `poison`."""

    readings: list[Reading] = field(default_factory=list)
    conflicts: list[tuple[Reading, Reading]] = field(default_factory=list)
    watermarks: list[tuple[str, Watermark]] = field(default_factory=list)
    gaps: list[tuple[str, Gap]] = field(default_factory=list)
    poison: frozenset[str] = frozenset()

    def fold(
        self,
        u: Unit,  # noqa: ARG002 - the port's
        readings: Sequence[Reading],
        conflicts: Sequence[tuple[Reading, Reading]],
        watermarks: Sequence[tuple[str, Watermark]],
        gaps: Sequence[tuple[str, Gap]],
    ) -> None:
        if any(r.point in self.poison for r in readings):
            raise ZeroDivisionError("the judge has a bug")
        self.readings += readings
        self.conflicts += conflicts
        self.watermarks += watermarks
        self.gaps += gaps


def add_points(engine: Engine, addresses: Sequence[str] = (POINT,), unit: str = "Cel") -> None:
    """Zones and points of the catalog, one row each."""
    with engine.begin() as conn:
        for address in addresses:
            zone = zone_of(address)
            conn.execute(
                text(
                    "INSERT INTO zone (site_id, address, name, kind, accepts_held, band_delay, band_hysteresis, "
                    "allowed_gap, simulated) VALUES (1, :a, :a, 'room', false, '0', 0, '30 min', false) "
                    "ON CONFLICT DO NOTHING"
                ),
                {"a": zone},
            )
            conn.execute(
                text(
                    "INSERT INTO point (zone_id, address, quantity, unit, role) "
                    "SELECT id, :a, :q, :u, 'required' FROM zone WHERE address = :z ON CONFLICT DO NOTHING"
                ),
                {"a": address, "q": address.rpartition("/")[2], "u": unit, "z": zone},
            )


def fold(
    engine: Engine, folder: IngestTransaction, *messages: StreamMessage, now: datetime | None = None
) -> IngestCounts:
    """One transaction of the ingest."""
    return transact(engine, system("ingest"), Events(), lambda u: folder.run(u, messages), now or AT + 3600 * S)


_numbers = itertools.count(1)


def zone_in(partition: int) -> str:
    """An address of a zone in the partition."""
    for number in itertools.count(1):
        zone = f"north/cold/z{number}"
        if partition_of(zone) == partition:
            return zone
    raise AssertionError("unreachable")


def fingerprint(engine: Engine) -> str:
    """A hash of all landed readings and conflicts, whatever their order and batch."""
    with engine.connect() as conn:
        rows = conn.execute(
            text(
                "SELECT p.address, r.at, r.num, r.whole, r.kind, r.txt, r.unit, r.quality FROM reading r "
                "JOIN series_point p ON p.id = r.point_id ORDER BY 1, 2"
            )
        ).all()
    return hashlib.sha256(repr(rows).encode()).hexdigest()
