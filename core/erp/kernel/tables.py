"""Set-based SQL over SQLModel tables: the Core table behind a model, typed."""

from typing import cast

from sqlalchemy import Table
from sqlmodel import SQLModel


def table(model: type[SQLModel]) -> Table:
    """The Core table of a model, for set-based statements (`table(Hold).c.sublot_id`)."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel makes it when the class is made
