"""Shipments: what is under way, late or held, and how warm its vehicles are."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import with_panels
from dashboards.panels import MORE_IS_FINE, NONE_BAD, States, board, choice, figure, graph, listing, timeline
from dashboards.readings import near, points
from dashboards.sources import Sql, Store

UID = "lotwise-shipments"
_UNDER_WAY = "state IN ('dispatched', 'in_transit', 'arrived')"
_LEG: States = {"1": ("on the road", "green"), "2": ("on the road, held", "red")}
_SHIPMENT = {"shipment": ("The shipment in Lotwise", "${lotwise}/shipments/${__data.fields.id}")}


def build(store: Store) -> Any:
    """The board."""
    made = board(
        UID,
        "Shipments",
        "What is under way, late or held, and how warm its vehicles are.",
        ["logistics"],
        since="now-2d",
    )
    vehicles = "SELECT DISTINCT zone FROM v_shipment_legs WHERE zone IS NOT NULL ORDER BY zone"
    made = made.with_variable(choice("zone", "Vehicle", vehicles))
    if store is Store.INFLUX:
        made = made.with_variable(near())
    return with_panels(made, *_figures(), *_over_time(store), *_lists())


def _figures() -> list[Any]:
    return [
        figure(
            "Under way",
            "none",
            Sql(f"SELECT count(*) FROM v_shipments WHERE {_UNDER_WAY}"),
            "Dispatched, in transit, or arrived and not yet accepted.",
            MORE_IS_FINE,
            link="/logistics",
        ),
        figure(
            "Held",
            "none",
            Sql("SELECT count(DISTINCT shipment) FROM v_holds WHERE lifted_at IS NULL AND shipment IS NOT NULL"),
            "May arrive, into quarantine; may not be accepted.",
            NONE_BAD,
        ),
        figure(
            "Late",
            "none",
            Sql(
                "SELECT count(*) FROM v_shipments WHERE due_at < now() AND state IN ('planned', 'picked', "
                "'dispatched', 'in_transit')"
            ),
            "Due and not arrived.",
            NONE_BAD,
        ),
        figure(
            "Arrived in this range",
            "none",
            Sql("SELECT count(*) FROM v_shipments WHERE $__timeFilter(arrived_at)"),
            "By the time told at the dock.",
            MORE_IS_FINE,
        ),
    ]


def _over_time(store: Store) -> list[Any]:
    return [
        timeline(
            "Legs on the road",
            Sql(
                "WITH legs AS (SELECT g.*, CASE WHEN s.holds > 0 THEN 2 ELSE 1 END AS rides FROM v_shipment_legs g "
                "JOIN v_shipments s ON s.id = g.shipment_id WHERE g.departed_at <= $__timeTo() "
                "AND coalesce(g.arrived_at, 'infinity') >= $__timeFrom() AND g.state <> 'cancelled' "
                "ORDER BY g.departed_at DESC LIMIT 60) "
                "SELECT greatest(departed_at, $__timeFrom()::timestamptz) AS \"time\", shipment || ' ' || "
                "number AS metric, rides "
                "FROM legs UNION ALL SELECT arrived_at, shipment || ' ' || number, NULL FROM legs "
                "WHERE arrived_at < $__timeTo() ORDER BY 1",
                series=True,
            ),
            "From departure to arrival; the newest sixty.",
            _LEG,
        ),
        graph(
            "Temperature on board",
            "celsius",
            points(store, "temperature"),
            "Lowest and highest of every point of the chosen vehicles. A hole is a gap: nothing was known.",
            width=24,
        ),
    ]


def _lists() -> list[Any]:
    return [
        listing(
            "Under way",
            Sql(
                "SELECT shipment, kind, consignee, market, state, holds, due_at, departed_at, id FROM v_shipments "
                f"WHERE {_UNDER_WAY} ORDER BY holds DESC, due_at LIMIT 500"
            ),
            "Held ones first, then by when they are due.",
            width=24,
            links=_SHIPMENT,
            hidden=["id"],
        ),
        listing(
            "Legs",
            Sql(
                "SELECT departed_at, shipment, number, origin, destination, carrier, zone, arrived_at, "
                "shipment_id AS id "
                "FROM v_shipment_legs WHERE $__timeFilter(departed_at) ORDER BY departed_at DESC LIMIT 500"
            ),
            "Who drove what from where to where, and in which vehicle.",
            width=24,
            links=_SHIPMENT,
            hidden=["id"],
        ),
    ]
