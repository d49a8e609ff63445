"""A sublot's label: what it is in words, and as a symbol for scanners."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from core.erp.catalog.model import Item
from core.erp.kernel import gs1_elements as gs1
from core.erp.kernel.errors import absent
from core.erp.kernel.printing.documents import Document
from core.erp.kernel.printing.symbols import data_matrix, gs1_data_matrix
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import LANGUAGES, Message, plain_number, render
from core.erp.lots.model import Lot, Sublot
from core.erp.lots.scopes import SUBLOTS

SUBLOT_LABEL = Document("lots", "sublot_label")
INTERNAL = "91"
"""The application identifier of a firm's own data: the sublot's code, which scanners here look for."""
_S, _L, _I = table(Sublot).c, table(Lot).c, table(Item).c


@dataclass(frozen=True, slots=True)
class Label:
    """The data of the template `sublot_label`, and since when the sublot is there."""

    data: dict[str, Any]
    at: datetime
    code: str


def label_of(u: Unit, sublot_id: int) -> Label:
    """The label of a sublot that the actor may see. Raises NotFound."""
    statement = (
        select(
            _S.code,
            _S.serial,
            _S.created_at,
            _L.number,
            _L.expiry,
            _I.code.label("item_code"),
            _I.name.label("item"),
            _I.gtin,
            _I.uom,
            func.lotwise_on_hand(_S.id).label("on_hand"),
        )
        .join(Lot, _L.id == _S.lot_id)
        .join(Item, _I.id == _L.item_id)
        .where(_S.id == sublot_id)
    )
    row = u.conn.execute(scoped(statement, SUBLOTS, u.actor)).one_or_none()
    if row is None:
        raise absent("sublot", sublot_id)
    symbol, readable = symbol_of(row)
    lines = [
        _line("lots.label_lot", row.number, big=True),
        *([_line("lots.label_expiry", row.expiry.isoformat(), big=True)] if row.expiry else []),
        *([_line("lots.label_serial", row.serial)] if row.serial else []),
        _line("lots.label_amount", f"{plain_number(row.on_hand)} {row.uom}"),
        _line("record.sublot", row.code),
    ]
    words = {"code": row.code, "item": row.item, "item_code": row.item_code, "lines": lines}
    return Label({**words, "symbol": symbol, "readable": readable}, row.created_at, row.code)


def symbol_of(row: Any) -> tuple[str, str]:
    """(symbol, what is printed below it): GS1 with item, expiry, lot, serial and our code where the item has a GTIN and
    its values can stand in a GS1 symbol; else the sublot's code alone.
    """
    if row.gtin:
        elements = [
            gs1.gtin(row.gtin),
            *([gs1.expiry(row.expiry)] if row.expiry else []),
            gs1.Element("10", row.number),
            *([gs1.Element("21", row.serial)] if row.serial else []),
            gs1.Element(INTERNAL, row.code),
        ]
        try:
            return gs1_data_matrix(elements), gs1.readable(elements)
        except gs1.BadElements:  # a lot number of more than 20 letters, or in Chinese
            pass
    return data_matrix(row.code), row.code


def _line(message: str, value: str, *, big: bool = False) -> dict[str, Any]:
    label = {language: render(Message(message), language) for language in LANGUAGES}
    return {"label": label, "value": value, "big": big}
