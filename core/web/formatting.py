"""Values in the words and figures that pages show. Times are UTC, and every page says so."""

from datetime import UTC, datetime, timedelta

NONE = "–"


def clock(moment: datetime | None) -> str:
    """2026-03-02 03:00:00, in UTC; a dash where there is none."""
    return NONE if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def length(span: timedelta | None) -> str:
    """A length of time in its two largest parts: 1 d 2 h, 2 h 5 min, 1 min 20 s, 8 s."""
    if span is None:
        return NONE
    seconds = int(span.total_seconds())
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    words = [f"{count} {name}" for count, name in parts[first : first + 2] if count]
    return " ".join(words) or "0 s"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, and when."""
    return NONE if moment is None else f"{length(max(now - moment, timedelta(0)))} ago ({clock(moment)})"


def number(value: float | None, digits: int = 1) -> str:
    """A figure with that many decimals; a dash where there is none."""
    return NONE if value is None else f"{value:.{digits}f}"


def band(low: float | None, high: float | None) -> str:
    """2.0 … 8.0; a dash where there is neither end."""
    return NONE if low is None and high is None else f"{number(low)} … {number(high)}"


def limit(op: str | None, threshold: float | None, kind: str, delay: timedelta | None) -> str:
    """A profile's limit as people say it: > 8.0 for 1 h (consecutive)."""
    if op is None:
        return kind
    after = f" for {length(delay)}" if delay else ""
    return f"{op} {number(threshold)}{after} ({kind})"
