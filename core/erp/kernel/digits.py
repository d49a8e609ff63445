"""Whole numbers in texts: ids and counts in addresses, forms and headers."""

MOST_DIGITS = 19
"""Digits that an id has at most."""


def whole(text: str) -> int | None:
    """The number; None for what is none. `²` and `٣` are digits to Python, and numbers to nobody here."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
