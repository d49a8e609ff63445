"""`lotwise ingest replay`: dead letters tried again."""

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.unit import system
from core.ingest.replaying import Filter
from core.ingest.replaying import replay as run
from core.settings import Settings
from core.wiring import build_events
from lotwise.runtime import servers


def replay(settings: Settings, *, reason: str | None, gateway: str | None, dry_run: bool) -> int:
    """Tries open dead letters again and says what came of it; 0 if none is left, else 1."""
    with servers(settings, stream=False, user="ingest replay") as found:
        engine = found.engine()
        try:
            if dry_run:
                return _show(engine, reason, gateway)
            done = run(
                engine,
                Judge(),
                build_events(),
                system("command line"),
                Filter(reason=reason, gateway=gateway),
                live=settings.instance == "live",
                now=datetime.now(UTC),
            )
        finally:
            engine.dispose()
    out = Console()
    out.print(f"landed {done.landed}, duplicates {done.duplicates}, conflicts {done.conflicts}, batches {done.batches}")
    for why, count in sorted(done.remaining.items()):
        out.print(f"still refused: {count} ({why})", highlight=False)
    return 1 if done.remaining else 0


def _show(engine: Engine, reason: str | None, gateway: str | None) -> int:
    table = Table("reason", "dead letters", "oldest")
    with engine.connect() as conn:
        rows = conn.execute(
            text(
                "SELECT reason, count(*) AS count, min(at) AS oldest FROM dead_letter WHERE replayed_at IS NULL"
                " AND (cast(:reason AS text) IS NULL OR reason = :reason)"
                " AND (cast(:gateway AS text) IS NULL OR gateway = :gateway) GROUP BY reason ORDER BY reason"
            ),
            {"reason": reason, "gateway": gateway},
        ).all()
    for row in rows:
        table.add_row(row.reason, str(row.count), row.oldest.isoformat())
    Console().print(table)
    return 1 if rows else 0
