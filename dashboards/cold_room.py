"""The cold room board: what the rooms' climate is, and what it did to the goods in them."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.panels import board, choice, figure, graph, listing
from dashboards.sources import ERP, TELEMETRY, InfluxQl, Sql

UID = "lotwise-cold-room"
_ZONES = '"zone" =~ /^${zone:regex}$/ AND $timeFilter'
_NONE_BAD = ((None, "green"), (1.0, "red"))
_MORE_IS_FINE = ((None, "blue"),)


def build() -> Any:
    """The board."""
    made = board(UID, "Cold room", "Climate of the zones, and what it did to the goods in them.", ["climate"])
    made = made.with_variable(choice("zone", "Zone", "SELECT zone FROM v_zone_status ORDER BY zone"))
    for number, panel in enumerate((*_figures(), *_climate(), *_goods()), start=1):
        made = made.with_panel(panel.id(number))
    return made.build()


def _figures() -> list[Any]:
    chosen = "zone IN (${zone:sqlstring})"
    return [
        figure(
            "Zones out of range or silent",
            "none",
            Sql(f"SELECT count(*) FROM v_zone_status WHERE {chosen} AND status NOT IN ('in range', 'unknown')"),
            "Zones whose last value is outside their own band, or that say nothing.",
            _NONE_BAD,
        ),
        figure(
            "Open excursions",
            "none",
            Sql(f"SELECT count(*) FROM v_open_excursions WHERE {chosen}"),
            "Limits of storage profiles broken by what sublots went through, not yet disposed of.",
            _NONE_BAD,
        ),
        figure(
            "Holds in force",
            "none",
            Sql("SELECT count(*) FROM v_holds WHERE lifted_at IS NULL"),
            "Reasons why goods may not move on, everywhere.",
            _NONE_BAD,
        ),
        figure(
            "Sublots in these zones",
            "none",
            Sql(f"SELECT coalesce(sum(sublots), 0) AS sublots FROM v_zone_status WHERE {chosen}"),
            "How much stands there.",
            _MORE_IS_FINE,
        ),
    ]


def _climate() -> list[Any]:
    return [
        graph(
            "Temperature",
            "celsius",
            TELEMETRY,
            InfluxQl(
                f'SELECT mean("value") FROM "temperature" WHERE {_ZONES} '
                'GROUP BY time($__interval), "point" fill(null)',
                alias="$tag_point",
            ),
            "Mean per interval of every temperature point. A hole is a gap: nothing was known.",
            width=24,
        ),
        graph(
            "Highest temperature per zone",
            "celsius",
            TELEMETRY,
            InfluxQl(
                f'SELECT max("value") FROM "temperature" WHERE {_ZONES} GROUP BY time($__interval), "zone" fill(null)',
                alias="$tag_zone",
            ),
            "The warmest reading per interval: what a mean would hide.",
        ),
        graph(
            "Worst quality of readings",
            "none",
            TELEMETRY,
            InfluxQl(
                f'SELECT max("quality") FROM "temperature" WHERE {_ZONES} '
                'GROUP BY time($__interval), "device" fill(null)',
                alias="$tag_device",
            ),
            "0 good, 1 uncertain (counts against goods, never for them), 2 bad.",
        ),
        listing(
            "Zones",
            ERP,
            Sql(
                "SELECT zone, name, status, last_value, band_low, band_high, last_good_at, judged_to, alarms, "
                "sublots FROM v_zone_status WHERE zone IN (${zone:sqlstring}) ORDER BY zone"
            ),
            "Each zone's own band and last value, and how far it is judged.",
            width=24,
        ),
    ]


def _goods() -> list[Any]:
    return [
        listing(
            "Excursions",
            ERP,
            Sql(
                "SELECT broke_at, known_at, zone, item, lot, sublot, limit_key, kind, certainty, state, "
                "round(minutes_out::numeric, 1) AS minutes_out, lowest, highest FROM v_excursions_timeline "
                "WHERE $__timeFilter(broke_at) ORDER BY broke_at DESC LIMIT 500"
            ),
            "When it was so, when it was known, and how long it lasted.",
            width=24,
        ),
        listing(
            "Holds in force",
            ERP,
            Sql(
                "SELECT placed_at, since_at, kind, certainty, lot, sublot, shipment, zone, reason, lift_permit "
                "FROM v_holds WHERE lifted_at IS NULL ORDER BY placed_at DESC LIMIT 500"
            ),
            "What may not move on, why, and which permit can lift it.",
        ),
        listing(
            "Zone alarms",
            ERP,
            Sql(
                "SELECT raised_at, zone, kind, state, value, returned_at, acknowledged_by, shelved_until "
                "FROM v_zone_alarms WHERE $__timeFilter(raised_at) ORDER BY raised_at DESC LIMIT 500"
            ),
            "The rooms' own alarms, the operator's; they hold no goods.",
        ),
    ]
