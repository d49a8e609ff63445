"""Loggers whose tables say something in a way of their own: small declarations, each with its source. Pure.

Everything else is found by content (csv_frame, headings); a dialect adds a name, the number of the device, a zone or
names of columns that the file itself does not give. Facts are taken from the sources named, no code.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dialect:
    """A logger's table. `sign` is looked for in all that stands before the first row, `row` in the first row.

    `zone` is what its times are in by its maker's definition. `columns` names those (1 for the first) that have no
    heading, so that `headings` can tell what they are.
    """

    name: str
    source: str
    sign: re.Pattern[str] | None = None
    row: re.Pattern[str] | None = None
    zone: str | None = None
    columns: dict[int, str] = field(default_factory=dict)
    serial: re.Pattern[str] | None = None


DIALECTS = (
    Dialect(
        "Onset HOBO",
        "HOBOware CSV: a title line, '#', 'Date Time, GMT-04:00', series with 'LGR S/N', columns of events ('Logged'); "
        "dates and AM/PM in the computer's language. Described by the R package myClim (mc_data_formats); recorded in "
        "the tests of the QGIS plugin Midvatten and in github.com/debotaniker/mibitools",
        sign=re.compile(r"LGR S.?N|Plot Title", re.IGNORECASE),
        serial=re.compile(r"LGR S.?N:? *(\w+)", re.IGNORECASE),
    ),
    Dialect(
        "LogTag",
        "USB loggers' own CSV: lines of a key and a value ('Serial #', 'Reading interval', 'Non alert range'), then "
        "number, date, time, temperature. Described by github.com/msupply-foundation/temperature-sensor src/logtag.rs",
        sign=re.compile(r"Non alert range|LogTag", re.IGNORECASE),
        serial=re.compile(r"^\W*Serial #\W*(\w+)", re.IGNORECASE | re.MULTILINE),
    ),
    Dialect(
        "Elitech",
        "RC-51H text: 'S/N : …', 'Timezone : UTC +00:00', headings 'No.', 'Time', '°C', '%RH' with a tab more than the "
        "rows have, decimal commas, 'NC' for no value. Described by github.com/yannickkk/Pyrtick sondes/global.R",
        sign=re.compile(r"Trip Description|Elitech|精创", re.IGNORECASE),
        serial=re.compile(r"S/N *: *(\w+)", re.IGNORECASE),
    ),
    Dialect(
        "iButton Thermochron",
        "OneWireViewer text: '1-Wire/iButton Registration Number: …', then Date/Time,Unit,Value. Described by Maxim's "
        "OneWireViewer source and recorded in many repositories (20-07-23 19:01:00,C,13.5; 21/08/16 9:05:00 PM,C,7.5)",
        sign=re.compile(r"1-Wire|iButton", re.IGNORECASE),
        serial=re.compile(r"Registration Number: *(\w+)", re.IGNORECASE),
    ),
    Dialect(
        "TOMST TMS",
        "Lolly data_*.csv without headings, by semicolons: number, time in UTC, time zone, T1, T2, T3, soil moisture, "
        "shake, error flag. Described at tomst.com/web/en/systems/tms/data and by the R package myClim",
        row=re.compile(r"\d+;\d{1,4}\.\d\d\.\d{1,4} \d\d:\d\d(?::\d\d)?;-?\d+;-?\d+(?:[.,]\d+)?;.*;\d+;\d;\d+;?"),
        zone="UTC",
        columns={
            1: "#",
            3: "time zone",
            4: "T1 (°C)",
            5: "T2 (°C)",
            6: "T3 (°C)",
            7: "moisture",
            8: "shake",
            9: "errFlag",
        },
    ),
    Dialect(
        "Gemini Tinytag",
        "Explorer CSV: ',Time,1,2', then rows S/N, Type, Description and Property with the quantities; no units. "
        "Recorded in github.com/abazemore/dataloggergraphs tests/testthat/fixtures/tinytag",
        sign=re.compile(r"^\W*Property\b|Tinytag", re.IGNORECASE | re.MULTILINE),
        serial=re.compile(r"^S/N\W+(\w+)", re.IGNORECASE | re.MULTILINE),
    ),
    Dialect(
        "T&D",
        "CSV with three lines of headings (numbers, names, units) and the time twice. Recorded in "
        "github.com/abazemore/dataloggergraphs tests/testthat/fixtures/tandd",
        sign=re.compile(r"Date/Time\W+Date/Time", re.IGNORECASE),
    ),
    Dialect(
        "Rotronic",
        "HW4 tables with '[#D]' and 'Serial Number = …' in lines above. Recorded in "
        "github.com/abazemore/dataloggergraphs tests/testthat/fixtures/tinytag/Rotronic_1.csv",
        sign=re.compile(r"\[#D\]|\[#H\]"),
        serial=re.compile(r"Serial Number *= *(\w+)", re.IGNORECASE),
    ),
)


def dialect_of(head: str, first_row: str) -> Dialect | None:
    """The dialect of a table by what stands before its first row, and by that row; None for none of these."""
    for dialect in DIALECTS:
        if dialect.sign is not None and dialect.sign.search(head):
            return dialect
        if dialect.row is not None and dialect.row.fullmatch(first_row):
            return dialect
    return None
