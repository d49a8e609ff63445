"""Excursions and holds: what was broken, when it was known, what is held, and how it was decided."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import excursions, holds, holds_figure, open_excursions, with_panels
from dashboards.panels import MORE_IS_FINE, board, choice, figure, graph, listing
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
    return with_panels(made, *_figures(), *_over_time(), *_lists())


def _figures() -> list[Any]:
    return [
        open_excursions("Excursions to decide", "Open, ended or assessed: no decision is signed yet.", _ITEM),
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
        holds_figure("Of all items; each is lifted by itself."),
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
        excursions(
            f"$__timeFilter(broke_at) AND {_ITEM}", "When it was so, when it was known, and how long it lasted."
        ),
        holds(),
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
