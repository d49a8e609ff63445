"""The gateway health board: whether what devices say arrives, whole and in time."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import with_panels
from dashboards.panels import MORE_IS_FINE, NONE_BAD, board, choice, figure, graph, listing
from dashboards.readings import RANGE
from dashboards.sources import PromQl, Sql, Store

UID = "lotwise-gateways"
_CHOSEN = "gateway IN (${gateway:sqlstring})"
_GATEWAYS = "ARRAY[${gateway:sqlstring}]"
_SILENCE = ((None, "green"), (30.0, "orange"), (120.0, "red"))


def build(_: Store) -> Any:
    """The board."""
    made = board(UID, "Gateway health", "Whether what devices say arrives, whole and in time.", ["gateways"])
    made = made.with_variable(choice("gateway", "Gateway", "SELECT gateway FROM v_gateways ORDER BY gateway"))
    return with_panels(made, *_figures(), *_flow(), *_spool(), *_state())


def _figures() -> list[Any]:
    return [
        figure(
            "Longest silence of a gateway",
            "s",
            Sql(f"SELECT max(seconds_since) AS seconds FROM v_gateways WHERE {_CHOSEN}"),
            "Every partition gets a batch every 2 s, empty if need be: longer is a silent gateway.",
            _SILENCE,
        ),
        figure(
            "Readings of the last day",
            "short",
            Sql(
                "SELECT coalesce(sum(readings), 0)::bigint AS readings FROM "
                f"board_batches({_GATEWAYS}, now() - interval '1 day', now(), 3600000)"
            ),
            "Committed in PostgreSQL: only that counts as delivered.",
            MORE_IS_FINE,
        ),
        figure(
            "Dead letters not replayed",
            "none",
            Sql("SELECT count(*) FROM v_dead_letters WHERE replayed_at IS NULL"),
            "Readings that could not be understood, kept with their reason.",
            NONE_BAD,
            link="/dead-letters",
        ),
        figure(
            "Ingest alarms",
            "none",
            Sql("SELECT count(*) FROM v_ingest_alarms WHERE cleared_at IS NULL"),
            "A partition that stopped, a batch that never came.",
            NONE_BAD,
        ),
    ]


def _batches(*values: str) -> Sql:
    shown = ", ".join(values)
    return Sql(
        f'SELECT at AS "time", gateway AS metric, {shown} FROM board_batches({_GATEWAYS}, {RANGE}, $__interval_ms) '
        f"WHERE num_nonnulls({shown}) > 0 ORDER BY 1",
        series=True,
    )


def _flow() -> list[Any]:
    return [
        graph(
            "Readings",
            "short",
            [
                _batches("readings"),
                Sql(
                    "SELECT at AS \"time\", 'all that is judged' AS metric, readings "
                    f"FROM board_hours_read({RANGE}, $__interval_ms) ORDER BY 1",
                    series=True,
                    ref="B",
                ),
            ],
            "In each column and by gateway, by when their batch was cut. Ranges over two days: what is "
            "judged of all gateways.",
            bars=True,
        ),
        graph(
            "On the way",
            "s",
            _batches("slowest"),
            "Longest time from the cut of a batch in the spool to its arrival; hours after an outage.",
        ),
        graph(
            "Second values and what was not understood",
            "short",
            _batches("conflicts", "dead"),
            "A second value at one time never replaces the first; the judge takes the worse.",
            bars=True,
        ),
    ]


def _spool() -> list[Any]:
    return [
        graph(
            "Spool: readings not confirmed",
            "short",
            PromQl("lotwise_edge_spool_readings", legend="{{instance}}"),
            "By the gateways' own /metrics: what waits on their disk.",
        ),
        graph(
            "Spool: age of the oldest batch",
            "s",
            PromQl("lotwise_edge_spool_age_seconds", legend="{{instance}}"),
            "Rises while the stream or the core is away, and falls when all is delivered.",
        ),
        graph(
            "Reconnects and payloads put aside",
            "short",
            [
                PromQl(
                    "sum by (instance, source) (increase(lotwise_edge_source_restarts_total[$__rate_interval]))",
                    legend="{{instance}} {{source}} restarts",
                ),
                PromQl(
                    "sum by (instance, source) (increase(lotwise_edge_source_asides_total[$__rate_interval]))",
                    legend="{{instance}} {{source}} aside",
                    ref="B",
                ),
            ],
            "How often a collector was started again, and how many payloads it could not read and kept aside.",
            bars=True,
        ),
    ]


def _state() -> list[Any]:
    return [
        listing(
            "Gateways",
            Sql(
                "SELECT gateway, sources, zones, heard_at, round(seconds_since::numeric, 1) AS "
                "seconds_since, watermark "
                f"FROM v_gateways WHERE {_CHOSEN} ORDER BY seconds_since DESC"
            ),
            "What each gateway has, when it was heard, and how far it has spoken.",
            width=24,
        ),
        listing(
            "Sources",
            Sql(
                "SELECT gateway, source, zone, upto, received_at, round(seconds_behind::numeric, 1) AS seconds_behind "
                f"FROM v_watermarks WHERE {_CHOSEN} ORDER BY seconds_behind DESC LIMIT 500"
            ),
            "Each source's word: all it will have live up to then is in.",
        ),
        listing(
            "Gaps",
            Sql(
                "SELECT start_at, stop_at, round(minutes::numeric, 1) AS minutes, silences, zone, point, reason, "
                "known_at FROM v_gaps WHERE $__timeFilter(start_at) ORDER BY start_at DESC LIMIT 500"
            ),
            "Spans for which it is known that nothing is known; of several silences, if they are close together.",
        ),
        listing(
            "Dead letters",
            Sql(
                "SELECT gateway, reason, count(*) AS letters, max(at) AS last_at FROM v_dead_letters "
                f"WHERE replayed_at IS NULL AND {_CHOSEN} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 200"
            ),
            "What could not be understood, by reason; kept, and tried again once it is mended.",
            width=24,
        ),
    ]
