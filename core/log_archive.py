"""Whether the database's log is archived: what a restore to a point in time plays, and what fills the disk if it stops.

PostgreSQL archives segment after segment and keeps what it cannot. It tells of it nowhere but in its own log, so it is
looked at here: by /healthz, `lotwise doctor` and `lotwise backup`, and as a task for whoever manages users.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select, text

from core.erp.kernel.events import Events
from core.erp.kernel.permits import MANAGES_USERS
from core.erp.kernel.tables import table
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.workflow import STANDING
from core.erp.kernel.unit import Unit, system, unit
from core.erp.kernel.words import Message

SLOW, SEGMENTS_BEHIND = timedelta(minutes=10), 4
"""A copy that hangs is no failure to PostgreSQL: this long without a segment while so many are finished, it is."""
TASK = "log_archive"
MEND_WITHIN = timedelta(hours=4)

_STATE = text("""
    SELECT a.archived_count, a.last_archived_wal, a.last_archived_time, a.last_failed_wal, a.last_failed_time,
        now() AS now, pg_walfile_name(pg_current_wal_lsn()) AS current
    FROM pg_stat_archiver a
""")

_NOWHERE = text("""
    SELECT bool_or(setting IN ('', '(disabled)', '/bin/true') OR name = 'archive_mode' AND setting = 'off')
    FROM pg_settings WHERE name IN ('archive_mode', 'archive_command')
""")


@dataclass(frozen=True, slots=True)
class LogArchive:
    """How far the log is archived. `archived_at` is when a segment last was; None: never."""

    archived_at: datetime | None
    failed_at: datetime | None
    failed: str | None
    """The segment that could not be archived last."""
    behind: int
    """Finished segments that come after the last archived one."""
    now: datetime

    @property
    def trouble(self) -> Message | None:
        """What is wrong; None if nothing is."""
        since = self.archived_at
        if self.failed_at is not None and (since is None or self.failed_at > since):
            return Message("kernel.log_archive_fails", segment=self.failed or "", since=since or self.failed_at)
        if since is not None and self.behind > SEGMENTS_BEHIND and self.now - since > SLOW:
            return Message("kernel.log_archive_hangs", since=since, count=self.behind)
        return None


def log_archive(conn: Connection) -> LogArchive:
    """As the database's statistics say it; any role may ask."""
    row = conn.execute(_STATE).one()
    behind = _number(row.current) - _number(row.last_archived_wal) - 1 if row.last_archived_wal else 0
    return LogArchive(row.last_archived_time, row.last_failed_time, row.last_failed_wal, max(0, behind), row.now)


def unarchived(conn: Connection) -> bool:
    """Whether the log is let go: nobody has said where to."""
    return conn.scalar(_NOWHERE) is True


def watch(engine: Engine, events: Events, now: datetime) -> None:
    """Opens a task while the log is not archived, and ends it afterwards."""
    with engine.connect() as conn:
        trouble = log_archive(conn).trouble
        t = table(Task).c
        standing = conn.scalar(select(t.id).where(t.kind == TASK, t.state.in_(sorted(STANDING)))) is not None
    if (trouble is not None) == standing:
        return
    with unit(engine, system("log archive"), events, now) as u:
        if trouble is None:
            tasks.finish(u, TASK, 1, TASK)
            return
        tasks.open_task(u, TASK, trouble, due_at=now + MEND_WITHIN, permit=MANAGES_USERS, entity=TASK, entity_id=1)


def _number(segment: Any) -> int:
    """Which segment of 16 MiB it is, of its timeline. Its name is three numbers of 8 hexadecimal digits."""
    return int(segment[8:16], 16) * 256 + int(segment[16:24], 16)


def tell_backup(u: Unit, failure: str | None) -> None:
    """A backup was made, or was not, and why: people are told until one is made."""
    if failure is None:
        u.outbox("backup.made", "backup", {})
    else:
        u.outbox("backup.failed", "backup", {"detail": failure})
