"""Readings by number, so that a test can say which arrived."""

from datetime import UTC, datetime, timedelta

from core.telemetry.batch import Body
from core.telemetry.reading import Reading

START = datetime(2026, 3, 1, tzinfo=UTC)


def reading(number: int, *, zones: int = 8, text: str | None = None) -> Reading:
    """Reading number `number`: its value is the number, its time its own."""
    at = START + timedelta(milliseconds=number)
    value: float | str = float(number) if text is None else text
    return Reading(f"plant/cold/zone{number % zones}/probe/temperature", at, value, "Cel", at)


def numbers(body: Body) -> list[int]:
    """Which readings a batch carries."""
    return [int(r.value) for r in body.readings if isinstance(r.value, float)]
