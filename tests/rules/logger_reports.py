"""Writes reports as a Fridge-tag or Q-tag does, for tests, and reads them as of a clock that was set to UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from core.telemetry.readers import fridgetag
from core.telemetry.readers.report import Report

START = datetime(2024, 3, 5, 0, 0)  # noqa: DTZ001 - as a device's clock shows it
SIGNED = "Cert:\n Vers: 1.0\n Issuer: Berlinger & Co. AG\nSig Cert: 197edae7\nSig: af59f0d5\n"


def log(
    values: Iterable[float | str],
    *,
    start: datetime = START,
    step: int = 5,
    form: str = "%Y-%m-%d %H:%M",
    head: str = "yyyy-MM-dd hh:mm\tT\tOut of limits",
    low: float = 2.0,
    high: float = 8.0,
) -> str:
    """A Data section; a text stands in the file as it is, with the device's mark."""
    lines = ["Data:", f"\t{head}"]
    for index, value in enumerate(values):
        mark = "\tx" if isinstance(value, str) or not low <= value <= high else ""
        lines.append(f"\t{start + timedelta(minutes=step * index):{form}}\t{value}{mark}")
    return "\n".join(lines) + "\n"


def configuration(
    limits: str = "  0:\n   T AL: +2.0, t AL: 60\n  1:\n   T AL: +8.0, t AL: 60\n", **keys: object
) -> str:
    """A Conf section with these alarm limits."""
    named = {key.replace("_", " "): value for key, value in keys.items()}
    settings = {"Serial": "130500000001", "Temp unit": "C", "Logging Interval": 5, **named}
    lines = "".join(f" {key}: {value}\n" for key, value in settings.items())
    return f"Conf:\n{lines} Alarm:\n{limits}"


def day(number: int, date: str, alarms: str = "", low: str = "+4.0", high: str = "+6.0") -> str:
    """One day of the Hist section."""
    empty = "   0:\n    t Acc: 0\n   1:\n    t Acc: 0\n"
    return (
        f" {number}:\n  Date: {date}\n  Min T: {low}, TS Min T: 00:10\n  Max T: {high}, TS Max T: 12:00\n"
        f"  Avrg T: +5.0\n  Alarm:\n{alarms or empty}  Int Sensor timeout:\n   t AccST: 0\n  Events: 0\n"
    )


def history(*days: str, activated: str = "2024-03-05 00:00", created: str = "2024-03-06 00:00") -> str:
    """A Hist section."""
    return f"Hist:\n TS Actv: {activated}\n TS Report Creation: {created}\n" + "".join(days)


def report(*sections: str, device: str = "Q-tag Fridge-tag 2 L") -> str:
    """A whole report."""
    return f"Device: {device}\nVers: 0.5\nFw Vers: 4.0p0o\nSensor: 1\n" + "".join(sections)


def parse_fridgetag(text: str, zone: tzinfo = UTC) -> Report:
    """The report, its zone being given."""
    return fridgetag.parse_fridgetag(text, zone)


def read_fridgetag(path: Path, zone: tzinfo = UTC) -> Report:
    """The report in a file, its zone being given."""
    return fridgetag.read_fridgetag(path, zone)
