"""What a file's cells are: read as they stand, taken for one value only, and refused where they could be two."""

import io
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any
from unicodedata import normalize
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xlsxwriter import Workbook

from core.erp.kernel.hidden import hidden_in
from core.erp.kernel.tabular.export import Export, csv_parts
from core.erp.kernel.tabular.faults import BadCell
from core.erp.kernel.tabular.fields import Field, Kind, heading_key
from core.erp.kernel.tabular.headings import Head, find_head, place_columns
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.reading_process import read
from core.erp.kernel.tabular.settling import Settled, settle
from core.erp.kernel.tabular.sheets import Ask, BadTable, Cell, Day, Found, Odd, Row, Stamp
from core.erp.kernel.tabular.values import Forms, value_of
from core.telemetry.readers.date_formats import DateOrder
from tests.services.tabular_world import FIELDS, csv_of, xlsx_of

KNOWN = sorted({heading_key(text) for field in FIELDS for text in (field.name, *field.labels.values())})
BY_NAME = {field.name: field for field in FIELDS}
CHINESE = csv_of(["编码", "名称", "数量"], ["A-1", "生理盐水", "5"])


def rows_of(data: bytes | str, **said: Any) -> tuple[Found, list[Row]]:
    found, rows = read(Ask(KNOWN, **said), data if isinstance(data, bytes) else data.encode())
    return found, list(rows)


def refused(data: bytes | str, **said: Any) -> BadTable:
    with pytest.raises(BadTable) as caught:
        rows_of(data, **said)
    return caught.value


# --- reading


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16"), ("gbk", "gbk")],
)
def test_a_file_is_read_whatever_its_letters(encoding: str, name: str) -> None:
    found, rows = rows_of(CHINESE.encode(encoding))
    assert (found.encoding, found.delimiter) == (name, ",")
    assert rows == [(1, ["编码", "名称", "数量"]), (2, ["A-1", "生理盐水", "5"])]


def test_letters_that_could_be_others_are_asked_for() -> None:
    """`ß` and `ö` in Windows' letters are a Chinese one in GBK: nobody can know."""
    data = csv_of(["Code", "Name"], ["A-1", "Größe"]).encode("cp1252")
    assert refused(data).failed.id == "tabular.say_encoding"
    assert "windows-1252: A-1,Größe" in str(refused(data).failed.params["choices"])
    assert rows_of(data, encoding="windows-1252")[1][1] == (2, ["A-1", "Größe"])
    assert refused(b"Code\nM\xfcller,\xff\xff", encoding="gbk").failed.params == {"encoding": "gbk", "line": 2}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_stands_between_cells_is_seen_by_known_headings(delimiter: str) -> None:
    text = csv_of(["Code", "Name", "Amount"], ["A;1", "b,c", "1,5"], delimiter=delimiter)
    assert rows_of(text)[0].delimiter == delimiter
    assert rows_of(text)[1][1] == (2, ["A;1", "b,c", "1,5"])


def test_a_delimiter_that_nothing_proves_is_asked_for_and_excels_own_line_obeyed() -> None:
    assert refused("x;y,z\n1;2,3").failed.id == "tabular.say_delimiter"
    assert rows_of("x;y,z\n1;2,3", delimiter=";")[1][0] == (1, ["x", "y,z"])
    assert rows_of("sep=|\nx;y|z\n1;2|3")[1] == [(2, ["x;y", "z"]), (3, ["1;2", "3"])]


def test_quoted_line_ends_stay_inside_and_lines_are_counted_as_an_editor_does() -> None:
    text = 'Code,Name\r\nA,"two\r\nlines, and ""quotes"""\r\n\r\nB,x\rC,y\n'
    assert rows_of(text)[1] == [
        (1, ["Code", "Name"]),
        (2, ["A", 'two\r\nlines, and "quotes"']),
        (5, ["B", "x"]),
        (6, ["C", "y"]),
    ]


def test_blank_cells_at_the_end_and_blank_lines_are_nothing() -> None:
    assert rows_of("Code,Name,,\n,,,\nA,b,,,,\n")[1] == [(1, ["Code", "Name"]), (3, ["A", "b"])]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty_file"),
        (b"\n\n \n", "empty_file"),
        (b"%PDF-1.7", "no_table"),
        (b"<html><table>", "no_table"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "no_table"),
        (b"\x1f\x8b\x08", "no_table"),
        (b"Code,Name\nA,\x00b", "not_text"),
        (b'Code,Name\nA,"b\nC,d', "broken_quotes"),
        (b'Code,Name\nA,"b"c', "broken_quotes"),
        (b'Code,Name\nA,"' + b"x" * 200_000 + b'"', "broken_quotes"),
        (b"Code\n" + b"," * 400 + b"x", "too_many_columns"),
        (b"Code\n" + b"x\n" * 100_001, "too_many_lines"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old_workbook"),
        (b"PK\x03\x04garbage", "no_workbook"),
    ],
)
def test_what_is_no_table_says_why(data: bytes, why: str) -> None:
    assert refused(data).failed.id == f"tabular.{why}"


def test_a_workbook_says_its_types() -> None:
    at = datetime.fromisoformat("2026-03-02T08:30:00")
    data = xlsx_of(["Code", "Name"], [], [7, 1.5, True, date(2026, 3, 2), time(8, 30), "a\nb", "=1/0"])
    found, rows = rows_of(data)
    assert (found.form, found.sheet) == ("xlsx", "Goods")
    cells = rows[1][1]
    assert rows[1][0] == 3
    assert cells[:4] == [7.0, 1.5, True, Day("2026-03-02")]
    assert isinstance(cells[4], Odd | Stamp | Day)
    assert cells[5] == "a\nb"
    stamped = xlsx_of(["Code"], [at], form="yyyy-mm-dd hh:mm")
    assert rows_of(stamped)[1][1] == (2, [Stamp("2026-03-02T08:30:00")])


def test_a_formula_that_failed_is_not_an_empty_cell() -> None:
    out = io.BytesIO()
    with Workbook(out) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["Code", "Name"])
        page.write_formula(1, 0, "=1/0", None, "#DIV/0!")
        page.write_formula(1, 1, "=1+1", None, 2)
    assert rows_of(out.getvalue())[1][1] == (2, [Odd("error", "#DIV/0!"), 2.0])


def test_a_workbook_of_several_sheets_is_asked_for_the_one() -> None:
    out = io.BytesIO()
    with Workbook(out) as book:
        for name, text in (("Goods", "Code"), ("Notes", "x"), ("Empty", "")):
            book.add_worksheet(name).write(0, 0, text)
    assert refused(out.getvalue()).failed.params == {"choices": ["Goods", "Notes"]}
    assert rows_of(out.getvalue(), sheet="Notes")[1] == [(1, ["x"])]
    assert refused(out.getvalue(), sheet="Other").failed.id == "tabular.no_such_sheet"


def test_a_bomb_of_a_workbook_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/worksheets/sheet1.xml", bytes(200 * 1024 * 1024))
    assert refused(out.getvalue()).failed.id == "tabular.too_large_unpacked"


# --- headings


def head_of(headings: list[str], mapping: Mapping | None = None) -> Head:
    return place_columns(1, headings, FIELDS, mapping or Mapping())


def whys(head: Head) -> list[tuple[str, str]]:
    return [(fault.column, fault.message.id.removeprefix("tabular.")) for fault in head.faults]


@pytest.mark.parametrize(
    "headings",
    [["code", "name"], ["Code *", " NAME"], ["编码（必填）", "名称"], ["Item No", "Name"], ["ＣＯＤＥ", "name"]],
)
def test_headings_are_known_in_both_languages_and_by_name(headings: list[str]) -> None:
    head = head_of(headings)
    assert not head.faults
    assert [column.field and column.field.name for column in head.columns] == ["code", "name"]


def test_a_heading_that_nobody_knows_is_asked_for_and_one_left_out_must_be_said() -> None:
    assert whys(head_of(["Code", "Name", "Colour"])) == [("Colour", "unknown_heading")]
    assert not head_of(["Code", "Name", "Colour"], Mapping(columns={"colour": None})).faults
    placed = head_of(["Code", "Bezeichnung"], Mapping(columns={"BEZEICHNUNG": "name"}))
    assert [column.field and column.field.name for column in placed.columns] == ["code", "name"]


def test_what_does_not_fit_is_a_fault_of_the_file() -> None:
    assert whys(head_of(["Code"])) == [("", "column_missing")]
    assert whys(head_of(["Code", "编码", "Name"])) == [("Code", "field_twice"), ("编码", "field_twice")]
    assert ("name", "heading_twice") in whys(head_of(["Code", "Name", "name"]))
    wrong = Mapping(columns={"Code": "kode", "Farbe": "name"})
    assert whys(head_of(["Code", "Name"], wrong)) == [
        ("Code", "no_such_field"),
        ("Farbe", "no_such_heading"),
        ("", "column_missing"),
    ]
    two = (Field("a", {"en": "Same"}), Field("b", {"zh": "Same"}))
    assert place_columns(1, ["Same"], two, Mapping()).faults[0].choices == ("a", "b")


def test_headings_are_found_below_a_title_and_names_below_headings_are_passed_over() -> None:
    rows: list[Row] = [(1, ["供应商导入模板"]), (3, ["编码", "名称"]), (4, ["code", "name"]), (5, ["A", "b"])]
    assert find_head(rows, FIELDS) == (3, ("编码", "名称"), frozenset({4}))
    assert find_head([(1, ["code", "name"]), (2, ["name", "code"])], FIELDS)[2] == frozenset()
    assert find_head([], FIELDS) == (0, (), frozenset())


# --- dates and numbers of a whole column


def settled(kind: str, *cells: Cell, said: Mapping | None = None, form: str = "csv") -> Settled:
    head = place_columns(1, ["code", "name", kind], FIELDS, Mapping())
    rows: list[Row] = [(number, ["c", "n", cell]) for number, cell in enumerate(cells, start=2)]
    return settle([(1, ["code", "name", kind]), *rows], head, said or Mapping(), form)


def test_one_row_proves_the_order_of_all_dates() -> None:
    assert settled("expiry", "03/04/2026", "13/04/2026").forms.orders == {2: DateOrder.DMY}
    assert settled("expiry", "03/04/2026", "04/13/2026").forms.orders == {2: DateOrder.MDY}
    assert not settled("expiry", "2026-03-04", "2026/3/4", "20260304", "2026年3月4日").faults
    assert not settled("expiry", "05/05/2026").faults


def test_dates_that_can_be_several_days_are_refused_with_the_choices() -> None:
    (fault,) = settled("expiry", "03/04/2026", "05/06/2026").faults
    assert (fault.line, fault.column, fault.choices) == (2, "expiry", ("dmy", "mdy"))
    assert fault.message.params["days"] == ["2026-04-03 (dmy)", "2026-03-04 (mdy)"]
    (fault,) = settled("expiry", "26.06.01").faults
    assert fault.choices == ("dmy", "ymd")
    said = settled("expiry", "03/04/2026", said=Mapping(date_order=DateOrder.MDY))
    assert (said.faults, said.forms.orders) == ((), {2: DateOrder.MDY})


def test_dates_of_several_orders_are_refused_and_dots_put_the_day_first() -> None:
    (fault,) = settled("expiry", "13/04/2026", "04/13/2026").faults
    assert fault.message.id == "tabular.dates_of_several_orders"
    dotted = settled("expiry", "03.04.2026")
    assert dotted.forms.orders == {2: DateOrder.DMY}
    assert [note.id for note in dotted.notes] == ["tabular.dots_are_day_first"]


def test_what_stands_before_fractions_is_said_and_never_guessed() -> None:
    for text, numbers in (
        ("1.5", ["1.5 (.)"]),
        ("1,5", ["1.5 (,)"]),
        ("1,234", ["1234 (.)", "1.234 (,)"]),
        ("1.234,5", ["1234.5 (,)"]),
    ):
        (fault,) = settled("amount", "7", text).faults
        assert (fault.line, fault.choices, fault.message.params["numbers"]) == (3, (".", ","), numbers)
    assert not settled("amount", "7", "-12", "1 000").faults
    assert not settled("amount", "1,5", said=Mapping(decimal=",")).faults
    assert not settled("amount", 1.5, form="xlsx").faults  # a workbook's numbers are numbers


def test_times_without_a_zone_need_one() -> None:
    (fault,) = settled("at", "2026-03-02T08:00Z", "2026-03-02 08:00").faults
    assert (fault.line, fault.message.id) == (3, "tabular.say_timezone")
    assert settled("at", Stamp("2026-03-02T08:00:00"), form="xlsx").faults
    assert settled("at", "2026-03-02 08:00", said=Mapping(timezone="Asia/Shanghai")).forms.zone == ZoneInfo(
        "Asia/Shanghai"
    )
    (fault,) = settled("at", "2026-03-02T08:00Z", said=Mapping(timezone="Mars/Base")).faults
    assert fault.message.id == "tabular.no_such_timezone"


# --- one cell

POINT = Forms(decimal=".", orders={0: DateOrder.DMY}, zone=ZoneInfo("Europe/Zurich"))
COMMA = Forms(decimal=",", orders={0: DateOrder.MDY})


@pytest.mark.parametrize(
    ("field", "cell", "forms", "value"),
    [
        ("name", "  two  words\u3000", POINT, "two  words"),
        ("name", "e\u0301", POINT, "é"),
        ("name", "a\r\nb", POINT, "a\nb"),
        ("name", "'=1+1", POINT, "=1+1"),
        ("name", "'quoted'", POINT, "'quoted'"),
        ("name", 42.0, POINT, "42"),
        ("amount", "1,234.5", POINT, Decimal("1234.5")),
        ("amount", "1.234,5", COMMA, Decimal("1234.5")),
        ("amount", "\N{MINUS SIGN}5", POINT, Decimal(-5)),
        ("amount", "１２.５", POINT, Decimal("12.5")),
        ("amount", "1 234", POINT, Decimal(1234)),
        ("amount", ".5", POINT, Decimal("0.5")),
        ("amount", 0.1 + 0.2, POINT, Decimal("0.3")),
        ("amount", "1.500000", POINT, Decimal("1.5")),
        ("count", "7", Forms(), 7),
        ("count", "7.0", POINT, 7),
        ("count", 7.0, POINT, 7),
        ("expiry", "03/04/2026", POINT, date(2026, 4, 3)),
        ("expiry", "03/04/2026", COMMA, date(2026, 3, 4)),
        ("expiry", "2026-03-04", POINT, date(2026, 3, 4)),
        ("expiry", "20260304", Forms(), date(2026, 3, 4)),
        ("expiry", "2026年3月4日", Forms(), date(2026, 3, 4)),
        ("expiry", "3 Mar 2026", POINT, date(2026, 3, 3)),
        ("expiry", Day("2026-03-04"), Forms(), date(2026, 3, 4)),
        ("expiry", Stamp("2026-03-04T00:00:00"), Forms(), date(2026, 3, 4)),
        ("at", "2026-03-02T08:30:00+08:00", Forms(), datetime(2026, 3, 2, 0, 30, tzinfo=UTC)),
        ("at", "02/03/2026 08:30", POINT, datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        ("at", Stamp("2026-07-02T08:30:00"), POINT, datetime(2026, 7, 2, 6, 30, tzinfo=UTC)),
        ("cold", "是", POINT, True),
        ("cold", "No", POINT, False),
        ("cold", True, POINT, True),
        ("cold", 0.0, POINT, False),
        ("state", "待验", POINT, "quarantine"),
        ("state", "RELEASED", POINT, "released"),
        ("amount", "", POINT, None),
        ("expiry", " \u00a0", POINT, None),
    ],
)
def test_a_cell_is_its_fields_value(field: str, cell: Cell, forms: Forms, value: object) -> None:
    found = value_of(cell, BY_NAME[field], 0, forms)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("field", "cell", "forms", "why"),
    [
        ("name", "", POINT, "empty"),
        ("name", None, POINT, "empty"),
        ("name", "a\x07b", POINT, "hidden_character"),
        ("name", "a\u202eb", POINT, "hidden_character"),
        ("code", "x" * 41, POINT, "too_long"),
        ("code", "6.93572E+12", POINT, "number_cut"),
        ("code", 1.5, POINT, "number_for_text"),
        ("code", 1e17, POINT, "number_for_text"),
        ("code", True, POINT, "typed_for_text"),
        ("code", Day("2026-03-04"), POINT, "typed_for_text"),
        ("code", Odd("error", "#REF!"), POINT, "failed_formula"),
        ("amount", Odd("duration", "30:00"), POINT, "length_of_time"),
        ("amount", "5 kg", POINT, "no_number"),
        ("amount", "1e3", POINT, "no_number"),
        ("amount", "1,5", POINT, "no_number"),
        ("amount", "1.5", COMMA, "no_number"),
        ("amount", "12,34,567", POINT, "no_number"),
        ("amount", "0x10", POINT, "no_number"),
        ("amount", "NaN", POINT, "no_number"),
        ("amount", "٣", POINT, "no_number"),
        ("amount", "--5", POINT, "no_number"),
        ("amount", True, POINT, "no_number"),
        ("amount", "1.2345", POINT, "too_many_decimals"),
        ("amount", "9" * 16, POINT, "too_large_a_number"),
        ("count", "1.5", POINT, "not_whole"),
        ("count", "-1", POINT, "too_small"),
        ("count", "1001", POINT, "too_big"),
        ("count", "9" * 30, POINT, "too_large_a_number"),
        ("expiry", "31/02/2026", POINT, "no_date"),
        ("expiry", "13/25/2026", POINT, "no_date"),
        ("expiry", "tomorrow", POINT, "no_date"),
        ("expiry", 46083.0, POINT, "number_for_date"),
        ("expiry", "02/03/2026 08:30", POINT, "time_in_date"),
        ("at", "02/03/2026", POINT, "no_time_of_day"),
        ("at", Day("2026-03-02"), POINT, "no_time_of_day"),
        ("at", "02/03/2026 25:30", POINT, "no_moment"),
        ("at", "2026-03-02 08:30", Forms(), "say_timezone"),
        ("at", "2026-03-29 02:30", POINT, "time_skipped"),
        ("at", "0001-01-01T00:00+14:00", POINT, "no_moment"),
        ("at", "9999-12-31T23:59-12:00", POINT, "no_moment"),
        ("at", "2026-10-25 02:30", POINT, "time_twice"),
        ("cold", "maybe", POINT, "no_flag"),
        ("cold", 2.0, POINT, "no_flag"),
        ("state", "rejected", POINT, "no_such_choice"),
    ],
)
def test_what_is_no_value_or_could_be_two_is_refused(field: str, cell: Cell, forms: Forms, why: str) -> None:
    with pytest.raises(BadCell) as caught:
        value_of(cell, BY_NAME[field], 0, forms)
    assert caught.value.message.id == f"tabular.{why}"


def test_a_heading_that_names_a_zone_says_it_of_its_column() -> None:
    """As the product's own template writes it: `Since (UTC)`."""
    fields = (Field("code", {"en": "Code"}), Field("since", {"en": "Since", "zh": "自"}, Kind.MOMENT))

    def read(heading: str, timezone: str | None = None) -> Settled:
        head = place_columns(1, ["Code", heading], fields, Mapping())
        assert head.faults == ()
        return settle(
            [(1, ["Code", heading]), (2, ["c", "2026-11-30 08:00:00"])], head, Mapping(timezone=timezone), "csv"
        )

    def instant(heading: str, timezone: str | None = None) -> object:
        return value_of("2026-11-30 08:00:00", fields[1], 1, read(heading, timezone).forms)

    for heading in ("Since (UTC)", "since (utc) *", "自（UTC）", "自 (UTC)"):
        assert instant(heading) == datetime(2026, 11, 30, 8, tzinfo=UTC), heading
    assert instant("Since (Asia/Shanghai)") == datetime(2026, 11, 30, tzinfo=UTC)
    assert instant("Since (+08:00)") == datetime(2026, 11, 30, tzinfo=UTC)
    assert instant("Since (UTC)", timezone="Asia/Shanghai") == datetime(2026, 11, 30, tzinfo=UTC)
    assert [one.message.id for one in read("Since").faults] == ["tabular.say_timezone"]
    assert [one.message.id for one in read("Since (Mars/Base)").faults] == ["tabular.say_timezone"]


# --- out and in again

TEXTS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
    .map(lambda text: text.strip(" \u00a0\u3000\ufeff\n"))
    .filter(lambda text: hidden_in(text) is None)
)
MOMENTS = st.integers(946_684_800, 4_070_908_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
DRAWN = {
    Kind.TEXT: TEXTS,
    Kind.DECIMAL: st.decimals(-(10**9), 10**9, places=6),
    Kind.INTEGER: st.integers(-(2**60), 2**60),
    Kind.DATE: st.dates(date(1900, 1, 1), date(2199, 1, 1)),
    Kind.MOMENT: MOMENTS,
    Kind.FLAG: st.booleans(),
}
COLUMNS = tuple(Field(kind, {"en": kind.title(), "zh": f"{kind}列"}, kind) for kind in DRAWN)
EXPORTS = st.builds(
    partial(Export, COLUMNS, byte_order_mark=True, zone=ZoneInfo("Asia/Shanghai")),
    language=st.sampled_from(["en", "zh"]),
    name_row=st.booleans(),
)


@given(st.lists(st.tuples(*DRAWN.values()), min_size=1, max_size=5), EXPORTS)
def test_what_is_exported_is_imported_as_it_was(rows: list[tuple[Any, ...]], export: Export) -> None:
    known = sorted({key for field in COLUMNS for key in field.headings})
    _, found = read(Ask(known), b"".join(csv_parts(export, rows)))
    line, headings, skipped = find_head(found, COLUMNS)
    head = place_columns(line, headings, COLUMNS, Mapping())
    below = [cells for number, cells in found if number > line and number not in skipped]
    back = [
        tuple(value_of(cells[place], field, place, Forms(decimal=".")) for place, field in enumerate(COLUMNS))
        for cells in below
    ]
    assert not head.faults
    assert back == [(normalize("NFC", text) or None, *rest) for text, *rest in rows]
