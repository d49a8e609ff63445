"""Excursions and holds: what was broken, when it was known, what is held, and how it was decided."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.panels import MORE_IS_FINE, NONE_BAD, board, choice, figure, graph, listing
from dashboards.sources import Sql, Store

UID = "lotwise-goods"
ITEMS = "SELECT item FROM v_items ORDER BY item"
_ITEM = "item IN (${item:sqlstring})"


def build(_: Store) -> Any:
    """The board."""
    made = board(
        UID,
        "Excursions and holds",
        "What was broken, what is held, and how it was decided.",
        ["goods"],
        since="now-30d",
    ).with_variable(choice("item", "Item", ITEMS))
    for number, panel in enumerate((*_figures(), *_over_time(), *_lists()), start=1):
        made = made.with_panel(panel.id(number))
    return made.build()


def _figures() -> list[Any]:
    return [
        figure(
            "Excursions to decide",
            "none",
            Sql(f"SELECT count(*) FROM v_open_excursions WHERE {_ITEM}"),
            "Open, ended or assessed: no decision is signed yet.",
            NONE_BAD,
            link="/excursions",
        ),
        figure(
            "Longest wait for a decision",
            "h",
            Sql(
                "SELECT coalesce(max(extract(epoch FROM now() - known_at)) / 3600, 0)::float8 AS hours FROM "
                "v_open_excursions "
                f"WHERE {_ITEM}"
            ),
            "Since the oldest undecided excursion was known.",
            ((None, "green"), (24.0, "orange"), (72.0, "red")),
        ),
        figure(
            "Holds in force",
            "none",
            Sql("SELECT count(*) FROM v_holds WHERE lifted_at IS NULL"),
            "Of all items; each is lifted by itself.",
            NONE_BAD,
            link="/holds",
        ),
        figure(
            "Decided in this range",
            "none",
            Sql(f"SELECT count(*) FROM v_dispositions WHERE $__timeFilter(at) AND {_ITEM}"),
            "Signed decisions of QA.",
            MORE_IS_FINE,
        ),
    ]


def _over_time() -> list[Any]:
    day = "$__timeGroupAlias({0}, '1d')"
    return [
        graph(
            "Excursions by day",
            "short",
            Sql(
                f"SELECT {day.format('broke_at')}, limit_key AS metric, count(*) AS excursions FROM "
                f"v_excursions_timeline "
                f"WHERE $__timeFilter(broke_at) AND {_ITEM} GROUP BY 1, 2 ORDER BY 1",
                series=True,
            ),
            "By the limit broken, on the day when it broke (UTC).",
            bars=True,
        ),
        graph(
            "Holds by day",
            "short",
            Sql(
                f"SELECT {day.format('placed_at')}, kind AS metric, count(*) AS holds FROM v_holds "
                "WHERE $__timeFilter(placed_at) GROUP BY 1, 2 ORDER BY 1",
                series=True,
            ),
            "By kind, on the day when they were placed (UTC).",
            bars=True,
        ),
    ]


def _lists() -> list[Any]:
    return [
        listing(
            "Excursions",
            Sql(
                "SELECT broke_at, known_at, zone, item, lot, sublot, limit_key, kind, certainty, state, "
                "round(minutes_out::numeric, 1) AS minutes_out, lowest, highest, id FROM v_excursions_timeline "
                f"WHERE $__timeFilter(broke_at) AND {_ITEM} ORDER BY broke_at DESC LIMIT 500"
            ),
            "When it was so, when it was known, and how long it lasted.",
            width=24,
            links={"limit_key": ("The excursion in Lotwise", "${lotwise}/excursions/${__data.fields.id}")},
            hidden=["id"],
        ),
        listing(
            "Holds in force",
            Sql(
                "SELECT placed_at, since_at, kind, certainty, lot, sublot, shipment, zone, reason, "
                "lift_permit, sublot_id "
                "FROM v_holds WHERE lifted_at IS NULL ORDER BY placed_at DESC LIMIT 500"
            ),
            "What may not move on, why, and which permit can lift it.",
            width=24,
            links={"sublot": ("The sublot in Lotwise", "${lotwise}/sublots/${__data.fields.sublot_id}")},
            hidden=["sublot_id"],
        ),
        listing(
            "Decisions",
            Sql(
                "SELECT at, decision, item, lot, sublot, round(hours::numeric, 1) AS hours, excursion_id "
                "FROM v_dispositions "
                f"WHERE $__timeFilter(at) AND {_ITEM} ORDER BY at DESC LIMIT 500"
            ),
            "What QA signed, and how many hours after it was known.",
            width=24,
            links={"decision": ("The excursion in Lotwise", "${lotwise}/excursions/${__data.fields.excursion_id}")},
            hidden=["excursion_id"],
        ),
    ]
