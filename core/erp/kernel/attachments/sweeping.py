"""Files that hang on nothing: their upload was refused or broke off after they were written. Removed after a week."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, select, text

from core.erp.kernel.attachments.files import FileStore
from core.erp.kernel.attachments.model import AttachmentVersion
from core.erp.kernel.model import Restoration
from core.erp.kernel.tables import table

KEEP = timedelta(days=7)
"""How long a file waits to be attached. Long: after a restore it may belong to a row that the backup lacks."""
BROKEN_OFF = timedelta(days=1)
AT_ONCE = 500

_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('lotwise.attachment'), hashtext(:sha256))")


def sweep(engine: Engine, store: FileStore, now: datetime) -> int:
    """Removes files that hang on nothing and were written over a week ago; gives how many.

    Removes nothing while a restored database waits for QA's signature: it may lack their rows. Two may sweep at once.
    """
    with engine.connect() as conn:
        if conn.execute(select(table(Restoration).c.id).where(table(Restoration).c.signed_at.is_(None))).first():
            return 0
    store.remove_broken_off((now - BROKEN_OFF).timestamp())
    before = (now - KEEP).timestamp()
    old = sorted(name for name, stat in store.names().items() if stat.st_mtime < before)
    return sum(_remove(engine, store, name, before) for name in _orphans(engine, old))


def _orphans(engine: Engine, names: list[str]) -> Iterator[str]:
    for start in range(0, len(names), AT_ONCE):
        part = names[start : start + AT_ONCE]
        with engine.connect() as conn:
            known = _known(conn, part)
        yield from (name for name in part if name not in known)


def _remove(engine: Engine, store: FileStore, name: str, before: float) -> bool:
    """Under the lock that whoever attaches takes: either it is attached by then, or they find it gone."""
    with engine.begin() as conn:
        conn.execute(_ALONE, {"sha256": name})
        return not _known(conn, [name]) and store.remove(name, before)


def _known(conn: Connection, names: list[str]) -> set[str]:
    hashes = table(AttachmentVersion).c.sha256
    return set(conn.execute(select(hashes).where(hashes == func.any(names))).scalars())
