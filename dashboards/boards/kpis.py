"""Figures of the business: how long release takes, how often limits are broken, how long goods are held."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import with_panels
from dashboards.boards.goods import ITEMS
from dashboards.panels import MORE_IS_FINE, NONE_BAD, board, choice, figure, graph, listing
from dashboards.sources import Sql, Store

UID = "lotwise-kpis"
_ITEM = "item IN (${item:sqlstring})"
_WEEK = "$__timeGroupAlias({0}, '7d')"


def build(_: Store) -> Any:
    """The board."""
    made = board(
        UID, "KPIs", "Release lead time, excursion rate, time on hold, certificates.", ["kpi"], since="now-90d"
    ).with_variable(choice("item", "Item", ITEMS))
    return with_panels(made, *_figures(), *_over_time(), *_lists())


def _figures() -> list[Any]:
    return [
        figure(
            "Release lead time, median",
            "h",
            Sql(
                "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS hours FROM v_releases "
                f"WHERE $__timeFilter(released_at) AND {_ITEM}"
            ),
            "From a sublot's beginning to its batch release, of those released in the range.",
            MORE_IS_FINE,
        ),
        figure(
            "Excursions in 100 sublots",
            "none",
            Sql(
                "SELECT 100.0 * (SELECT count(DISTINCT sublot) FROM v_excursions_timeline WHERE "
                "$__timeFilter(broke_at) "
                f"AND {_ITEM}) / greatest((SELECT count(*) FROM v_sublots WHERE {_ITEM} AND created_at <= "
                f"$__timeTo()), 1) AS rate"
            ),
            "Sublots with an excursion in the range, of a hundred that there were by its end.",
            ((None, "green"), (1.0, "orange"), (5.0, "red")),
        ),
        figure(
            "Time on hold, median",
            "h",
            Sql(
                "SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM lifted_at - "
                "placed_at) / 3600), 0) "
                "AS hours FROM v_holds WHERE $__timeFilter(lifted_at)"
            ),
            "Of holds lifted in the range.",
            MORE_IS_FINE,
        ),
        figure(
            "Calibrations overdue or missing",
            "none",
            Sql(
                "SELECT count(*) FROM v_sensor_trust WHERE trust IN ('calibration overdue', 'never "
                "calibrated', 'no sensor on record')"
            ),
            "Of all points that are judged by.",
            NONE_BAD,
        ),
    ]


def _over_time() -> list[Any]:
    return [
        graph(
            "Release lead time",
            "h",
            Sql(
                f"SELECT {_WEEK.format('released_at')}, percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS median, "
                'percentile_cont(0.9) WITHIN GROUP (ORDER BY hours) AS "nine of ten" FROM v_releases '
                f"WHERE $__timeFilter(released_at) AND {_ITEM} GROUP BY 1 ORDER BY 1",
                series=True,
            ),
            "Of each week: half of the sublots, and nine of ten, were released within so many hours.",
        ),
        graph(
            "Released",
            "short",
            Sql(
                f"SELECT {_WEEK.format('released_at')}, CASE WHEN automatic THEN 'by rule' ELSE 'by "
                f"signature' END AS metric, "
                f"count(*) AS sublots FROM v_releases WHERE $__timeFilter(released_at) AND {_ITEM} GROUP BY "
                f"1, 2 ORDER BY 1",
                series=True,
            ),
            "Sublots of each week.",
            bars=True,
        ),
        graph(
            "Excursions",
            "short",
            Sql(
                f"SELECT {_WEEK.format('broke_at')}, item AS metric, count(*) AS excursions FROM v_excursions_timeline "
                f"WHERE $__timeFilter(broke_at) AND {_ITEM} GROUP BY 1, 2 ORDER BY 1",
                series=True,
            ),
            "Of each week, by item.",
            bars=True,
        ),
        graph(
            "Hours to a decision",
            "h",
            Sql(
                f"SELECT {_WEEK.format('at')}, percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS "
                f"median, max(hours) AS longest "
                f"FROM v_dispositions WHERE $__timeFilter(at) AND {_ITEM} GROUP BY 1 ORDER BY 1",
                series=True,
            ),
            "From an excursion being known to its signed decision.",
        ),
    ]


def _lists() -> list[Any]:
    return [
        listing(
            "Certificates that end",
            Sql(
                "SELECT calibration_due_at, zone, point, serial, trust FROM v_sensor_trust "
                "WHERE calibration_due_at < now() + interval '90 days' ORDER BY calibration_due_at LIMIT 200"
            ),
            "Calibrations due within 90 days; the overdue ones first.",
            width=24,
        )
    ]
