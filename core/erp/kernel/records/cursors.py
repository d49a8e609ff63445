"""Cursors: where a page of a list ended, as the sort it had and the last row's value and id."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Row

from core.erp.kernel.errors import Invalid
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.shapes import BIGGEST_ID
from core.erp.kernel.tables import value_type, values_of
from core.erp.kernel.unit import json_value

_READ: dict[type, Callable[[Any], Any]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    timedelta: lambda value: timedelta(seconds=value),
    Decimal: Decimal,
    int: int,
    float: float,
    str: str,
    bool: bool,
}


def encode(sort: tuple[str, bool], row: Row[Any]) -> str:
    """The cursor behind this row in a list of this order, as opaque text."""
    values = values_of(row)
    content = json.dumps([sort[0], sort[1], json_value(values[sort[0]]), values["id"]], ensure_ascii=False)
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(entity: Entity, sort: tuple[str, bool], cursor: str) -> tuple[Any, int]:
    """(the last row's value, its id). Raises Invalid for what is no cursor, or one of a list in another order."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        name, descending, position, record_id = json.loads(text)
        if (name, descending) != sort:
            raise Invalid("kernel.cursor_of_another_order")
        value = _READ[value_type(entity.rows.c[name])](position)
    except (ValueError, TypeError, InvalidOperation, binascii.Error) as error:
        raise Invalid("kernel.cursor_invalid") from error
    if type(record_id) is not int or not 0 <= record_id <= BIGGEST_ID:
        raise Invalid("kernel.cursor_invalid")
    return value, record_id
