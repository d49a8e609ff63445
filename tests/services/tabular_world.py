"""An entity of a test's own that is imported: a plain table with a field of every kind, and files made by hand."""

import asyncio
import csv
import io
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from tempfile import TemporaryFile
from typing import Any

from sqlalchemy import Engine, text
from xlsxwriter import Workbook

from core.erp.kernel.errors import Refused
from core.erp.kernel.events import Events
from core.erp.kernel.rights import APP
from core.erp.kernel.tabular.fields import Choice, Field, Kind
from core.erp.kernel.tabular.importable import Importable, Line, LineFault
from core.erp.kernel.tabular.importing import import_table
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.reading import read_table
from core.erp.kernel.tabular.report import Mode, Report
from core.erp.kernel.tabular.undoing import undo_import
from core.erp.kernel.unit import Actor, Unit, transact
from core.erp.kernel.words import Message

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PAT = Actor("pat", frozenset(), user_id=7)

FIELDS = (
    Field("code", {"en": "Code", "zh": "编码"}, required=True, aliases=("item no",), longest=40),
    Field("name", {"en": "Name", "zh": "名称"}, required=True),
    Field("amount", {"en": "Amount", "zh": "数量"}, Kind.DECIMAL, decimals=3),
    Field("count", {"en": "Count", "zh": "件数"}, Kind.INTEGER, least=Decimal(0), most=Decimal(1000)),
    Field("expiry", {"en": "Expiry", "zh": "有效期"}, Kind.DATE),
    Field("at", {"en": "Received", "zh": "收货时间"}, Kind.MOMENT),
    Field("cold", {"en": "Cold", "zh": "冷藏"}, Kind.FLAG),
    Field(
        "state",
        {"en": "State", "zh": "状态"},
        Kind.CHOICE,
        choices=(Choice("quarantine", {"en": "Quarantine", "zh": "待验"}), Choice("released", {"zh": "放行"})),
    ),
    Field("supplier", {"en": "Supplier", "zh": "供应商"}),
)

_TABLE = """
    CREATE TABLE received (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE, name text,
        amount numeric(18, 6) CHECK (amount > 0), count bigint, expiry date, at timestamptz, cold boolean, state text,
        supplier_id bigint, withdrawn text)
"""
_INSERT = text("""
    INSERT INTO received (code, name, amount, count, expiry, at, cold, state, supplier_id)
    VALUES (:code, :name, :amount, :count, :expiry, :at, :cold, :state, :supplier_id) RETURNING id
""")


def make_table(owner: Engine) -> None:
    with owner.begin() as conn:
        conn.execute(text(_TABLE))
        conn.execute(text("CREATE TABLE supplier_of_test (id bigint PRIMARY KEY, code text)"))
        conn.execute(text("INSERT INTO supplier_of_test VALUES (5, 'ALP')"))
        conn.execute(text(f"GRANT SELECT, INSERT, UPDATE ON received, supplier_of_test TO {APP}"))


def create(u: Unit, line: Line) -> int:
    values = line.values
    if "forbidden" in values["name"]:
        raise Refused("kernel.cursor_invalid", extra={"field": "name"})
    row = {field.name: None for field in FIELDS} | {"supplier_id": None} | dict(values)
    made: int = u.conn.execute(_INSERT, row).scalar_one()
    u.audit("received.create", "received", made, after={"code": values["code"]})
    return made


def suppliers(u: Unit, lines: Sequence[Line]) -> list[LineFault]:
    """Codes become ids, all at once; one that nobody has is refused."""
    known = {row.code: row.id for row in u.conn.execute(text("SELECT code, id FROM supplier_of_test"))}
    faults = []
    for line in lines:
        code = line.values.pop("supplier", None)
        if code is not None and code not in known:
            faults.append(LineFault(line.number, "supplier", Message("tabular.no_such_choice", choices=[*known])))
        line.values["supplier_id"] = known.get(code)
    return faults


def withdraw(u: Unit, ids: Sequence[int], reason: str) -> None:
    u.conn.execute(text("UPDATE received SET withdrawn = :r WHERE id = ANY(:ids)"), {"r": reason, "ids": list(ids)})


def moved(u: Unit, ids: Sequence[int], since: datetime) -> dict[int, str]:
    del since
    rows = u.conn.execute(
        text("SELECT id, code FROM received WHERE id = ANY(:ids) AND state = 'released'"), {"ids": list(ids)}
    )
    return {row.id: row.code for row in rows}


RECEIVED = Importable("received", FIELDS, create, ("code",), suppliers, withdraw, moved)


class Office:
    """Somebody who hands in files."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = NOW

    def hand_in(
        self,
        data: bytes | str,
        said: Mapping | None = None,
        *,
        mode: Mode = Mode.ALL,
        dry_run: bool = False,
        importable: Importable = RECEIVED,
        name: str = "goods.csv",
        actor: Actor = PAT,
    ) -> Report:
        """As a route does it: read by a process of its own, then one transaction."""
        content = data if isinstance(data, bytes) else data.encode()
        mapping = said or Mapping()

        async def read() -> Report:
            with TemporaryFile() as file:
                file.write(content)
                file.flush()
                async with read_table(name, file, mapping, importable.known) as found:
                    self.now += timedelta(minutes=1)

                    def work(u: Unit) -> Report:
                        return import_table(u, importable, found, mapping, mode=mode, dry_run=dry_run)

                    return transact(self.engine, actor, Events(), work, self.now)

        return asyncio.run(read())

    def undo(self, run_id: int, importable: Importable = RECEIVED) -> None:
        self.now += timedelta(minutes=1)
        transact(self.engine, PAT, Events(), lambda u: undo_import(u, importable, run_id, "wrong supplier"), self.now)

    def rows(self, columns: str = "code") -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(f"SELECT {columns} FROM received ORDER BY id"))]


def csv_of(*rows: Sequence[object], delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def xlsx_of(*rows: Sequence[Any], sheet: str = "Goods", form: str = "yyyy-mm-dd") -> bytes:
    out = io.BytesIO()
    with Workbook(out, {"default_date_format": form}) as book:
        page = book.add_worksheet(sheet)
        for number, row in enumerate(rows):
            page.write_row(number, 0, row)
    return out.getvalue()


def said_of(report: Report) -> list[tuple[int, str, str]]:
    """(line, column, id of the message) of every fault told."""
    return [(fault.line, fault.column, fault.message.id.removeprefix("tabular.")) for fault in report.faults.listed()]


def large(lines: int, bad: int) -> str:
    """A file of so many lines, of which so many are bad, each in one of five ways."""
    chance = random.Random(1)
    wrong = dict(zip(sorted(chance.sample(range(lines), bad)), range(bad), strict=True))
    rows: list[Sequence[object]] = [["Code", "Name", "Amount", "Count", "Expiry", "Received", "Cold", "State"]]
    for number in range(lines):
        row = [f"C-{number}", f"Item {number}", f"{number % 90 + 1}.25", number % 1000, "2027-11-30"]
        row += ["2026-03-02T08:30:00+08:00", "yes", "Quarantine"]
        if number in wrong:
            place, value = ((2, "x"), (4, "2027-13-01"), (1, ""), (2, "-1"), (1, "forbidden"))[wrong[number] % 5]
            row[place] = value
        rows.append(row)
    return csv_of(*rows)
