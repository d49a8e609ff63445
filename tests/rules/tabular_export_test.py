"""What an export's cells are: numbers stay numbers, times tell their zone, and no text is run by a spreadsheet."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.tabular.export import Export, csv_parts, text_of
from core.erp.kernel.tabular.fields import Choice, Field, Kind, heading_key
from core.erp.kernel.tabular.formulas import escaped, runs, unescaped

NAME = Field("name", {"en": "Name", "zh": "名称"})
AMOUNT = Field("amount", {"en": "Amount", "zh": "数量"}, Kind.DECIMAL)
AT = Field("at", {"en": "Received", "zh": "收货时间"}, Kind.MOMENT)
STATE = Field("state", {"en": "State", "zh": "状态"}, Kind.CHOICE, choices=(Choice("released", {"zh": "已放行"}),))

# Written by hand: what programs of this kind are known to run (OWASP, CSV injection), and what they do not.
RUN = (
    "=1+1",
    "+49 30 1234",
    "-5 °C",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\uff1d1+1",
    "=cmd|' /C calc'!A0",
    "'=1+1",
)
NOT_RUN = ("S-1", "2-8 °C", "a=b", "", "'quoted'", "批号", "(01)06935718600010")


def table(export: Export, *rows: Any) -> str:
    return b"".join(csv_parts(export, rows)).decode()


@pytest.mark.parametrize("text", RUN)
def test_a_text_that_would_run_goes_out_as_text(text: str) -> None:
    (_, cells) = csv.reader(io.StringIO(table(Export((NAME,)), [text]), newline=""))
    assert runs(text)
    assert cells == [f"'{text}"]


@pytest.mark.parametrize("text", NOT_RUN)
def test_any_other_text_goes_out_as_it_is(text: str) -> None:
    (_, cells) = csv.reader(io.StringIO(table(Export((NAME,)), [text]), newline=""))
    assert cells == [text]


@given(st.text())
def test_what_goes_out_comes_in_as_it_was(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert not escaped(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers() -> None:
    rows = table(Export((NAME, AMOUNT)), ["a", Decimal("-5.250000")], ["b", -3], ["c", 1.5], ["d", Decimal("1E+3")])
    assert rows.splitlines()[1:] == ['"a",-5.25', '"b",-3', '"c",1.5', '"d",1000']
    comma = Export((NAME, AMOUNT), delimiter=";", decimal=",")
    assert table(comma, ["a", Decimal("-5.25")]).splitlines()[1] == '"a";-5,25'
    with pytest.raises(ValueError, match="comma"):
        Export((NAME,), decimal=",")


def test_a_figure_shows_no_binary_digits() -> None:
    export = Export((AMOUNT,))
    shown = table(export, [8.2 + 0.1], [0.1 + 0.2], [-18.0], [1e-07], [float("inf")]).splitlines()[1:]
    assert shown == ["8.3", "0.3", "-18.0", "1e-07", '"inf"']
    (cell,) = export.cells()
    assert cell(8.2 + 0.1) == 8.3, "nor in a workbook, nor on paper"
    assert text_of(cell(8.2 + 0.1)) == "8.3"


def test_times_carry_their_offset_and_the_heading_names_the_zone() -> None:
    shanghai = Export((AT,), zone=ZoneInfo("Asia/Shanghai"))
    at = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
    assert table(shanghai, [at]).splitlines() == ['"Received (Asia/Shanghai)"', '"2026-03-02T08:30:00+08:00"']
    twice = Export((AT,), zone=ZoneInfo("Europe/Zurich"))
    hour = [datetime(2026, 10, 25, clock, 30, tzinfo=UTC) for clock in (0, 1)]
    assert table(twice, *([one] for one in hour)).splitlines()[1:] == [
        '"2026-10-25T02:30:00+02:00"',
        '"2026-10-25T02:30:00+01:00"',
    ]


def test_headings_words_and_names_are_as_asked() -> None:
    chinese = Export((NAME, STATE), language="zh", name_row=True, byte_order_mark=True)
    lines = table(chinese, ["甲", "released"]).splitlines()
    assert lines == ['\ufeff"名称","状态"', '"name","state"', '"甲","已放行"']
    assert table(Export((STATE,)), ["released"]).splitlines()[1] == '"released"'


def test_other_values_are_told_as_text() -> None:
    rows = [
        [None],
        [True],
        [["a", 1]],
        [[{"day": 1}]],
        [{"a": Decimal("1.50")}],
        [timedelta(hours=2)],
        [date(2026, 3, 2)],
        [b"\x01"],
    ]
    lines = table(Export((NAME,)), *rows).splitlines()[1:]
    assert lines == ["", '"yes"', '"a; 1"', '"{""day"": 1}"', '"{""a"": ""1.5""}"', '"PT2H"', "2026-03-02", '"01"']


def test_quotes_and_line_ends_inside_a_cell_stay_inside() -> None:
    text = 'he said "no",\r\n=1+1'
    (_, cells) = csv.reader(io.StringIO(table(Export((NAME,)), [text]), newline=""))
    assert cells == [text]


def test_headings_compare_without_case_marks_and_widths() -> None:
    same = ("Lot No.", " lot no. *", "LOT_NO.", "Ｌｏｔ　Ｎｏ．", "Lot  No. (required)")
    assert len({heading_key(text) for text in same}) == 1
    assert heading_key("批号（必填）") == heading_key("批号")


def test_a_field_says_what_it_is_or_is_none() -> None:
    label = {"en": "X"}
    with pytest.raises(ValueError, match="choices"):
        Field("x", label, Kind.CHOICE)
    with pytest.raises(ValueError, match="choices"):
        Field("x", label, choices=(Choice("a"),))
    with pytest.raises(ValueError, match="labels"):
        Field("x", {"en": " "})
