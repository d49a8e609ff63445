"""`lotwise prove`: spool, confirmations and series store side by side, for a gateway and a span.

Every batch that the gateway's spool cut in the span must be confirmed under the same hash; what was confirmed must add
up (count = landed + duplicates + conflicts + dead letters); what landed must be in PostgreSQL under its batch, or,
where its week was dropped, in the series store; what is shipped must be in the series store, equal.
"""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from core.series.port import SeriesStore
from edge.spool import spool_headers
from lotwise.proof import Difference, Report
from lotwise.proving_headers import compare_headers, core_headers, whole_hours
from lotwise.proving_series import compare_series

__all__ = ["Difference", "Report", "prove"]


def prove(
    gateway: str, start: datetime, stop: datetime, spool_dir: Path, engine: Engine, series: SeriesStore | None
) -> Report:
    """Lays the three side by side for batches cut in [start, stop). `series` is the store behind, None without one.

    Raises FileNotFoundError (no spool there), sqlite3.Error, SQLAlchemy's OperationalError, StoreUnavailable,
    ValueError (the spool is another gateway's).
    """
    report = Report(gateway, start, stop)
    hours = whole_hours(start, stop)
    spool = spool_headers(spool_dir, *hours)
    if spool.gateway != gateway:
        raise ValueError(f"the spool at {spool_dir} is {spool.gateway or 'nobody'}'s, not {gateway}'s")
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        confirmed = compare_headers(report, spool, core_headers(conn, gateway, *hours))
        compare_series(report, conn, confirmed, series)
    if spool.uncut:
        report.spool.more["commits not yet cut"] = spool.uncut
    return report
