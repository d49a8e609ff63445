"""What is somebody's daily work: their tasks, receipts, picking, what leaves and arrives, work centres, the trail."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.scopes import mine
from core.erp.kernel.trail import review
from core.erp.kernel.unit import Unit
from core.erp.shipments.workflow import DISPATCHED, IN_TRANSIT, PICKED, PLANNED
from core.web.desks.front.needs import MOST, Found, Need, Row, ago, page_of, said
from core.web.desks.logistics.centres import dispatch_lists
from core.web.desks.logistics.queries import due_first
from core.web.frame.visit import Visit
from core.web.records.shown import named, referred_by

TODAY = timedelta(hours=24)
DESKS = {"deadline.audit_review": "/audit-desk"}
"""Where tasks lead that are not done at the record they are of."""


def tasks(u: Unit, visit: Visit) -> Found:
    """What is given to the reader, or free for a permit of theirs."""
    t = table(Task)
    wanted = select(t, func.count().over().label("total")).where(mine(u.actor))
    rows = [values_of(row) for row in u.conn.execute(wanted.order_by(t.c.due_at, t.c.id).limit(MOST))]
    return Found([_task(visit, row, u.now) for row in rows], rows[0]["total"] if rows else 0)


def _task(visit: Visit, row: Row, now: datetime) -> Need:
    words, late = visit.words, row["due_at"] < now
    return Need(
        "warn" if late else "wait",
        words.t("web.overdue") if late else words.label(f"state.task.{row['state']}"),
        _begins(words.say(said(row, "title"))),
        address_of(row["kind"], row["entity"], row["entity_id"]) or f"/tasks/{row['id']}",
        words.t("web.act_do" if visit.may("task.act") else "web.act_look"),
        row["assignee"] or "",
        words.t("web.due", at=row["due_at"]),
    )


def address_of(kind: str, entity: str | None, entity_id: int | None) -> str | None:
    """Where that is done which a task of this kind asks for, of that record; None where it is of none."""
    source = entities().get(entity or "")
    return DESKS.get(kind) or (f"/{source.path}/{entity_id}" if source is not None else None)


def asked_already(u: Unit, before: datetime) -> set[tuple[str, str, int]]:
    """(kind, entity, its id) of the reader's tasks that deadlines before then have opened."""
    c = table(Task).c
    wanted = select(c.kind, c.entity, c.entity_id).where(
        mine(u.actor), c.kind.startswith("deadline."), c.due_at < before
    )
    return {(row.kind, row.entity, row.entity_id) for row in u.conn.execute(wanted)}


def _begins(text: str) -> str:
    return text[:1].upper() + text[1:]


def receipt(visit: Visit, row: Row, _: datetime) -> Need:
    """Goods that are announced and have not come."""
    words, may = visit.words, visit.may("stock.receive")
    return Need(
        "wait",
        words.label(f"state.sublot.{row['state']}"),
        words.t("web.sublot_said", code=row["code"], item=row["item_code"], lot=row["lot_number"]),
        f"/sublots/{row['id']}/arrive" if may else f"/sublots/{row['id']}",
        words.label("move.sublot.arrive") if may else words.t("web.act_look"),
        words.t("web.announced_at", at=row["created_at"]),
        first=may,
    )


def reservations(u: Unit, visit: Visit) -> Found:
    """Goods that somebody counts on and that a hold has taken from them."""
    rows, total, capped = page_of(u, "reservation", state=["suspended"])
    words, goods = visit.words, _goods(u, visit, rows)
    word, act = words.label("state.reservation.suspended"), words.t("web.act_look")
    return Found(
        [
            Need(
                "hold",
                word,
                goods[row["id"]],
                f"/reservations/{row['id']}",
                act,
                aside=ago(visit, row["created_at"], u.now),
            )
            for row in rows
        ],
        total,
        capped,
    )


def stock_tasks(u: Unit, visit: Visit) -> Found:
    """What is to be put back, or taken from elsewhere, because of a hold."""
    rows, total, capped = page_of(u, "stock_task", open_only=True)
    words, goods = visit.words, _goods(u, visit, rows)
    act, first = words.t("web.act_do"), visit.may("stock.move", "stock.pick")
    return Found(
        [
            Need(
                "warn",
                words.t(f"choice.kind.{row['kind']}"),
                goods[row["id"]],
                f"/stock-tasks/{row['id']}",
                act,
                first=first,
            )
            for row in rows
        ],
        total,
        capped,
    )


def _goods(u: Unit, visit: Visit, rows: Sequence[Row]) -> dict[int, str]:
    """By row: how much of which sublot is meant for what, as people call them: `shipment:19` is shipment SO-24119."""
    wanted: dict[str, set[int]] = {"sublot": {row["sublot_id"] for row in rows}}
    for row in rows:
        if (referred := referred_by(row)) is not None:
            wanted.setdefault(referred[0], set()).add(referred[1])
    called = {key: text for name, ids in wanted.items() if ids for key, text in named(u, name, ids).items()}
    return {row["id"]: _amount(visit, row, called) for row in rows}


def _amount(visit: Visit, row: Row, called: Mapping[tuple[str, int], str]) -> str:
    words = visit.words
    referred = referred_by(row)
    known = called.get(referred) if referred is not None else None
    reference = row["reference"]
    if referred is not None and known is not None:
        reference = words.t("web.numbered", what=words.label(f"record.{referred[0]}"), number=known)
    sublot = called.get(("sublot", row["sublot_id"]), "")
    return words.t("web.goods_for", amount=words.num(row["amount"]), sublot=sublot, reference=reference)


def to_pick(u: Unit, visit: Visit) -> Found:
    """Shipments of which goods are to be fetched, first due first."""
    return _shipments(u, visit, (PLANNED,))


def under_way(u: Unit, visit: Visit) -> Found:
    """Shipments that are to leave or to arrive within a day, or should have."""
    return _shipments(u, visit, (PICKED, DISPATCHED, IN_TRANSIT), u.now + TODAY)


def _shipments(u: Unit, visit: Visit, states: tuple[str, ...], before: datetime | None = None) -> Found:
    rows = [row for row in due_first(u, states) if not row.held and not row.held_lines]
    soon = [row for row in rows if before is None or (row.due_at is not None and row.due_at < before)]
    total = page_of(u, "shipment", state=list(states))[1] if before is None else len(soon)
    return Found([_shipment(visit, row, u.now) for row in soon[:MOST]], total)


def _shipment(visit: Visit, row: Any, now: datetime) -> Need:
    words, late = visit.words, row.due_at is not None and row.due_at < now
    act, address, first = "web.act_look", f"/shipments/{row.id}", False
    if row.state == PICKED and visit.may("shipment.hand_over"):
        act, address, first = "move.shipment.hand_over", f"/shipments/{row.id}/hand-over", True
    return Need(
        "warn" if late else "wait",
        words.t("web.overdue") if late else words.label(f"state.shipment.{row.state}"),
        words.t("web.shipment_said", code=row.code, consignee=row.consignee),
        address,
        words.label(act),
        words.listed([words.t("web.lines_count", count=row.lines), *filter(None, [row.carrier or row.destination])]),
        words.t("web.due", at=row.due_at) if row.due_at else "",
        first=first,
    )


def work_centres(u: Unit, visit: Visit) -> Found:
    """Of each work centre what it runs, or what it should start next; one that is down, with the reason."""
    found = [need for one in dispatch_lists(u) if (need := _centre(visit, one, u.now)) is not None]
    return Found(found[:MOST], len(found))


def _centre(visit: Visit, one: Mapping[str, Any], now: datetime) -> Need | None:
    words, running = visit.words, one["running"]
    what = running or next(iter(one["entries"]), None)
    if what is None:
        return None
    called = words.t("web.operation_said", centre=one["name"], order=what["order_code"], name=what["name"])
    address = f"/operations/{what['operation_id']}"
    if running:
        return Need(
            "ok",
            words.label("state.work_order_operation.running"),
            called,
            f"{address}/finish",
            words.label("move.work_order_operation.finish"),
            aside=ago(visit, running["started_at"], now),
        )
    late = what["due_at"] is not None and what["due_at"] < now
    detail = f"{what['item']} {words.num(what['amount'])}"
    due = words.t("web.due", at=what["due_at"]) if what["due_at"] else ""
    if not one["up"]:
        return Need("hold", words.t("web.centre_down"), called, address, words.t("web.act_look"), detail, due)
    return Need(
        "warn" if late else "wait",
        words.t("web.overdue" if late else "web.starts_next"),
        called,
        f"{address}/start",
        words.label("move.work_order_operation.start"),
        detail,
        due,
        first=True,
    )


def letter(visit: Visit, row: Row, now: datetime) -> Need:
    """What came and could not be taken."""
    words = visit.words
    return Need(
        "warn",
        words.t(f"choice.kind.{row['kind']}"),
        words.say(said(row, "detail")),
        f"/dead-letters/{row['id']}",
        words.t("web.act_look"),
        words.listed([one for one in (row["gateway"], row["point"]) if one]),
        ago(visit, row["at"], now),
    )


def trail(u: Unit, visit: Visit) -> Found:
    """The first review of the audit trail; the next ones are tasks of whoever may review it."""
    if review.reviews(u, 1):
        return Found((), 0)
    words = visit.words
    what, act = words.t("web.trail_to_review"), words.t("web.act_review")
    return Found([Need("wait", words.t("web.trail_unreviewed"), what, "/audit-desk", act, first=True)], 1)
