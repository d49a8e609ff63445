"""Connections to the database: pools whose connections are looked at after a rest, and those of who only reads.

A short statement costs less than the messages around it. A transaction that only reads needs none of them: under READ
COMMITTED each statement sees what is committed when it begins, with or without BEGIN and COMMIT around several. And the
driver forgets on ROLLBACK what it has prepared, so that every statement is parsed and planned anew after one.
"""

import time
from datetime import timedelta
from typing import Any

from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

REST = 1.0
"""Seconds in the pool after which a connection is asked whether it lives before it is used."""
PREPARED_MOST = 400
"""Statements that stay prepared on a connection: as many as the commonest lists and records have together."""
NEEDS_TRANSACTION = frozenset({"25006", "25P01"})
"""SQLSTATEs of what writes, locks rows, or has a savepoint or a cursor, on a connection of those who only read."""
_READ_ONLY, _RESTED, _LONGEST = "lotwise_read_only", "lotwise_rested", "lotwise_longest"


def look_after_rest(engine: Engine) -> None:
    """A connection that has rested is asked whether it lives, and made anew if not; one in use a moment ago is not
    asked: that would be a message more for every request.
    """

    def rests(dbapi_connection: Any, record: Any) -> None:
        del dbapi_connection
        record.info[_RESTED] = time.monotonic()

    def asked(dbapi_connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get(_RESTED, float("inf")) <= REST:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error

    event.listen(engine, "checkin", rests)
    event.listen(engine, "checkout", asked)


def keep_prepared(engine: Engine) -> None:
    """Statements stay prepared on the engine's connections, as many as are commonly asked."""

    def connected(dbapi_connection: Any, record: Any) -> None:
        del record
        dbapi_connection.prepared_max = PREPARED_MOST

    event.listen(engine, "connect", connected)


def read_only(engine: Engine, connections: int, lock_timeout: timedelta) -> Engine:
    """Connections to the same database of those who only read: no transaction stands around their statements, and
    PostgreSQL refuses what would write. `lock_timeout` is how long a statement waits for somebody who changes a table.
    """
    made = create_engine(
        engine.url,
        isolation_level="AUTOCOMMIT",
        pool_size=connections,
        max_overflow=connections,
        hide_parameters=True,
        connect_args={"options": f"-c default_transaction_read_only=on -c lock_timeout={_ms(lock_timeout)}"},
        execution_options={**engine.get_execution_options(), _READ_ONLY: True},
    )
    look_after_rest(made)
    keep_prepared(made)
    return made


def begin_waiting(conn: Connection, lock_timeout: timedelta) -> None:
    """Begins the connection's transaction, in which a lock is waited for so long (SQLSTATE 55P03 after that): in one
    message instead of two.
    """
    raw: Any = conn.connection.dbapi_connection
    wait = f"SET LOCAL lock_timeout = {_ms(lock_timeout)}"
    if raw.pgconn.exec_(f"BEGIN; {wait}".encode()).status != ExecStatus.COMMAND_OK:
        conn.exec_driver_sql(wait)  # the driver says what is wrong


def close_for_good(engine: Engine) -> None:
    """Closes the engine's connections: those that are in use as soon as they are given back, where a pool that is only
    disposed of keeps them open without anybody who would close them.
    """

    def given_back(dbapi_connection: Any, record: Any) -> None:
        if dbapi_connection is not None:
            record.invalidate()

    event.listen(engine, "checkin", given_back)
    engine.dispose()


def bound_statements(conn: Connection, longest: timedelta | None) -> None:
    """From here on each statement may take that long (SQLSTATE 57014 after that), or as long as it takes: until the end
    of the transaction; without one, until it is said otherwise.
    """
    wanted = _ms(longest) if longest is not None else 0
    if not conn.get_execution_options().get(_READ_ONLY):
        conn.exec_driver_sql(f"SET LOCAL statement_timeout = {wanted}")
    elif conn.info.get(_LONGEST, 0) != wanted:
        conn.info[_LONGEST] = None  # not known, should this be undone
        conn.exec_driver_sql(f"SET statement_timeout = {wanted}")
        conn.info[_LONGEST] = wanted


def end_transaction(conn: Connection) -> None:
    """Ends what somebody has begun by hand on a connection without transactions, so that what is prepared stays."""
    raw: Any = conn.connection.dbapi_connection
    if raw.info.transaction_status is TransactionStatus.INTRANS:
        conn.exec_driver_sql("COMMIT")


def _ms(length: timedelta) -> int:
    return int(length.total_seconds() * 1000)
