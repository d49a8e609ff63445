"""What the trail says was done, as people say it; who did it, by name."""

from collections.abc import Iterable

from sqlalchemy import select

from core.erp.kernel.model import User
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.web.frame.templating import Words

DONE = {
    "alarm.raised": "web.act_raised",
    "alert.goes_on": "web.act_goes_on",
    "alert_message.see": "web.act_seen",
    "attachment.add": "web.act_attached",
    "attachment.withdraw": "web.act_file_withdrawn",
    "audit.review": "web.act_trail_reviewed",
    "audit.verify": "web.act_trail_verified",
    "batch.release": "web.act_released",
    "calibration_plan.due": "web.act_due_set",
    "custody.put": "web.act_put",
    "custody.retract": "web.act_retracted",
    "deadline.begin": "web.act_deadline_begun",
    "deadline.reschedule": "web.act_deadline_moved",
    "disposition.signed": "web.act_disposition_signed",
    "epoch.close": "web.act_epoch_closed",
    "excursion.certainty": "web.act_certainty",
    "genealogy.link": "web.act_genealogy",
    "hold.place": "web.act_placed",
    "hold.upgrade": "web.act_hold_proof",
    "import.run": "web.act_imported",
    "import.undo": "web.act_import_undone",
    "incident.ended": "web.act_ended",
    "logger.import": "web.act_logger_read",
    "lot.name_maker": "web.act_maker_named",
    "material.consume": "web.act_consumed",
    "material.return": "web.act_returned",
    "profile_version.limits": "web.act_limits_set",
    "restriction.place": "web.act_placed",
    "shipment.name_consignee": "web.act_consignee_named",
    "shipment.pack": "web.act_packed",
    "shipment.plan": "web.act_planned",
    "shipment.return": "web.act_returned",
    "signature.sign": "web.act_signed",
    "simulation.act": "web.act_simulation_act",
    "simulation.start": "web.act_simulation_start",
    "simulation.stop": "web.act_simulation_stop",
    "source.browse": "web.act_source_browse",
    "source.retire": "web.act_source_retired",
    "stock.fact": "web.act_stock_fact",
    "stock.move": "web.act_stock_moved",
    "storage_profile.version": "web.act_version_added",
    "sublot.merge": "web.act_merged",
    "sublot.receive": "web.act_received",
    "task.renew": "web.act_renewed",
    "user.language": "web.act_language",
    "user.password": "web.act_password",
    "work_order.plan": "web.act_planned",
}
"""Acts that are no move of a life cycle."""
ANYWHERE = {"create": "web.created", "change": "web.changed", "opened": "web.act_opened"}
"""Acts of every kind of record, by what stands behind the dot."""


TRAIL_FIELDS = (
    "amounts",
    "attachment_id",
    "bound_to",
    "child_id",
    "conflicts",
    "done_on_id",
    "duplicates",
    "fact_id",
    "guarded",
    "handling_unit_id",
    "hold_id",
    "into",
    "landed",
    "limit",
    "missing_rows",
    "missing_seals",
    "move_id",
    "of",
    "parents",
    "points",
    "refused",
    "release_id",
    "restored_to",
    "retired_at",
    "sha256",
    "size",
    "to_sign",
    "transformation",
    "undone",
)
"""Fields that only the trail has."""


def act_said(action: str, words: Words) -> str:
    """What was done, as its button says it; the trail's own word for what has none."""
    name = action.rpartition(".")[2]
    message = DONE.get(action) or ANYWHERE.get(name)
    if message is not None:
        return words.t(message)
    for message_id in (f"button.{action}", f"move.{action}"):
        if words.has(message_id):
            return words.label(message_id)
    return action


def names_of(u: Unit, logins: Iterable[str]) -> dict[str, str]:
    """By login what these people are called: whoever reads what was done reads by whom."""
    users = table(User).c
    return {
        row.login: row.name
        for row in u.conn.execute(select(users.login, users.name).where(users.login.in_(set(logins))))
    }
