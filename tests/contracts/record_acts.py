"""What each verb is tried with besides its record; and which tests show the verbs that need more than rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.contracts.record_rows import NOW, Rows

Value = Callable[[Rows, str], Any]
"""A value made of the rows at a place."""
Fitted = dict[str, dict[str, Any]]
"""By table what its row holds: values, or how they are made."""


@dataclass(frozen=True, slots=True)
class Ready:
    """`rows` fit the tables' rows at the place, and are made before the record; `body` fits the example of the
    description. `permits` are held besides those of reading and of the verb.
    """

    state: str | None = None
    rows: Fitted = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    permits: tuple[str, ...] = ()


def id_of(name: str) -> Value:
    """The id of that table's row."""
    return lambda rows, place: rows.row(name, place)


def about(name: str) -> Value:
    """A reference to that table's row as stock has it."""
    return lambda rows, place: f"{name}:{rows.row(name, place)}"


LATER = datetime(2026, 3, 3, 8, tzinfo=UTC).isoformat()


def login(rows: Rows, place: str) -> str:
    """The name under which a user of the place signs in."""
    rows.row("app_user", place)
    return f"app_user-login-{place}"


def acting(rows: Rows, place: str) -> str:
    """The login of who acts there."""
    del rows
    return place


FREE: Fitted = {"sublot": {"state": "released"}, "stock_move": {"amount": 1000}}
"""Stock that may be taken."""
LOADED: Fitted = {"shipment_leg": {}, "shipment_line": {"reservation_id": id_of("reservation")}}
RESERVED: Fitted = {"work_order_material": {"reservation_id": id_of("reservation")}}
SITES: dict[str, Value] = {"site_ids": lambda rows, place: [rows.row("site", place)]}
OF_THE_SITE: Fitted = {"app_user": SITES}
PROPOSED: Fitted = {"app_user": SITES | {"proposed_roles": ["qa"], "proposed_by": "somebody"}}
TO_SIGN: Fitted = {"calibration": {"to_sign": True, "recorded_by": "somebody"}}
IN_FORCE: Fitted = {"capa": {"state": "planned"}, "capa_action": {"owner": acting}}
DONE: Fitted = {"capa_action": {"state": "done", "result": "a bell", "done_by": "somebody", "done_at": NOW}}
TASKS = ("stock.read",)
"""Whoever may do a task sees it."""

# Written by hand, as all below.
READY: dict[tuple[str, str], Ready] = {
    ("absence", "withdraw"): Ready(permits=("alerting.manage",)),
    ("absence", "reinstate"): Ready(permits=("alerting.manage",)),
    ("contact_way", "withdraw"): Ready(permits=("alerting.manage",)),
    ("contact_way", "reinstate"): Ready(permits=("alerting.manage",)),
    ("capa", "analyse"): Ready(state="open"),
    ("capa_action", "done"): Ready(rows=IN_FORCE),
    ("capa_action", "verify"): Ready(rows=IN_FORCE | DONE),
    ("capa_action", "send_back"): Ready(rows=IN_FORCE | DONE),
    ("calibration", "refuse"): Ready(rows=TO_SIGN),
    ("incident", "assess"): Ready(rows={"excursion": {"state": "ended"}}),
    ("incident", "dispose"): Ready(rows={"excursion": {"state": "assessed"}}),
    ("field_action", "notified"): Ready(
        rows={"field_action_consignee": {}}, body={"consignee_id": id_of("field_action_consignee")}
    ),
    ("reservation", "pick"): Ready(rows=FREE),
    ("reservation", "consume"): Ready(rows=FREE),
    ("reservation", "resume"): Ready(rows=FREE),
    ("restoration", "sign"): Ready(rows={"restoration": {"signature_id": None, "signed_at": None}}),
    ("role", "approve"): Ready(),
    ("role", "withdraw"): Ready(),
    ("session", "end"): Ready(rows=OF_THE_SITE),
    ("sensor", "withdraw"): Ready(rows={"installation": {"to_at": NOW}}),
    ("shipment", "pick"): Ready(rows=FREE | LOADED),
    ("shipment", "dispatch"): Ready(rows=FREE | LOADED),
    ("shipment", "hand_over"): Ready(state="picked", rows=FREE | LOADED, permits=("shipment.dispatch",)),
    ("shipment", "depart"): Ready(rows={"shipment_leg": {}}, permits=("fact.post",)),
    ("shipment", "arrive"): Ready(rows={"shipment_leg": {}}, permits=("fact.post",)),
    ("shipment", "accept"): Ready(rows=FREE),
    ("shipment", "add_line"): Ready(rows=FREE),
    ("shipment", "require_logger"): Ready(state="planned"),
    ("shipment", "waive_logger"): Ready(rows={"shipment_logger": {"serial": "130500109088"}}),
    ("shipment_line", "return"): Ready(state="shipped", body={"amount": 1}),
    ("sublot", "split"): Ready(rows=FREE),
    ("sublot", "lost"): Ready(rows=FREE),
    ("sublot", "move"): Ready(rows=FREE, body={"reference": about("shipment")}),
    ("sublot", "post_fact"): Ready(rows=FREE, body={"reference": about("shipment")}),
    ("sublot", "reserve"): Ready(rows=FREE, body={"reference": about("shipment")}),
    ("task", "take"): Ready(permits=TASKS),
    ("task", "hand_over"): Ready(body={"to": login}, permits=TASKS),
    ("task", "give_back"): Ready(rows={"task": {"state": "taken", "assignee": acting}}, permits=TASKS),
    ("task", "done"): Ready(permits=TASKS),
    ("task", "cancel"): Ready(permits=(*TASKS, "task.oversee")),
    ("user", "approve"): Ready(rows=PROPOSED),
    ("user", "refuse"): Ready(rows=PROPOSED),
    ("user", "change"): Ready(
        rows=OF_THE_SITE,
        body={"password": "another good one 7", "place": lambda rows, place: {"site_ids": [rows.row("site", place)]}},
    ),
    ("work_order", "reserve"): Ready(rows=FREE | {"work_order_line": {}}),
    ("work_order", "used_up"): Ready(rows=FREE | {"work_order_line": {}}),
    ("work_order", "output"): Ready(rows=FREE | {"work_order_line": {}, "work_order_material": {"consumed": 10}}),
    ("work_order_material", "return"): Ready(rows=FREE | {"work_order_material": {"consumed": 10}}),
    ("work_order_material", "issue"): Ready(rows=FREE | RESERVED),
    ("work_order_material", "consume"): Ready(rows=FREE | RESERVED | {"work_order": {"state": "running"}}),
    ("work_order_operation", "start"): Ready(rows={"work_order": {"state": "released"}}, body={"work_centre": None}),
    ("alarm", "acknowledge"): Ready(state="unacknowledged"),
    ("zone_nesting", "end"): Ready(body={"to_at": LATER}),
}

STORIES: dict[tuple[str, str], str] = {
    ("calibration", "sign_off"): (
        "tests/stories/calibration_story_test.py"
        "::test_a_good_calibration_proves_nothing_before_a_second_person_has_signed_it"
    ),
    ("capa", "plan"): "tests/stories/capa_story_test.py::test_a_plan_is_made_signed_and_done",
    ("capa", "complete"): "tests/stories/capa_story_test.py::test_a_plan_is_made_signed_and_done",
    ("capa", "close"): ("tests/stories/capa_story_test.py::test_not_effective_is_open_again_and_effective_is_closed"),
    ("capa", "reopen"): ("tests/stories/capa_story_test.py::test_not_effective_is_open_again_and_effective_is_closed"),
    ("dead_letter", "replay"): "tests/services/ingest_api_test.py::test_dead_letters_are_shown_and_replayed",
    ("import_run", "undo"): "tests/contracts/record_tables_test.py::test_what_is_exported_is_imported_the_same",
    ("shipment", "read_logger"): "tests/services/quality_api_test.py::test_a_shipment_from_plan_to_acceptance",
    ("supplier_certificate", "verify"): (
        "tests/stories/partners_story_test.py::test_a_certificate_counts_once_a_second_person_has_verified_it"
    ),
}
"""Verbs that need more than rows, and the test that shows each of them done."""
