"""Queries for readings, from either series store.

Where few zones are shown over a few days the readings themselves are asked for: by the functions of
`core/outbound/board_functions.py`, or of InfluxDB. Where there would be too many, each hour's lowest and highest
value is drawn, which PostgreSQL keeps. InfluxDB is kept out of that by the hidden variable `near`: the chosen zones,
or none.
"""

# ruff: noqa: S608 - the parts of these queries are constants of this room

from typing import Any

from dashboards.panels import choice
from dashboards.sources import Asked, InfluxQl, Sql, Store

ZONES = "ARRAY[${zone:sqlstring}]"
RANGE = "$__timeFrom(), $__timeTo()"
_SHOWN = "($__timeTo()::timestamptz - $__timeFrom()::timestamptz)"
_LONG = f"({_SHOWN} > interval '7 days' OR cardinality({ZONES}) * {_SHOWN} > interval '70 days')"
"""Over a week, or more than seventy days of all zones together: half a second is not enough for their readings."""
_NOT_NEAR = f"NOT {ZONES} && ARRAY[${{near:sqlstring}}]"
_OF_ZONES = '"zone" =~ /^${zone:regex}$/ AND $timeFilter'
_NEAR = f'{_OF_ZONES} AND "zone" =~ /^${{near:regex}}$/'
_EACH = 'GROUP BY time($__interval), "point" fill(none)'


def site_area_zone(store: Store, *, several: bool = True) -> list[Any]:
    """The variables that lead to zones; InfluxDB's boards have `near` besides."""
    made = [
        choice("site", "Site", "SELECT DISTINCT site FROM v_zone_status ORDER BY site"),
        choice(
            "area",
            "Area",
            "SELECT DISTINCT area FROM v_zone_status WHERE site IN (${site:sqlstring}) ORDER BY area",
        ),
        choice(
            "zone",
            "Zone",
            "SELECT zone FROM v_zone_status WHERE site IN (${site:sqlstring}) AND area IN "
            "(${area:sqlstring}) ORDER BY zone",
            several=several,
        ),
    ]
    return [*made, near()] if store is Store.INFLUX else made


def near() -> Any:
    """The hidden variable: the zones whose readings InfluxDB is asked for."""
    return choice(
        "near",
        "",
        f"SELECT zone FROM v_zone_status WHERE zone IN (${{zone:sqlstring}}) AND NOT ({_LONG}) UNION ALL SELECT '-'",
        hidden=True,
    )


def _band(store: Store, quantity: str) -> str:
    by_hours = _LONG if store is Store.POSTGRES else "true"
    return f"board_band({ZONES}, '{quantity}', {RANGE}, $__interval_ms, {by_hours})"


def room(store: Store, quantity: str) -> list[Asked]:
    """A room's lowest and highest value of all its points in each column."""
    band = _band(store, quantity)
    columns = 'at AS "time", min(low) AS lowest, max(high) AS highest'
    if store is Store.POSTGRES:
        return [Sql(f"SELECT {columns} FROM {band} GROUP BY 1 ORDER BY 1", series=True)]
    asked = 'SELECT min("{0}") AS "lowest", max("{0}") AS "highest" FROM "{1}" WHERE {2} AND "quality" < 2 '
    "GROUP BY time($__interval) fill(none)"
    return [
        InfluxQl(asked.format("value", quantity, _NEAR), alias="$col"),
        InfluxQl(asked.format("value_int", quantity, _NEAR), alias="$col", ref="C"),
        Sql(f"SELECT {columns} FROM {band} WHERE {_NOT_NEAR} GROUP BY 1 ORDER BY 1", series=True, ref="B"),
    ]


def points(store: Store, quantity: str) -> list[Asked]:
    """Every point's lowest and highest value in each column."""
    band = _band(store, quantity)
    columns = 'at AS "time", point AS metric, low, high'
    if store is Store.POSTGRES:
        return [Sql(f"SELECT {columns} FROM {band} ORDER BY 1", series=True)]

    def asked(field: str) -> str:
        values = f'min("{field}") AS "low", max("{field}") AS "high"'
        return f'SELECT {values} FROM "{quantity}" WHERE {_NEAR} AND "quality" < 2 {_EACH}'

    return [
        InfluxQl(asked("value"), alias="$tag_point $col"),
        InfluxQl(asked("value_int"), alias="$tag_point $col", ref="C"),
        Sql(f"SELECT {columns} FROM {band} WHERE {_NOT_NEAR} ORDER BY 1", series=True, ref="B"),
    ]


def last(store: Store, quantity: str) -> list[Asked]:
    """The last value of each device in each column: states, doors, counters."""
    if store is Store.POSTGRES:
        asked = f"board_last({ZONES}, '{quantity}', {RANGE}, $__interval_ms)"
        return [Sql(f'SELECT at AS "time", device AS metric, value FROM {asked} ORDER BY 1', series=True)]
    each = f'FROM "{quantity}" WHERE {_OF_ZONES} GROUP BY time($__interval), "device" fill(none)'
    return [
        InfluxQl(f'SELECT last("value_int") {each}', alias="$tag_device"),
        InfluxQl(f'SELECT last("value_bool") {each}', alias="$tag_device", ref="C"),
        InfluxQl(f'SELECT last("value") {each}', alias="$tag_device", ref="D"),
    ]


def limits() -> Asked:
    """The limits that hold in the chosen zones, the room's and the products', as level lines."""
    return Sql(
        "SELECT t.at AS \"time\", 'limit ' || profile || ' ' || op || ' ' || threshold AS metric, threshold AS limit "
        "FROM v_zone_limits CROSS JOIN (VALUES ($__timeFrom()::timestamptz), ($__timeTo()::timestamptz)) t(at) "
        "WHERE zone IN (${zone:sqlstring}) ORDER BY 1",
        series=True,
        ref="L",
    )


def unsure(store: Store) -> list[Asked]:
    """How many readings of each zone were uncertain or bad."""
    if store is Store.POSTGRES:
        return [
            Sql(
                f'SELECT at AS "time", zone AS metric, uncertain, bad FROM board_unsure({ZONES}, '
                f"$__timeTo(), $__interval_ms) "
                "ORDER BY 1",
                series=True,
            )
        ]
    count = (
        'SELECT count("quality") FROM /.*/ WHERE {0} AND "quality" = {1} GROUP BY time($__interval), "zone" fill(none)'
    )
    return [
        InfluxQl(count.format(_NEAR, 1), alias="$tag_zone uncertain"),
        InfluxQl(count.format(_NEAR, 2), alias="$tag_zone bad", ref="C"),
    ]


def compressor(store: Store) -> list[Asked]:
    """Of each hour: the share of minutes in which the compressor ran, and how often it started; InfluxDB only counts
    the readings that say it runs, beside all of them.
    """
    if store is Store.POSTGRES:
        minutes = f"board_last({ZONES}, 'compressor', {RANGE}, 60000)"
        return [
            Sql(
                "SELECT date_bin('1 hour', at, 'epoch') AS \"time\", device AS metric, 100 * avg(value) AS \"duty %\", "
                "count(*) FILTER (WHERE value > before) AS starts FROM (SELECT at, device, value, "
                f"lag(value) OVER (PARTITION BY point ORDER BY at) AS before FROM {minutes}) m GROUP BY 1, "
                f"2 ORDER BY 1",
                series=True,
            )
        ]
    hours = f'FROM "compressor" WHERE {_OF_ZONES}'
    each = 'GROUP BY time(1h), "device" fill(0)'
    return [
        InfluxQl(f'SELECT count("value_bool") {hours} AND "value_bool" = true {each}', alias="$tag_device on"),
        InfluxQl(f'SELECT count("quality") {hours} {each}', alias="$tag_device readings", ref="C"),
    ]
