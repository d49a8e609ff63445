"""Set-based SQL over SQLModel tables: the Core table behind a model, typed."""

from typing import Any, cast

from sqlalchemy import ColumnElement, Table, TypeDecorator
from sqlmodel import SQLModel


def table(model: type[SQLModel]) -> Table:
    """The Core table of a model, for set-based statements (`table(Hold).c.sublot_id`)."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel makes it when the class is made


def value_type(column: ColumnElement[Any]) -> Any:
    """The Python type of a column's values; SQLModel's own text type does not say it."""
    said, kind = column.type.python_type, column.type
    return kind.impl_instance.python_type if said is object and isinstance(kind, TypeDecorator) else said
