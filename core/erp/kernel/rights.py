"""What the running application may do to each table, and why: its role owns nothing.

`lotwise_owner` owns and migrates. `lotwise_app` runs: SELECT and INSERT everywhere, and beyond that only what stands
here, which a life cycle or housekeeping needs. It can alter nothing, switch off no trigger, truncate nothing; the
partitions of readings are made and dropped by two functions of the owner's. A table that is not named here is
append-only for it (schema.APPEND_ONLY has triggers besides, which bind the owner too) or kept (schema.KEPT: UPDATE).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

APP, OWNER = "lotwise_app", "lotwise_owner"
ALL = ("*",)


@dataclass(frozen=True, slots=True)
class Right:
    """Which columns may be updated (ALL: any), whether rows may be deleted, and why that is no hole."""

    update: tuple[str, ...]
    why: str
    delete: bool = False


RIGHTS: dict[str, Right] = {
    "hold": Right(("certainty", "lifted_at", "lifted_by", "lift_reason"), "lifted once, made surer (hold_guard)"),
    "restriction": Right(("lifted_at", "lifted_by"), "lifted once (trigger restriction_guard)"),
    "sublot": Right(("state", "zone_id", "handling_unit"), "goes its life cycle, stands elsewhere (sublot_cycle)"),
    "lot": Right(("expiry",), "its row is locked when its sublots are held; its identity stays (lot_identity)"),
    "excursion": Right(ALL, "grows until it is decided (excursion_cycle, excursion_guard)"),
    "deviation": Right(("state", "conclusion", "closed_by", "closed_at"), "is concluded (deviation_only)"),
    "incident": Right(ALL, "gets the end of its cause; never removed"),
    "shipment": Right(ALL, "goes its life cycle (shipment_cycle, shipment_guard)"),
    "work_order": Right(ALL, "goes its life cycle (work_order_cycle, work_order_guard)"),
    "field_action": Right(("state", "conclusion", "closed_at", "closed_by"), "is concluded; never removed"),
    "restoration": Right(("signature_id", "signed_at", "record"), "is signed once (restoration_once)"),
    "number_counter": Right(("last",), "a series goes on by one (number_counter_guard)"),
    "zone_nesting": Right(("to_at",), "a dated fact ends (zone_nesting_only)"),
    "installation": Right(("to_at",), "a dated fact ends (installation_only)"),
    "handling_unit_content": Right(("to_at",), "a dated fact ends (handling_unit_content_only)"),
    "dead_letter": Right(("replayed_at", "replayed_by", "outcome"), "is tried again; never removed"),
    "ingest_alarm": Right(("cleared_at",), "ends; never removed"),
    "outbox_task": Right(("attempts", "next_at", "done_at", "last_error"), "work in hand; what is told is in outbox"),
    "outbox_subscription": Right(ALL, "who is told: written at each start from the code", delete=True),
    "idempotency_key": Right(
        ("status", "response"), "an answer is written once (idempotency_key_once), kept 7 days", delete=True
    ),
    "login_attempt": Right(("at",), "what the throttle counts, kept 90 days: signing in is no record", delete=True),
    "revoked_token": Right(("until",), "kept until its session could not be renewed any more", delete=True),
    "batch": Right(
        ("status", "shipped_at", "landed_count", "duplicate_count", "conflict_count"),
        "shipped, counted; its header folds into batch_fold by the hour (batch_only)",
        delete=True,
    ),
    "batch_fold": Right(
        ALL, "headers add up in it for a year; lotwise prove lays them beside the gateway's", delete=True
    ),
    "batch_progress": Right(("through", "follows"), "how far batches are confirmed"),
    "pending_watermark": Right(ALL, "waits for lower numbers, then goes", delete=True),
    "source_watermark": Right(ALL, "the newest word of each source: each overwrites the one before", delete=True),
    "gateway_epoch": Right(("config", "sources", "told", "previous", "last_numbers"), "a gateway's start, as it says"),
    "ingest_lease": Right(ALL, "who works on what just now", delete=True),
    "ingest_worker": Right(ALL, "who works just now", delete=True),
    "zone_judged": Right(ALL, "the judge's running state: made again from readings (design, rule 8)"),
    "zone_profile": Right(("from_at",), "since when closed hours exist: made again from readings"),
    "zone_summary": Right(ALL, "closed hours: made again from readings (design, rule 8)"),
    "zone_alarm_mode": Right(ALL, "how an operator's alarm is shown; each change has its audit row"),
    "dispatch_plan": Right(ALL, "what is ready: made again from orders"),
    "dispatch_entry": Right(ALL, "what is ready: made again from orders", delete=True),
    "reading_restored": Right(ALL, "days put back from the store behind, until they are dropped again", delete=True),
    "reading_shipped": Right(ALL, "what has been shipped, added up, for lotwise prove"),
    "series_dropped": Right(("dropped_at",), "weeks that were dropped once shipped"),
}

_GRANT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{app}')
            AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass('audit')), 'USAGE') THEN
        {statements}
    END IF;
END $$
"""


def grants(kept: frozenset[str], tables: frozenset[str]) -> str:
    """One statement, to be run by the owner, after which the application's role has these rights and no others.

    It does nothing where there is no such role, or for somebody who does not own the tables.
    """
    found = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {APP}",
        f"GRANT USAGE ON SCHEMA public TO {APP}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APP}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP}",
        f"GRANT EXECUTE ON FUNCTION series_make_week(text, timestamptz, timestamptz) TO {APP}",
        f"GRANT EXECUTE ON FUNCTION series_drop_week(text, interval) TO {APP}",
    ]
    for name in sorted(tables):
        right = RIGHTS.get(name) or (Right(ALL, "kept") if name in kept else Right((), "append-only"))
        found.append(f"GRANT INSERT ON {name} TO {APP}")
        if right.update:
            columns = "" if right.update == ALL else f" ({', '.join(right.update)})"
            found.append(f"GRANT UPDATE{columns} ON {name} TO {APP}")
        if right.delete:
            found.append(f"GRANT DELETE ON {name} TO {APP}")
    return _GRANT.format(app=APP, statements=";\n        ".join(found) + ";")


def give(conn: Connection, statement: str) -> None:
    """Runs what `grants` says."""
    conn.execute(text(statement.replace(":", r"\:")))
