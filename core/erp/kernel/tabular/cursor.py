"""Rows of a statement as they stream from the database: a cursor on the server, so that a million are as light as one.

In a transaction of their own that can write nothing, with a bound on how long any step of it may take.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Row, Select
from sqlalchemy.exc import OperationalError

from core.erp.kernel.errors import Invalid

AT_ONCE = 2000
"""Rows that are in memory at a time."""
LONGEST = timedelta(seconds=30)
"""By default how long the database may take until the first row, and then for each AT_ONCE."""
_CANCELED = "57014"


@contextmanager
def streamed(
    engine: Engine,
    statement: Select[Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    longest: timedelta = LONGEST,
) -> Iterator[Iterator[Row[Any]]]:
    """The statement's rows, as of one moment. Raises Invalid where a step takes longer."""
    try:
        with engine.connect() as conn:
            conn.exec_driver_sql("SET TRANSACTION READ ONLY")
            conn.exec_driver_sql(f"SET LOCAL statement_timeout = {int(longest.total_seconds() * 1000)}")
            with conn.execution_options(yield_per=AT_ONCE).execute(statement, parameters or {}) as rows:
                yield iter(rows)
            conn.rollback()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        raise Invalid("tabular.export_too_slow") from error
