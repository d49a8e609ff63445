"""Rows of holds: what is asked for, what stands, and writing many of them at once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text

from core.erp.kernel.errors import Invalid
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept
from core.erp.lots.rules import stronger

LIFT_PERMITS = ("hold.lift", "batch.release", "logger.waive", "excursion.disposition")
"""The permits of which a hold names the one that lifts it."""


@dataclass(frozen=True, slots=True)
class NewHold:
    """A hold to be placed, on exactly one of lot, sublot and shipment. `since_at` is when its cause was so.

    `reason` is people's words, or what the system says.
    """

    kind: str
    reason: str | Message
    since_at: datetime
    lot_id: int | None = None
    sublot_id: int | None = None
    shipment_id: int | None = None
    certainty: str | None = None
    excursion_id: int | None = None
    lift_permit: str = "hold.lift"

    def __post_init__(self) -> None:
        if sum(x is not None for x in (self.lot_id, self.sublot_id, self.shipment_id)) != 1:
            raise Invalid("lots.hold_on_one_thing")
        if not self.text.strip():
            raise Invalid("lots.hold_without_reason")

    @property
    def text(self) -> str:
        """The reason as it is kept to be searched and compared: in English."""
        return kept(self.reason)[0]


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """A hold as its row stands (see model.Hold)."""

    id: int
    lot_id: int | None
    sublot_id: int | None
    shipment_id: int | None
    kind: str
    certainty: str | None
    reason: str
    reason_message: dict[str, Any] | None
    excursion_id: int | None
    origin_hold_id: int | None
    since_at: datetime
    placed_at: datetime
    placed_by: str
    lift_permit: str
    lifted_at: datetime | None
    lifted_by: str | None
    lift_reason: str | None


_ROW_COLUMNS = ", ".join(field.name for field in fields(PlacedHold))
_INSERT_TYPES = {
    "lot_id": "bigint",
    "sublot_id": "bigint",
    "shipment_id": "bigint",
    "kind": "text",
    "certainty": "text",
    "reason": "text",
    "reason_message": "jsonb",
    "excursion_id": "bigint",
    "origin_hold_id": "bigint",
    "since_at": "timestamptz",
    "placed_at": "timestamptz",
    "placed_by": "text",
    "lift_permit": "text",
}
# arrays, not a list of VALUES: hundreds of rows of parameters cost several times as much to parse as to insert
_INSERT = text(
    f"INSERT INTO hold ({', '.join(_INSERT_TYPES)}) SELECT * FROM unnest("  # noqa: S608 - our own columns
    f"{', '.join(f'CAST(:{name} AS {kind}[])' for name, kind in _INSERT_TYPES.items())}) RETURNING {_ROW_COLUMNS}"
)
_IDENTITY = ("lot_id", "sublot_id", "shipment_id", "kind", "reason", "excursion_id", "origin_hold_id", "since_at")


def hold_values(u: Unit, hold: NewHold) -> dict[str, Any]:
    """The row of a hold that nobody has inherited."""
    reason, message = kept(hold.reason)
    return {
        "lot_id": hold.lot_id,
        "sublot_id": hold.sublot_id,
        "shipment_id": hold.shipment_id,
        "kind": hold.kind,
        "certainty": hold.certainty,
        "reason": reason,
        "reason_message": message,
        "excursion_id": hold.excursion_id,
        "origin_hold_id": None,
        "since_at": hold.since_at,
        "placed_at": u.now,
        "placed_by": u.actor.login,
        "lift_permit": hold.lift_permit,
    }


def insert_holds(u: Unit, rows: Sequence[Mapping[str, Any]]) -> list[PlacedHold]:
    """Writes the holds, no two of which are the same, and answers them in order."""
    if not rows:
        return []
    given = {name: [row[name] for row in rows] for name in _INSERT_TYPES}
    given["reason_message"] = [None if one is None else json.dumps(one) for one in given["reason_message"]]
    made = u.conn.execute(_INSERT, given)
    found = {tuple(getattr(row, name) for name in _IDENTITY): PlacedHold(*row) for row in made}
    return [found[tuple(row[name] for name in _IDENTITY)] for row in rows]


HoldKey = tuple[Any, ...]


def hold_key(hold: NewHold | PlacedHold) -> HoldKey:
    """What makes two open holds the same one: the same thing, held for the same excursion, or for the same kind,
    reason and cause's time.
    """
    on = (hold.lot_id, hold.sublot_id, hold.shipment_id)
    if hold.excursion_id is not None:
        return (*on, hold.excursion_id)
    return (*on, hold.kind, hold.text if isinstance(hold, NewHold) else hold.reason, hold.since_at)


def open_direct_holds(u: Unit, wanted: Sequence[NewHold]) -> dict[HoldKey, PlacedHold]:
    """The open holds, none of them inherited, on what the wanted ones are on."""
    found: dict[HoldKey, PlacedHold] = {}
    for column in ("lot_id", "sublot_id", "shipment_id"):
        ids = sorted({value for hold in wanted if (value := getattr(hold, column)) is not None})
        if ids:
            rows = u.conn.execute(
                text(
                    f"SELECT {_ROW_COLUMNS} FROM hold WHERE {column} = ANY(:ids) AND lifted_at IS NULL"  # noqa: S608 - our own columns
                    " AND origin_hold_id IS NULL"
                ),
                {"ids": ids},
            )
            found.update({hold_key(hold): hold for hold in (PlacedHold(*row) for row in rows)})
    return found


# two statements: one with OR would look at every hold there is
_RAISE = tuple(
    text(
        "UPDATE hold h SET certainty = k.certainty FROM unnest(CAST(:ids AS bigint[]), CAST(:certainties AS text[]))"  # noqa: S608 - our own columns
        f" k(id, certainty) WHERE h.lifted_at IS NULL AND h.{column} = k.id"
    )
    for column in ("id", "origin_hold_id")
)


def upgrade_certainty(
    u: Unit, holds: Mapping[HoldKey, PlacedHold], wanted: Sequence[NewHold]
) -> dict[HoldKey, PlacedHold]:
    """The standing holds, each as sure as the surest that is wanted of it: proof upgrades, it does not add a second
    one. What was inherited from them grows with them.
    """
    after: dict[HoldKey, PlacedHold] = {}
    for hold in wanted:
        key = hold_key(hold)
        if key in holds:
            current = after.get(key, holds[key])
            after[key] = replace(current, certainty=stronger(current.certainty, hold.certainty))
    raise_certainty(u, {hold.id: (holds[key].certainty, hold.certainty) for key, hold in after.items()})
    return after


def raise_certainty(u: Unit, changes: Mapping[int, tuple[str | None, str | None]]) -> None:
    """Writes (before, after) by hold where they differ; what was inherited goes along."""
    grown = {hold: (before, now) for hold, (before, now) in changes.items() if before != now}
    if not grown:
        return
    given = {"ids": list(grown), "certainties": [now for _, now in grown.values()]}
    for statement in _RAISE:
        u.conn.execute(statement, given)
    for hold, (before, now) in grown.items():
        u.audit("hold.upgrade", "hold", hold, before={"certainty": before}, after={"certainty": now})
        u.outbox("hold.upgraded", hold, {"hold_id": hold, "from": before, "to": now})
