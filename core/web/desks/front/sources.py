"""The sources of the front page, in order of harm."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Sublot
from core.erp.quality.model import Excursion
from core.erp.quality.workflow import ASSESSED, ENDED, OPEN
from core.erp.shipments.model import ShipmentLine
from core.web.desks.front.needs import Found, Need, Source, ago, page_of, said
from core.web.frame.states import Tone
from core.web.frame.visit import Visit

_e, _s, _h, _l = table(Excursion).c, table(Sublot).c, table(Hold).c, table(ShipmentLine).c
SOON = timedelta(days=30)
WEEK = timedelta(days=7)
_RANKS = {"proven": 0, "uncertain": 1, "unproven": 2}
_BROKEN = ("web.broken_proven", "web.broken_uncertain", "web.broken_unproven")
"""By rank of certainty: what is said of excursions that have ended."""


def incidents(u: Unit, visit: Visit) -> Found:
    """Incidents of which something awaits a decision: what still goes on first, then by certainty and age."""
    rows, total, capped = page_of(u, "incident", undecided=True)
    parts = _parts(u, [row["id"] for row in rows])
    rows.sort(key=lambda row: (not parts[row["id"]]["open"], parts[row["id"]]["certainty"], row["started_at"]))
    return Found([_incident(visit, u, row, parts[row["id"]]) for row in rows], total, capped)


def _parts(u: Unit, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What each incident's undecided excursions are: their number, states, certainty and goods."""
    counted = (
        select(
            _e.incident_id,
            func.count().label("count"),
            func.count().filter(_e.state == OPEN).label("open"),
            func.count().filter(_e.state == ENDED).label("ended"),
            func.array_agg(_e.certainty.distinct()).label("certainties"),
            func.array_agg(_s.code.distinct()).label("codes"),
            func.min(_e.id).label("first"),
        )
        .join(table(Sublot), _s.id == _e.sublot_id)
        .where(_e.incident_id.in_(ids), _e.state.in_((OPEN, ENDED, ASSESSED)))
        .group_by(_e.incident_id)
    )
    return {
        row.incident_id: dict(row._mapping) | {"certainty": min(_RANKS[one] for one in row.certainties)}  # noqa: SLF001 - SQLAlchemy's public way to a row's dict
        for row in u.conn.execute(counted)
    }


def _incident(visit: Visit, u: Unit, row: dict[str, Any], part: dict[str, Any]) -> Need:
    words = visit.words
    look: Tone = "harm" if part["certainty"] == 0 or part["open"] else "warn"
    word = "web.still_out" if part["open"] else _BROKEN[part["certainty"]]
    act = "web.act_look" if part["open"] == part["count"] else "web.act_assess" if part["ended"] else "web.act_decide"
    if not visit.may("excursion.assess", "excursion.disposition"):
        act = "web.act_look"
    alone = part["count"] == 1
    shown, more = part["codes"][:4], len(part["codes"]) - 4
    goods = words.t("web.goods_of", codes=words.listed(shown), count=part["count"])
    if more > 0:
        goods = words.t("web.goods_of_more", codes=words.listed(shown), more=more, count=part["count"])
    return Need(
        look,
        words.t(word),
        words.t("web.incident_said", number=row["id"], what=words.say(said(row, "title"))),
        f"/excursions/{part['first']}" if alone else f"/incidents/{row['id']}",
        words.t(act),
        goods,
        ago(visit, row["started_at"], u.now),
        first=act != "web.act_look",
    )


def alarms(u: Unit, visit: Visit) -> Found:
    """Zone alarms that nobody has acknowledged."""
    rows, total, capped = page_of(u, "alarm", state=["unacknowledged", "returned_unacknowledged"], shelved=False)
    words = visit.words
    return Found(
        [
            Need(
                "harm" if row["state"] == "unacknowledged" else "warn",
                words.label(f"state.alarm.{row['state']}"),
                words.t("web.alarm_said", kind=words.t(f"choice.kind.{row['kind']}"), zone=row["zone"]),
                f"/alarms/{row['id']}",
                words.t("web.act_acknowledge" if visit.may("alarm.acknowledge") else "web.act_look"),
                words.t("web.alarm_value", value=words.num(row["value"], "°C")) if row["value"] is not None else "",
                ago(visit, row["started_at"], u.now),
                first=visit.may("alarm.acknowledge"),
            )
            for row in rows
        ],
        total,
        capped,
    )


def shipments(u: Unit, visit: Visit) -> Found:
    """Shipments that something holds."""
    rows, total, capped = page_of(u, "shipment", held=True)
    words = visit.words
    return Found(
        [
            Need(
                "hold",
                words.t("web.held"),
                words.t("web.shipment_said", code=row["code"], consignee=row["consignee"]),
                f"/shipments/{row['id']}",
                words.t("web.act_look"),
                words.label(f"state.shipment.{row['state']}"),
                words.t("web.due", at=row["due_at"]) if row["due_at"] else "",
            )
            for row in rows
        ],
        total,
        capped,
    )


def orders(u: Unit, visit: Visit) -> Found:
    """Work orders that are stopped."""
    rows, total, capped = page_of(u, "work_order", state=["held"])
    words = visit.words
    return Found(
        [
            Need(
                "hold",
                words.label("state.work_order.held"),
                words.t("web.order_said", code=row["code"], item=row["item"]),
                f"/work-orders/{row['id']}",
                words.t("web.act_look"),
                words.say(said(row, "stopped_reason")) if row["stopped_reason"] else "",
                words.t("web.due", at=row["due_at"]) if row["due_at"] else "",
            )
            for row in rows
        ],
        total,
        capped,
    )


def releases(u: Unit, visit: Visit) -> Found:
    """Sublots that wait in quarantine."""
    rows, total, capped = page_of(u, "sublot", state=["quarantine"])
    words = visit.words
    return Found(
        [
            Need(
                "hold" if row["held"] else "wait",
                words.t("web.held") if row["held"] else words.label("state.sublot.quarantine"),
                words.t("web.sublot_said", code=row["code"], item=row["item_code"], lot=row["lot_number"]),
                f"/sublots/{row['id']}",
                words.t("web.act_release" if visit.may("batch.release") else "web.act_look"),
                words.t("web.on_hand", amount=words.num(row["on_hand"])),
                ago(visit, row["created_at"], u.now),
                first=visit.may("batch.release") and not row["held"],
            )
            for row in rows
        ],
        total,
        capped,
    )


def stock_tasks(u: Unit, visit: Visit) -> Found:
    """What holds ask of the warehouse: goods to put back, reservations to allocate anew."""
    rows, total, capped = page_of(u, "stock_task", open_only=True)
    words = visit.words
    return Found(
        [
            Need(
                "warn",
                words.t(f"choice.kind.{row['kind']}"),
                words.t("web.stock_task_said", amount=words.num(row["amount"]), reference=row["reference"]),
                f"/stock-tasks/{row['id']}",
                words.t("web.act_do"),
                first=visit.may("stock.move"),
            )
            for row in rows
        ],
        total,
        capped,
    )


def tasks(u: Unit, visit: Visit) -> Found:
    """Tasks of the reader and of those who hold the same permits, the next due first."""
    rows, total, capped = page_of(u, "task", sort="due_at")
    words = visit.words
    return Found(
        [
            Need(
                "warn" if row["due_at"] < u.now else "wait",
                words.t("web.overdue") if row["due_at"] < u.now else words.label(f"state.task.{row['state']}"),
                words.say(said(row, "title")),
                f"/tasks/{row['id']}",
                words.t("web.act_do"),
                row["assignee"] or "",
                words.t("web.due", at=row["due_at"]),
            )
            for row in rows
        ],
        total,
        capped,
    )


def deadlines(u: Unit, visit: Visit) -> Found:
    """What ends within 30 days: certificates, calibrations and whatever else has a term."""
    rows, total, capped = page_of(u, "deadline", due_at_before=u.now + SOON, sort="due_at", state=["open"])
    return Found([_deadline(visit, u, row) for row in rows], total, capped)


def _deadline(visit: Visit, u: Unit, row: dict[str, Any]) -> Need:
    words, left = visit.words, row["due_at"] - u.now
    word = words.t("web.ends_in", span=words.lasting(left)) if left > timedelta(0) else words.t("web.overdue")
    return Need(
        "warn" if left < WEEK else "wait",
        word,
        words.say(said(row, "about")),
        f"/deadlines/{row['id']}",
        words.t("web.act_look"),
        aside=words.day(row["due_at"].astimezone(visit.zone).date()),
    )


SHIPPING = ("shipment.dispatch", "shipment.report", "shipment.plan")
SOURCES = (
    Source("web.need_incidents", ("quality.read",), incidents, "/excursions"),
    Source("web.need_alarms", ("alarm.acknowledge", "alarm.shelve"), alarms, "/alarms"),
    Source("web.need_shipments", SHIPPING, shipments, "/shipments?held=true"),
    Source("web.need_orders", ("production.report", "production.plan"), orders, "/work-orders?state=held"),
    Source("web.need_stock_tasks", ("stock.move", "stock.pick"), stock_tasks, "/stock-tasks"),
    Source("web.need_releases", ("batch.release", "lot.disposition"), releases, "/release"),
    Source("web.need_tasks", ("task.read",), tasks, "/tasks"),
    Source("web.need_deadlines", ("deadline.read",), deadlines, "/deadlines"),
)
"""In order of harm: goods that may be spoiled, rooms, what travels, what is made, what waits."""
