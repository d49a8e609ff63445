"""The cold room board: what a room's climate is, what its machines do, and what it did to the goods in it."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import excursions, with_panels
from dashboards.boards.site import CHOSEN
from dashboards.panels import States, board, graph, listing, timeline
from dashboards.readings import RANGE, ZONES, compressor, last, limits, points, room, site_area_zone, unsure
from dashboards.sources import Sql, Store

UID = "lotwise-cold-room"
_DOOR: States = {
    "0": ("closed", "green"),
    "1": ("open", "orange"),
    "false": ("closed", "green"),
    "true": ("open", "orange"),
}


def build(store: Store) -> Any:
    """The board."""
    made = board(UID, "Cold room", "A room's climate, its machines, and what it did to the goods in it.", ["climate"])
    for variable in site_area_zone(store):
        made = made.with_variable(variable)
    band = graph(
        "Band of $zone",
        "celsius",
        [*room(store, "temperature"), limits()],
        "Lowest and highest reading of all its points in each column, never a mean. Dashed: the room's band "
        "and the limits of "
        "the products that stood there. Long ranges are drawn from each hour's lowest and highest.",
        width=24,
        band=True,
    ).repeat("zone")
    return with_panels(made, band, *_climate(store), *_goods())


def _climate(store: Store) -> list[Any]:
    return [
        graph(
            "Every point",
            "celsius",
            points(store, "temperature"),
            "Lowest and highest of every temperature point. A hole is a gap: nothing was known.",
            width=24,
        ),
        graph("Humidity", "humidity", points(store, "humidity"), "Lowest and highest of every humidity point."),
        graph(
            "Readings in doubt",
            "short",
            unsure(store),
            "Uncertain readings count against goods and never for them; bad ones are none. At most the last "
            "day of the range.",
            bars=True,
        ),
        timeline("Door", last(store, "door"), "Open or closed, by the controller.", _DOOR, width=12),
        graph(
            "Compressor",
            "short",
            compressor(store),
            "Per hour: on PostgreSQL the share of minutes it ran and how often it started; on InfluxDB how "
            "many readings say "
            "that it runs, of how many.",
        ),
        graph(
            "Minutes outside the room's band",
            "m",
            Sql(f'SELECT at AS "time", zone AS metric, minutes FROM board_minutes_out({ZONES}, {RANGE})', series=True),
            "Of each day (UTC), by the room's alarms. What the goods' profiles allow is another matter: see "
            "excursions.",
            bars=True,
        ),
        graph(
            "Mean kinetic temperature, at most",
            "celsius",
            Sql(f'SELECT at AS "time", point AS metric, celsius FROM board_mkt_at_most({ZONES}, {RANGE})', series=True),
            "Of each day, with every hour counted at its warmest reading (83.14 kJ/mol): the true one is "
            "not above it. What a "
            "product is judged by, with its own activation energy, stands on the sublot's page.",
        ),
        listing(
            "Sensors",
            Sql(
                "SELECT zone, point, role, serial, model, trust, calibrated_at, calibration_due_at FROM v_sensor_trust "
                f"WHERE {CHOSEN} ORDER BY trust = 'trusted', zone, point LIMIT 500"
            ),
            "Whether each sensor can be believed: its calibration, and what was found in its readings. The "
            "doubtful ones first.",
            width=24,
        ),
    ]


def _goods() -> list[Any]:
    return [
        excursions(
            f"$__timeFilter(broke_at) AND {CHOSEN}", "When it was so, when it was known, and how long it lasted."
        ),
        listing(
            "Gaps",
            Sql(
                "SELECT start_at, stop_at, round(minutes::numeric, 1) AS minutes, silences, zone, point, "
                "reason, known_at "
                f"FROM v_gaps WHERE $__timeFilter(start_at) AND {CHOSEN} ORDER BY start_at DESC LIMIT 500"
            ),
            "Spans for which it is known that nothing is known.",
            width=24,
        ),
    ]
