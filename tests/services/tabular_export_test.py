"""Exports as they stream: from the database's cursor through a file to whoever asked, and as a workbook."""

import asyncio
import io
import threading
import time
import zipfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, Select, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import Invalid, TooLarge
from core.erp.kernel.tabular import workbook_process
from core.erp.kernel.tabular.cursor import streamed
from core.erp.kernel.tabular.export import Export, Row, csv_parts
from core.erp.kernel.tabular.fields import Field, Kind
from core.erp.kernel.tabular.spool import Abandoned, Spool, begun, spooled
from core.erp.kernel.tabular.workbook_writer import write_workbook

FIELDS = tuple(
    Field(name, {"en": name.title(), "zh": f"{name}（中）"}, kind)
    for name, kind in (
        ("id", Kind.INTEGER),
        ("name", Kind.TEXT),
        ("amount", Kind.DECIMAL),
        ("expiry", Kind.DATE),
        ("at", Kind.MOMENT),
    )
)


def many(count: int) -> Select[Any]:
    columns = ("'=S-' || i", "i / 4.0", "date '2026-01-01' + i % 1000", "timestamptz '2026-01-01Z'")
    numbers: Select[Any] = select(literal_column("i")).select_from(text(f"generate_series(1, {count}) AS i"))
    return numbers.add_columns(*[literal_column(one) for one in columns])


def collect(parts: AsyncGenerator[bytes, None]) -> bytes:
    async def all_of() -> bytes:
        return b"".join([part async for part in parts])

    return asyncio.run(all_of())


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def csv_writer(engine: Engine, count: int) -> Any:
    def write(spool: Spool) -> None:
        with streamed(engine, many(count)) as rows:
            for part in csv_parts(Export(FIELDS), rows):
                spool.write(part)

    return write


def workbook(rows: Iterator[Row] | list[Row], **asked: Any) -> bytes:
    return collect(spooled(lambda spool: write_workbook(Export(FIELDS, **asked), rows, spool)))


def test_a_large_table_streams_through_flat_memory(engine: Engine) -> None:
    collect(spooled(csv_writer(engine, 100)))
    before, most, lines = memory(), 0, 0

    async def reads() -> None:
        nonlocal most, lines
        async for part in spooled(csv_writer(engine, 60_000)):
            most, lines = max(most, memory()), lines + part.count(b"\r\n")

    asyncio.run(reads())
    assert lines == 60_001
    assert most - before < 24 * 1024 * 1024


def test_the_export_writes_nothing_and_no_step_of_it_takes_longer_than_it_may(engine: Engine) -> None:
    with (
        pytest.raises(DBAPIError, match="read-only"),
        streamed(engine, select(literal_column("nextval('site_id_seq')"))),
    ):
        pass
    slow: Select[Any] = select(literal_column("pg_sleep(5)"))
    start = time.monotonic()
    with pytest.raises(Invalid, match="takes too long"), streamed(engine, slow, longest=timedelta(seconds=0.2)):
        pass
    assert time.monotonic() - start < 3
    with engine.connect() as conn:  # given back to the pool as it was
        assert conn.execute(text("SHOW transaction_read_only")).scalar() == "off"
        assert conn.execute(text("SHOW statement_timeout")).scalar() == "0"


def test_a_slow_reader_holds_no_transaction(engine: Engine) -> None:
    """The first bytes come while the rest is written, and the database is done long before the reader is."""

    async def reads() -> int:
        lines = 0
        async with aclosing(spooled(csv_writer(engine, 20_000))) as parts:
            async for part in parts:
                if not lines:
                    await asyncio.to_thread(open_transactions_end, engine)
                lines += part.count(b"\r\n")
        return lines

    assert asyncio.run(reads()) == 20_001


def open_transactions_end(engine: Engine) -> None:
    busy = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL")
    for _ in range(200):
        with engine.connect() as conn:
            if conn.execute(busy).scalar() == 1:  # this very question
                return
        time.sleep(0.05)
    raise AssertionError("a transaction is still open")


def test_a_reader_who_goes_away_ends_the_writer() -> None:
    ended = threading.Event()

    def write(spool: Spool) -> None:
        try:
            while True:
                spool.write(b"x" * 1000)
        except Abandoned:
            ended.set()
            raise

    async def reads() -> None:
        async with aclosing(spooled(write)) as parts:
            async for _ in parts:
                break

    asyncio.run(reads())
    assert ended.is_set()


def test_a_fault_before_the_first_byte_is_raised_and_one_after_breaks_off() -> None:
    def fails(at_once: bool) -> Any:
        def write(spool: Spool) -> None:
            if not at_once:
                spool.write(b"first")
                time.sleep(0.2)
            raise ValueError("the database is away")

        return write

    async def begin(*, at_once: bool) -> AsyncGenerator[bytes, None]:
        return await begun(spooled(fails(at_once)))

    async def goes_on() -> AsyncGenerator[bytes, None]:
        parts = await begin(at_once=False)
        yield await anext(parts)
        with pytest.raises(ValueError, match="away"):
            await anext(parts)

    with pytest.raises(ValueError, match="away"):
        asyncio.run(begin(at_once=True))
    assert collect(goes_on()) == b"first"


def test_a_file_has_at_most_so_many_bytes() -> None:
    def write(spool: Spool) -> None:
        for _ in range(10):
            spool.write(b"x" * 100)

    with pytest.raises(TooLarge):
        collect(spooled(write, most=500))
    assert len(collect(spooled(write, most=1000))) == 1000


def test_a_workbook_holds_what_was_exported() -> None:
    at = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
    rows: list[Row] = [
        [1, "=1+1", Decimal("-5.250000"), date(2027, 11, 30), at],
        [10**17, "批号 _x0041_ \x07 bell", Decimal("123456789012.123456"), date(1899, 1, 1), None],
        [None, "x" * 40_000, None, None, None],
    ]
    book = CalamineWorkbook.from_filelike(io.BytesIO(workbook(iter(rows), language="zh", name_row=True)))
    found = book.get_sheet_by_index(0).to_python()
    assert found[0] == ["id（中）", "name（中）", "amount（中）", "expiry（中）", "at（中） (UTC)"]
    assert found[1] == ["id", "name", "amount", "expiry", "at"]
    assert found[2] == [1.0, "=1+1", -5.25, date(2027, 11, 30), "2026-03-02T00:30:00+00:00"]
    # what a spreadsheet would round or cannot count is text with all its digits
    assert found[3][0] == str(10**17)
    assert found[3][2:4] == ["123456789012.123456", "1899-01-01"]
    assert "批号 _x0041_" in str(found[3][1])
    assert str(found[4][1]).endswith("(40000 letters: the rest is in the CSV)")
    formulas = book.get_sheet_by_index(0)
    assert not any("1+1" in str(cell) for row in formulas.to_python() for cell in row if not isinstance(cell, str))


def test_a_cell_that_looks_like_a_formula_is_none_even_when_it_is_edited() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook([[1, "=1+1", None, None, None]]))) as book:
        sheet, styles = (book.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "styles"))
    assert "<f>" not in sheet
    assert 't="inlineStr"><is><t>=1+1' in sheet
    assert 'quotePrefix="1"' in styles


def test_more_rows_than_a_sheet_has_go_onto_the_next() -> None:
    out = io.BytesIO()
    ask = workbook_process.Ask([["A"]], [Kind.INTEGER], "/tmp", most_rows=3)
    workbook_process.write(ask, [[1], [2], [3]], out)
    book = CalamineWorkbook.from_filelike(io.BytesIO(out.getvalue()))
    assert [book.get_sheet_by_name(name).to_python() for name in book.sheet_names] == [
        [["A"], [1.0], [2.0]],
        [["A"], [3.0]],
    ]


def test_a_workbook_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.erp.kernel.tabular.workbook_writer.SECONDS", 0.3)

    def rows() -> Iterator[Row]:
        for number in range(10**9):
            yield [number, "x" * 1000, None, None, None]

    with pytest.raises(Invalid, match="workbook takes too much time"):
        workbook(rows())


def test_the_database_statement_times_out_inside_a_workbook(engine: Engine) -> None:
    def write(spool: Spool) -> None:
        slow = many(5000).add_columns(literal_column("pg_sleep(0.01)"))
        with streamed(engine, slow, longest=timedelta(seconds=0.3)) as rows:
            write_workbook(Export(FIELDS), (row[:5] for row in rows), spool)

    with pytest.raises(Invalid, match="takes too long"):
        collect(spooled(write))
