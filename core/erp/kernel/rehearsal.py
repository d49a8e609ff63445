"""Part of a transaction that may come to nothing: tried and undone, or undone only where it fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlmodel import Session

from core.erp.kernel.unit import Unit

T = TypeVar("T")


def rehearsed(u: Unit, work: Callable[[Unit], T]) -> T:
    """What the work returns; nothing of what it did is kept, also if it fails."""
    trial = u.conn.begin_nested()
    try:
        return work(u)
    finally:
        trial.rollback()
        u.discard()


@contextmanager
def attempted(u: Unit) -> Iterator[None]:
    """A savepoint: where the block raises, also by the database's own guards, nothing of it is left, and the
    transaction may go on.

    The block has a session of its own, since one whose rows the database has refused is good for nothing more.
    """
    u.flush()
    around, savepoint = u.session, u.conn.begin_nested()
    u.session = Session(bind=u.conn, expire_on_commit=False, join_transaction_mode="create_savepoint")
    try:
        yield
        u.flush()
        u.session.commit()
    except BaseException:
        u.discard()
        u.session.close()
        savepoint.rollback()
        raise
    else:
        savepoint.commit()
    finally:
        u.session.close()
        u.session = around
