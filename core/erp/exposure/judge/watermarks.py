"""What gateways tell of zones besides readings: how far their sources have told all, and what is lost."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import text

from core.erp.exposure.rules.gaps import gap_told
from core.erp.exposure.times import moment
from core.erp.kernel.unit import Unit
from core.telemetry.address import zone_or_point
from core.telemetry.batch import Gap


class WatermarkSource(NamedTuple):
    """A source of a gateway; `group` is the gateway's redundancy group, "" where it stands alone."""

    gateway: str
    source: str
    group: str = ""

    @property
    def logical_source(self) -> tuple[str, str, str]:
        """What it speaks as: the same for a source that the gateways of one group all read."""
        return self.group, "" if self.group else self.gateway, self.source


def complete_to(marks: Mapping[WatermarkSource, int]) -> int:
    """Up to where every voice has told all: of a group's source the furthest counts, of different ones the least."""
    voices: dict[tuple[str, str, str], int] = {}
    for source, upto in marks.items():
        voices[source.logical_source] = max(voices.get(source.logical_source, 0), upto)
    return min(voices.values())


def write_watermarks(
    u: Unit, marks: Mapping[int, Mapping[WatermarkSource, int]], behind: Mapping[tuple[str, str], timedelta]
) -> dict[int, dict[WatermarkSource, int]]:
    """Writes them and gives those that count: a retired source counts again once it speaks of a time since then.

    `behind`: how far each (gateway, source) stays back while all is well.
    """
    rows = sorted((zone, *source, upto) for zone, of in marks.items() for source, upto in of.items())
    if not rows:
        return {}
    written = u.conn.execute(
        text(
            "INSERT INTO source_watermark (zone_id, gateway, source, redundancy_group, upto, behind, received_at,"
            " advanced_at) SELECT *, CAST(:now AS timestamptz), CAST(:now AS timestamptz)"
            " FROM unnest(CAST(:zones AS bigint[]), CAST(:gateways AS text[]),"
            " CAST(:sources AS text[]), CAST(:groups AS text[]), CAST(:uptos AS timestamptz[]),"
            " CAST(:behind AS interval[]))"
            " ON CONFLICT (zone_id, gateway, source) DO UPDATE"
            " SET upto = greatest(source_watermark.upto, excluded.upto), received_at = excluded.received_at,"
            " advanced_at = CASE WHEN excluded.upto > source_watermark.upto THEN excluded.advanced_at"
            " ELSE source_watermark.advanced_at END, redundancy_group = excluded.redundancy_group,"
            " behind = CASE WHEN excluded.upto < source_watermark.upto THEN source_watermark.behind"
            " ELSE excluded.behind END,"
            " retired_at = CASE WHEN excluded.upto <= source_watermark.retired_at THEN source_watermark.retired_at END"
            " RETURNING zone_id, gateway, source, redundancy_group, retired_at"
        ),
        {
            "now": u.now,
            "zones": [row[0] for row in rows],
            "gateways": [row[1] for row in rows],
            "sources": [row[2] for row in rows],
            "groups": [row[3] for row in rows],
            "uptos": [moment(row[4]) for row in rows],
            "behind": [behind.get((row[1], row[2]), timedelta(0)) for row in rows],
        },
    )
    out: dict[int, dict[WatermarkSource, int]] = {zone: {} for zone in marks}
    for row in written:
        if row.retired_at is None:
            source = WatermarkSource(row.gateway, row.source, row.redundancy_group)
            out[row.zone_id][source] = marks[row.zone_id][source]
    return out


_INSERT_GAP = text(
    "INSERT INTO gap_record (zone_id, point_id, start_at, stop_at, reason, reason_message, known_at) VALUES ("
    "(SELECT id FROM zone WHERE address = :zone), (SELECT id FROM point WHERE address = :point),"
    " :start, :stop, :reason, CAST(:message AS jsonb), :now)"
)


def record_lost_spans(u: Unit, lost: Sequence[tuple[str, Gap]]) -> None:
    """Puts the gaps that gateways told of on record, each under its zone or point, where the catalog has it."""
    rows = []
    for gateway, gap in lost:
        zone, point = zone_or_point(gap.scope)
        message = json.dumps(gap_told(gateway, gap.reason).as_json())
        values = {
            "start": gap.start,
            "stop": gap.stop,
            "reason": f"{gateway}: {gap.reason}",
            "message": message,
            "now": u.now,
        }
        rows.append({"zone": zone, "point": point, **values})
    if rows:
        u.conn.execute(_INSERT_GAP, rows)
