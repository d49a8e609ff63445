"""Machines and work orders: what the machines said, beside the orders that ran."""

from typing import Any

from dashboards.boards.common import with_panels
from dashboards.panels import States, board, graph, listing, timeline
from dashboards.readings import last, site_area_zone
from dashboards.sources import Sql, Store

UID = "lotwise-machines"
PACKML: States = {
    "1": ("clearing", "orange"),
    "2": ("stopped", "#6e6e6e"),
    "3": ("starting", "blue"),
    "4": ("idle", "#5794f2"),
    "5": ("suspended", "yellow"),
    "6": ("execute", "green"),
    "7": ("stopping", "#8e8e8e"),
    "8": ("aborting", "red"),
    "9": ("aborted", "red"),
    "10": ("holding", "orange"),
    "11": ("held", "orange"),
    "12": ("unholding", "orange"),
    "13": ("suspending", "yellow"),
    "14": ("unsuspending", "yellow"),
    "15": ("resetting", "blue"),
    "16": ("completing", "green"),
    "17": ("complete", "green"),
}
"""ISA-TR88.00.02: states by number."""
_UP: States = {"0": ("down", "red"), "1": ("up", "green")}


def build(store: Store) -> Any:
    """The board."""
    made = board(UID, "Machines and work orders", "What machines said, beside the orders that ran.", ["production"])
    for variable in site_area_zone(store):
        made = made.with_variable(variable)
    return with_panels(made, *_machines(store), *_orders())


def _machines(store: Store) -> list[Any]:
    return [
        timeline("Machine states", last(store, "state"), "PackML states as the machines tell them.", PACKML),
        graph("Good pieces", "short", last(store, "good"), "Each machine's counter."),
        graph("Rejected pieces", "short", last(store, "reject"), "Each machine's counter."),
        timeline(
            "Work centres",
            Sql(
                'SELECT at AS "time", code AS metric, CASE WHEN up THEN 1 ELSE 0 END AS up FROM v_work_centre_states '
                "WHERE at <= $__timeTo() UNION ALL SELECT $__timeTo()::timestamptz, code, "
                "CASE status WHEN 'up' THEN 1 ELSE 0 END FROM v_work_centres ORDER BY 1",
                series=True,
            ),
            "Up or down, as reported; the last state stands up to now.",
            _UP,
        ),
    ]


def _orders() -> list[Any]:
    return [
        timeline(
            "Work orders that ran",
            Sql(
                'SELECT greatest(started_at, $__timeFrom()::timestamptz) AS "time", work_order AS metric, 1 '
                "AS runs FROM v_work_orders "
                "WHERE started_at <= $__timeTo() AND coalesce(completed_at, 'infinity') >= $__timeFrom() UNION ALL "
                "SELECT completed_at, work_order, NULL FROM v_work_orders WHERE started_at <= $__timeTo() "
                "AND $__timeFilter(completed_at) ORDER BY 1",
                series=True,
            ),
            "From start to completion, on the same clock as the machines above.",
            {"1": ("running", "green")},
        ),
        listing(
            "Work orders",
            Sql(
                "SELECT work_order, item, output_lot, amount, scrap, state, stopped_reason, due_at, "
                "started_at, completed_at, id "
                "FROM v_work_orders WHERE state <> 'closed' OR $__timeFilter(created_at) ORDER BY due_at LIMIT 500"
            ),
            "All that are not closed, and those made in the range.",
            width=24,
            links={"work_order": ("The order in Lotwise", "${lotwise}/work-orders/${__data.fields.id}")},
            hidden=["id"],
        ),
        listing(
            "Operations",
            Sql(
                "SELECT started_at, work_order, number, name, work_centre, state, done_at, "
                "round((extract(epoch FROM done_at - started_at) / 60)::numeric, 1) AS minutes FROM v_operations "
                "WHERE $__timeFilter(started_at) ORDER BY started_at DESC LIMIT 500"
            ),
            "Which step ran where, and how long.",
            width=24,
        ),
        listing(
            "Work centres now",
            Sql("SELECT code, name, zone, status, state_since, state_reason FROM v_work_centres ORDER BY status, code"),
            "What is up, what is down, and why.",
            width=24,
        ),
    ]
