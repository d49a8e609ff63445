"""The site overview: zones as states over time, the worst first, and what is held."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from typing import Any

from dashboards.boards.common import holds, holds_figure, open_excursions, with_panels
from dashboards.panels import MORE_IS_FINE, NONE_BAD, States, board, figure, listing, timeline
from dashboards.readings import RANGE, ZONES, site_area_zone
from dashboards.sources import Sql, Store

UID = "lotwise-site"
CHOSEN = "zone IN (${zone:sqlstring})"
ZONE_STATES: States = {
    "-1": ("not measured", "#6e6e6e"),
    "0": ("in range", "green"),
    "1": ("sensor in doubt", "blue"),
    "2": ("silent", "purple"),
    "3": ("too cold", "#5794f2"),
    "4": ("too warm", "red"),
}
TO_ZONE = {"zone": ("The zone in Lotwise", "${lotwise}/zones/${__data.fields.zone_id}")}


def build(store: Store) -> Any:
    """The board."""
    made = board(UID, "Site overview", "Every zone's state over time, the worst first, and what is held.", ["site"])
    for variable in site_area_zone(store):
        made = made.with_variable(variable)
    return with_panels(made, *_figures(), *_zones())


def _figures() -> list[Any]:
    return [
        figure(
            "Zones out of range or silent",
            "none",
            Sql(f"SELECT count(*) FROM v_zone_status WHERE {CHOSEN} AND status NOT IN ('in range', 'unknown')"),
            "Zones whose last value is outside their own band, or that say nothing.",
            NONE_BAD,
            link="/plant",
        ),
        open_excursions(
            "Open excursions",
            "Limits of storage profiles broken by what sublots went through, not yet disposed of.",
            CHOSEN,
        ),
        holds_figure("Reasons why goods may not move on, everywhere."),
        figure(
            "Sublots in these zones",
            "none",
            Sql(f"SELECT coalesce(sum(sublots), 0) AS sublots FROM v_zone_status WHERE {CHOSEN}"),
            "How much stands there.",
            MORE_IS_FINE,
        ),
    ]


def _zones() -> list[Any]:
    return [
        timeline(
            "Zones over time",
            Sql(
                f'SELECT at AS "time", zone AS metric, state FROM board_zone_states({ZONES}, {RANGE})',
                series=True,
            ),
            "By their alarms: too warm, too cold, silent, or a sensor in doubt. Zones that were worst stand first.",
            ZONE_STATES,
            height=12,
        ),
        listing(
            "Zones, worst first",
            Sql(
                "SELECT zone, name, status, last_value, band_low, band_high, last_good_at, judged_to, alarms, sublots, "
                f"zone_id FROM v_zone_status WHERE {CHOSEN} ORDER BY CASE status WHEN 'high' THEN 0 WHEN 'low' THEN 0 "
                "WHEN 'silent' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END, alarms DESC, sublots DESC, zone"
            ),
            "Each zone's own band and last value, and how far it is judged.",
            width=24,
            links=TO_ZONE,
            hidden=["zone_id"],
        ),
        holds(width=12),
        listing(
            "Zone alarms",
            Sql(
                "SELECT raised_at, zone, kind, state, value, returned_at, acknowledged_by, shelved_until, "
                "id FROM v_zone_alarms "
                f"WHERE $__timeFilter(raised_at) AND {CHOSEN} ORDER BY raised_at DESC LIMIT 500"
            ),
            "The rooms' own alarms, the operator's; they hold no goods.",
            links={"kind": ("The alarm in Lotwise", "${lotwise}/alarms/${__data.fields.id}")},
            hidden=["id"],
        ),
    ]
