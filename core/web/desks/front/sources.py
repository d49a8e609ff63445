"""The sources of the front page, in order of harm."""

from datetime import datetime, timedelta

from core.erp.kernel.unit import Unit
from core.web.desks.excursions.inbox import Waiting, inbox
from core.web.desks.front import work
from core.web.desks.front.alerts import alerts
from core.web.desks.front.needs import MOST, Found, Need, Row, Source, ago, listed, page_of, said
from core.web.desks.limits import broken_look
from core.web.frame.visit import Visit
from core.web.records.shown import spoken

SOON = timedelta(days=30)
WEEK = timedelta(days=7)
EXPECTED = "/sublots?state=expected"


def incidents(u: Unit, visit: Visit) -> Found:
    """Incidents of which something awaits a decision, as the excursion desk has them."""
    found, total = inbox(u, rows=MOST)
    return Found([_incident(visit, u, one) for one in found], total)


def _incident(visit: Visit, u: Unit, one: Waiting) -> Need:
    words = visit.words
    look, word = broken_look(one.certainty)
    if one.open and not one.endless:
        look, word = "harm", "web.still_out"
    act, first = words.t("web.act_open"), False
    if one.next == "assess" and visit.may("excursion.assess"):
        act, first = words.t("web.act_assess_some", count=one.ended or one.open), True
    elif one.next == "decide" and visit.may("excursion.disposition"):
        act, first = words.t("web.act_decide_some", count=one.assessed), True
    called = words.t("web.numbered", what=words.label("record.incident"), number=one.id)
    goods = [f"{row.item} {words.num(row.amount, row.uom)}" for row in one.goods]
    held, states = words.t("web.sublots_held", count=one.held), words.listed(one.states(words))
    parts = [one.reached(words), words.few(goods, 3), held, states]
    if one.stops:
        parts.append(f"{words.t('web.stops')} {words.few([stop.code for stop in one.stops], 3)}")
    return Need(
        look,
        words.t(word),
        words.t("web.incident_title", called=called, said=words.say(one.title)),
        one.address,
        act,
        " · ".join(parts),
        ago(visit, one.since, u.now),
        first=first,
    )


def alarms(u: Unit, visit: Visit) -> Found:
    """Alarms that nobody has acknowledged, of those that are not shelved."""
    rows, total, capped = page_of(u, "alarm", state=NOT_SEEN, shelved=False)
    names = spoken(u, "zone", {row["zone_id"] for row in rows})
    return Found(
        [_alarm(visit, {**row, "zone": names.get(("zone", row["zone_id"]), row["zone"])}, u.now) for row in rows],
        total,
        capped,
    )


def _alarm(visit: Visit, row: Row, now: datetime) -> Need:
    words = visit.words
    return Need(
        "harm" if row["state"] == "unacknowledged" else "warn",
        words.label(f"state.alarm.{row['state']}"),
        words.t("web.alarm_said", kind=words.t(f"choice.kind.{row['kind']}"), zone=row["zone"]),
        f"/alarms/{row['id']}",
        words.t("web.act_acknowledge" if visit.may("alarm.acknowledge") else "web.act_look"),
        words.t("web.alarm_value", value=words.measured(row["value"], "°C")) if row["value"] is not None else "",
        ago(visit, row["started_at"], now),
        first=visit.may("alarm.acknowledge"),
    )


def _shipment(visit: Visit, row: Row, _: datetime) -> Need:
    words = visit.words
    return Need(
        "hold",
        words.t("web.held"),
        words.t("web.shipment_said", code=row["code"], consignee=row["consignee"]),
        f"/shipments/{row['id']}",
        words.t("web.act_look"),
        words.label(f"state.shipment.{row['state']}"),
        words.t("web.due", at=row["due_at"]) if row["due_at"] else "",
    )


def _order(visit: Visit, row: Row, _: datetime) -> Need:
    words = visit.words
    return Need(
        "hold",
        words.label("state.work_order.held"),
        words.t("web.order_said", code=row["code"], item=row["item"]),
        f"/work-orders/{row['id']}",
        words.t("web.act_look"),
        words.say(said(row, "stopped_reason")) if row["stopped_reason"] else "",
        words.t("web.due", at=row["due_at"]) if row["due_at"] else "",
    )


def _release(visit: Visit, row: Row, now: datetime) -> Need:
    words = visit.words
    return Need(
        "hold" if row["held"] else "wait",
        words.t("web.held") if row["held"] else words.label("state.sublot.quarantine"),
        words.t("web.sublot_said", code=row["code"], item=row["item_code"], lot=row["lot_number"]),
        f"/sublots/{row['id']}/release" if visit.may("batch.release") else f"/sublots/{row['id']}",
        words.t("web.act_release" if visit.may("batch.release") else "web.act_look"),
        words.t("web.on_hand", amount=words.num(row["on_hand"])),
        ago(visit, row["created_at"], now),
        first=visit.may("batch.release") and not row["held"],
    )


def deadlines(u: Unit, visit: Visit) -> Found:
    """What ends within 30 days: certificates, calibrations and whatever else has a term; but what is a task already."""
    soon = u.now + SOON
    asked = work.asked_already(u, soon)
    rows, total, capped = page_of(u, "deadline", MOST + len(asked), due_at_before=soon, sort="due_at", state=["open"])
    left = [row for row in rows if (_task_kind(row), row["entity"], row["entity_id"]) not in asked]
    needs = [_deadline(visit, row, u.now) for row in left[:MOST]]
    return Found(needs, total - (len(rows) - len(left)), capped)


def _task_kind(row: Row) -> str:
    return f"deadline.{row['term']}"


def _deadline(visit: Visit, row: Row, now: datetime) -> Need:
    words, left = visit.words, row["due_at"] - now
    word = words.t("web.ends_in", span=words.lasting(left)) if left > timedelta(0) else words.t("web.overdue")
    return Need(
        "warn" if left < WEEK else "wait",
        word,
        words.say(said(row, "about")),
        work.address_of(_task_kind(row), row["entity"], row["entity_id"]) or f"/deadlines/{row['id']}",
        words.t("web.act_look"),
        aside=words.day(row["due_at"].astimezone(visit.zone).date()),
    )


NOT_SEEN = ["unacknowledged", "returned_unacknowledged"]
SHIPPING = ("shipment.dispatch", "shipment.report", "shipment.plan")
MAKING = ("production.report", "production.plan")
DECIDING = ("excursion.assess", "excursion.disposition")
SOURCES = (
    Source("web.need_incidents", ("quality.read",), incidents, "/excursions", own=DECIDING),
    Source("web.need_alerts", ("alert.take",), alerts, "/alerts?state=standing"),
    Source(
        "web.need_alarms",
        ("alarm.acknowledge", "alarm.shelve"),
        alarms,
        "/alarms",
    ),
    Source("web.need_shipments", SHIPPING, listed("shipment", _shipment, held=True), "/shipments?held=true"),
    Source(
        "web.need_orders", MAKING, listed("work_order", _order, state=["held", "blocked"]), "/work-orders?state=held"
    ),
    Source("web.need_centres", MAKING, work.work_centres, "/centres"),
    Source(
        "web.need_stock_tasks",
        ("stock.move", "stock.pick"),
        work.stock_tasks,
        "/stock-tasks",
    ),
    Source(
        "web.need_reservations",
        ("stock.reserve",),
        work.reservations,
        "/reservations?state=suspended",
    ),
    Source(
        "web.need_releases",
        ("batch.release", "lot.disposition"),
        listed("sublot", _release, state=["quarantine"]),
        "/release",
        own=("batch.release",),
    ),
    Source("web.need_tasks", ("task.read",), work.tasks, "/tasks"),
    Source("web.need_under_way", ("shipment.report",), work.under_way, "/logistics"),
    Source("web.need_picking", ("stock.pick",), work.to_pick, "/logistics"),
    Source("web.need_receipts", ("stock.receive",), listed("sublot", work.receipt, state=["expected"]), EXPECTED),
    Source("web.need_letters", ("ingest.manage",), listed("dead_letter", work.letter), "/dead-letters"),
    Source("web.need_trail", ("audit.review",), work.trail, "/audit-desk"),
    Source("web.need_deadlines", ("deadline.read",), deadlines, "/deadlines"),
)
"""In order of harm: goods that may be spoiled, rooms, what travels, what is made, what waits."""
