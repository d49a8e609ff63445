"""Lot history: one lot's places, one after the other, and what was measured in each while its goods were there."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import excursions, with_panels
from dashboards.boards.goods import ITEMS
from dashboards.panels import board, choice, graph, listing, timeline
from dashboards.readings import RANGE, limits, near, points
from dashboards.sources import Sql, Store

UID = "lotwise-lot"
LOT = "${lot:sqlstring}, ${item:sqlstring}"
_STAYS = f"board_lot_stays({LOT}, {RANGE})"


def build(store: Store) -> Any:
    """The board."""
    made = board(UID, "Lot history", "One lot's places, and what was measured there.", ["goods"], since="now-30d")
    lots = "SELECT lot FROM v_lots WHERE item = ${item:sqlstring} ORDER BY created_at DESC, lot LIMIT 2000"
    zones = f"SELECT DISTINCT zone FROM {_STAYS} ORDER BY zone"
    for variable in (
        choice("item", "Item", ITEMS, several=False),
        choice("lot", "Lot", lots, several=False),
        choice("zone", "Zone", zones),
        *([near()] if store is Store.INFLUX else []),
    ):
        made = made.with_variable(variable)
    return with_panels(made, *_over_time(store), *_lists())


def _over_time(store: Store) -> list[Any]:
    stays = Sql(
        f'SELECT greatest(from_at, $__timeFrom()::timestamptz) AS "time", zone AS metric, 1 AS there FROM '
        f"{_STAYS} UNION ALL "
        f"SELECT to_at, zone, NULL FROM {_STAYS} WHERE to_at < $__timeTo() ORDER BY 1",
        series=True,
    )
    own = Sql(
        f'SELECT at AS "time", point AS metric, low, high FROM board_lot_band({LOT}, {RANGE}, '
        f"$__interval_ms) ORDER BY 1",
        series=True,
    )
    measured = [own] if store is Store.POSTGRES else points(store, "temperature")
    only = "while its goods were there" if store is Store.POSTGRES else "in the places above: read it beside them"
    return [
        timeline(
            "Where its goods were",
            stays,
            "By custody as it is known now; a place at a time, or several.",
            {"1": ("there", "green")},
        ),
        graph(
            "What was measured",
            "celsius",
            [*measured, limits()],
            f"Lowest and highest of every point {only}. Dashed: limits. A hole is a gap: nothing was known.",
            width=24,
        ),
    ]


def _lists() -> list[Any]:
    mine = "item = ${item:sqlstring} AND lot = ${lot:sqlstring}"
    return [
        listing(
            "Stays",
            Sql(f"SELECT from_at, to_at, zone, sublots FROM {_STAYS} ORDER BY from_at"),
            "From when to when, and how many sublots.",
        ),
        listing(
            "Sublots",
            Sql(
                f"SELECT sublot, state, zone, created_at, serial, id FROM v_sublots WHERE {mine} ORDER BY "
                f"sublot LIMIT 500"
            ),
            "Each with its own status and place now.",
            links={"sublot": ("The sublot in Lotwise", "${lotwise}/sublots/${__data.fields.id}")},
            hidden=["id"],
        ),
        excursions(mine, "Of this lot, whenever they were.", goods="sublot", width=12),
        listing(
            "Decisions",
            Sql(
                f"SELECT at, decision, sublot, round(hours::numeric, 1) AS hours FROM v_dispositions WHERE "
                f"{mine} ORDER BY at DESC LIMIT 500"
            ),
            "What QA signed, and how many hours after it was known.",
        ),
    ]
