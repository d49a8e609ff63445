"""The gateway health board: whether what devices say arrives, whole and in time."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.panels import board, choice, figure, graph, listing
from dashboards.sources import ERP, TELEMETRY, InfluxQl, Sql

UID = "lotwise-gateways"
_CHOSEN = "gateway IN (${gateway:sqlstring})"
_SILENCE = ((None, "green"), (30.0, "orange"), (120.0, "red"))
_NONE_BAD = ((None, "green"), (1.0, "red"))
_BLUE = ((None, "blue"),)


def build() -> Any:
    """The board."""
    made = board(UID, "Gateway health", "Whether what devices say arrives, whole and in time.", ["gateways"])
    made = made.with_variable(choice("gateway", "Gateway", "SELECT gateway FROM v_gateway_status ORDER BY gateway"))
    for number, panel in enumerate((*_figures(), *_flow(), *_state()), start=1):
        made = made.with_panel(panel.id(number))
    return made.build()


def _figures() -> list[Any]:
    return [
        figure(
            "Longest silence of a gateway",
            "s",
            Sql(f"SELECT max(seconds_since) AS seconds FROM v_gateway_status WHERE {_CHOSEN}"),
            "Every partition gets a batch every 2 s, empty if need be: longer is a silent gateway.",
            _SILENCE,
        ),
        figure(
            "Readings confirmed",
            "short",
            Sql(f"SELECT coalesce(sum(readings), 0) AS readings FROM v_gateway_status WHERE {_CHOSEN}"),
            "Committed in PostgreSQL: only that counts as delivered.",
            _BLUE,
        ),
        figure(
            "Dead letters not replayed",
            "none",
            Sql("SELECT count(*) FROM v_dead_letters WHERE replayed_at IS NULL"),
            "Readings that could not be understood, kept with their reason.",
            _NONE_BAD,
        ),
        figure(
            "Ingest alarms",
            "none",
            Sql("SELECT count(*) FROM v_ingest_alarms WHERE cleared_at IS NULL"),
            "A partition that stopped, a batch that never came.",
            _NONE_BAD,
        ),
    ]


def _flow() -> list[Any]:
    return [
        graph(
            "Readings received",
            "short",
            ERP,
            Sql(
                "SELECT $__timeGroupAlias(received_at, '1m'), gateway AS metric, sum(readings) AS readings "
                f"FROM v_gateway_batches WHERE $__timeFilter(received_at) AND {_CHOSEN} "
                "GROUP BY 1, 2 ORDER BY 1",
                series=True,
            ),
            "Per minute and gateway, by arrival.",
        ),
        graph(
            "On the way",
            "s",
            ERP,
            Sql(
                "SELECT $__timeGroupAlias(received_at, '1m'), gateway AS metric, max(seconds_on_the_way) AS seconds "
                f"FROM v_gateway_batches WHERE $__timeFilter(received_at) AND {_CHOSEN} "
                "GROUP BY 1, 2 ORDER BY 1",
                series=True,
            ),
            "Longest time from the cut of a batch in the spool to its arrival; hours after an outage.",
        ),
        graph(
            "Readings in the series store",
            "short",
            TELEMETRY,
            InfluxQl(
                'SELECT count("quality") FROM /.*/ WHERE $timeFilter GROUP BY time(1m), "device" fill(0)',
                alias="$tag_device",
            ),
            "Per minute and device, by the readings' own time: all quantities, good or bad.",
        ),
        graph(
            "Worst quality",
            "none",
            TELEMETRY,
            InfluxQl(
                'SELECT max("quality") FROM /.*/ WHERE $timeFilter GROUP BY time($__interval), "device" fill(null)',
                alias="$tag_device",
            ),
            "0 good, 1 uncertain, 2 bad.",
        ),
    ]


def _state() -> list[Any]:
    return [
        listing(
            "Gateways",
            ERP,
            Sql(
                "SELECT gateway, site, last_received_at, last_watermark_at, watermark, epochs, batches, readings, "
                f"duplicates, conflicts, dead FROM v_gateway_status WHERE {_CHOSEN} ORDER BY gateway"
            ),
            "What each gateway delivered in all, and how far it has spoken.",
            width=24,
        ),
        listing(
            "Sources",
            ERP,
            Sql(
                "SELECT gateway, source, zone, upto, received_at, "
                "round(seconds_behind::numeric, 1) AS seconds_behind "
                f"FROM v_watermarks WHERE {_CHOSEN} ORDER BY seconds_behind DESC LIMIT 500"
            ),
            "Each source's word: all it will have live up to then is in.",
        ),
        listing(
            "Gaps",
            ERP,
            Sql(
                "SELECT start_at, stop_at, round(minutes::numeric, 1) AS minutes, silences, zone, point, reason, "
                "known_at "
                "FROM v_gaps WHERE $__timeFilter(start_at) ORDER BY start_at DESC LIMIT 500"
            ),
            "Spans for which it is known that nothing is known; of several silences, if they are close together.",
        ),
        listing(
            "Readings that did not go in",
            ERP,
            Sql(
                "SELECT s.gateway, s.conflicts, s.dead, max(d.at) AS last_dead_letter_at, "
                "string_agg(DISTINCT d.reason, ', ') AS reasons FROM v_gateway_status s "
                "LEFT JOIN v_dead_letters d ON d.gateway = s.gateway AND d.replayed_at IS NULL "
                "WHERE s.gateway IN (${gateway:sqlstring}) GROUP BY 1, 2, 3 ORDER BY 1"
            ),
            "Second values at one time, and what could not be understood, with the reasons.",
            width=24,
        ),
    ]
