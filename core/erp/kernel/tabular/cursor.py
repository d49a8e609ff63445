"""Rows of a statement as they stream from the database: a cursor on the server, so that a million are as light as one.

In a transaction of their own that can write nothing, with a bound on how long any step of it may take.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Row, Select

AT_ONCE = 2000
"""Rows that are in memory at a time."""
LONGEST = timedelta(seconds=30)
"""By default how long the database may take until the first row, and then for each AT_ONCE."""


@contextmanager
def streamed(engine: Engine, statement: Select[Any], *, longest: timedelta = LONGEST) -> Iterator[Iterator[Row[Any]]]:
    """The statement's rows, as of one moment. Raises OperationalError (SQLSTATE 57014) where a step takes longer."""
    with engine.connect() as conn:
        conn.exec_driver_sql("SET TRANSACTION READ ONLY")
        conn.exec_driver_sql(f"SET LOCAL statement_timeout = {int(longest.total_seconds() * 1000)}")
        with conn.execution_options(yield_per=AT_ONCE).execute(statement) as rows:
            yield iter(rows)
        conn.rollback()
