"""Lotwise itself: whether it takes in, judges, tells, answers, and is backed up."""

from typing import Any

from dashboards.boards.common import with_panels
from dashboards.panels import NONE_BAD, board, figure, graph, listing
from dashboards.sources import PromQl, Sql, Store

UID = "lotwise-itself"
_LAG = ((None, "green"), (10.0, "orange"), (60.0, "red"))


def build(_: Store) -> Any:
    """The board."""
    made = board(
        UID, "Lotwise itself", "Whether it takes in, judges, tells, answers, and is backed up.", ["operations"]
    )
    return with_panels(made, *_figures(), *_work(), *_services(), *_lists())


def _figures() -> list[Any]:
    return [
        figure(
            "Ingest: farthest behind",
            "s",
            Sql(
                "SELECT coalesce(max(extract(epoch FROM now() - received_at)), 0)::float8 AS seconds FROM v_watermarks"
            ),
            "Since the source that was silent longest was heard.",
            _LAG,
        ),
        figure(
            "Judge: farthest behind",
            "s",
            Sql(
                "SELECT coalesce(max(extract(epoch FROM watermark - judged_to)), 0)::float8 AS seconds FROM "
                "v_zone_status"
            ),
            "Between what a zone's sources have told and up to when it is judged.",
            _LAG,
        ),
        figure(
            "Outbox: waiting",
            "none",
            Sql("SELECT coalesce(sum(waiting), 0)::bigint AS waiting FROM v_outbox"),
            "What is committed and not yet told to others.",
            ((None, "green"), (100.0, "orange"), (1000.0, "red")),
        ),
        figure(
            "Parts without a sign of life",
            "none",
            Sql("SELECT count(*) FROM v_heartbeats WHERE overdue"),
            "Loops of the core, and ingest.",
            NONE_BAD,
        ),
    ]


def _work() -> list[Any]:
    return [
        graph(
            "Ingest lag",
            "s",
            Sql(
                "SELECT at AS \"time\", 'slowest batch' AS metric, max(slowest) AS seconds FROM "
                "board_batches(ARRAY(SELECT gateway FROM v_gateways), $__timeFrom(), $__timeTo(), $__interval_ms) "
                "WHERE slowest IS NOT NULL GROUP BY 1 ORDER BY 1",
                series=True,
            ),
            "Longest time from the cut of a batch in a spool to its arrival.",
        ),
        graph(
            "From breaking to held",
            "s",
            Sql(
                "SELECT $__timeGroupAlias(h.placed_at, $__interval), 'slowest hold' AS metric, "
                "max(extract(epoch FROM h.placed_at - e.broke_at))::float8 AS seconds FROM v_holds h "
                "JOIN v_excursions_timeline e ON e.id = h.excursion_id WHERE $__timeFilter(h.placed_at) "
                "GROUP BY 1 ORDER BY 1",
                series=True,
            ),
            "Longest time from the instant a limit broke to the hold; hours where readings came late after an outage.",
        ),
        graph(
            "Told in time",
            "s",
            Sql(
                "SELECT $__timeGroupAlias(raised_at, $__interval), severity AS metric, max(seconds_to_told) "
                "AS seconds FROM v_alerts "
                "WHERE $__timeFilter(raised_at) AND seconds_to_told IS NOT NULL GROUP BY 1, 2 ORDER BY 1",
                series=True,
            ),
            "Longest time from an alert to the first message that a channel took.",
        ),
    ]


def _services() -> list[Any]:
    return [
        graph(
            "Requests",
            "reqps",
            PromQl("sum by (status) (rate(lotwise_core_requests_total[$__rate_interval]))", legend="{{status}}"),
            "By the class of their answer. By the core's /metrics.",
        ),
        graph(
            "Requests: slowest twentieth",
            "s",
            PromQl(
                "histogram_quantile(0.95, sum by (le, kind) "
                "(rate(lotwise_core_request_seconds_bucket[$__rate_interval])))",
                legend="{{kind}} p95",
            ),
            "Pages and API apart; long event streams do not count.",
        ),
        graph(
            "Readings taken in",
            "short",
            PromQl("sum by (outcome) (rate(lotwise_ingest_readings_total[$__rate_interval]))", legend="{{outcome}}"),
            "A second, by what became of them. By the ingest workers' /metrics.",
        ),
    ]


def _lists() -> list[Any]:
    return [
        listing(
            "Signs of life",
            Sql(
                "SELECT part, at, round(seconds::numeric, 1) AS seconds, overdue FROM v_heartbeats ORDER BY "
                "overdue DESC, part"
            ),
            "When each part last came round.",
        ),
        listing(
            "Outbox",
            Sql(
                "SELECT handler, waiting, failing, oldest_at, round(seconds::numeric) AS seconds, attempts "
                "FROM v_outbox ORDER BY seconds DESC"
            ),
            "Whom what waits for, and since when.",
        ),
        listing(
            "Database and its archive",
            Sql(
                "SELECT bytes, connections, deadlocks, round(cache_hit::numeric, 4) AS cache_hit, "
                "archived_count, archived_at, "
                "archive_failures, last_failed_time FROM v_database"
            ),
            "Its size, and when the log that a backup needs was last archived.",
            width=24,
        ),
        listing(
            "Ingest alarms",
            Sql(
                "SELECT at, kind, partition, gateway, detail, cleared_at FROM v_ingest_alarms WHERE "
                "cleared_at IS NULL OR $__timeFilter(at) ORDER BY at DESC LIMIT 200"
            ),
            "A partition that stopped, a batch that never came.",
            width=24,
        ),
    ]
