"""Characters that are not shown as they stand: what people read must be what is stored."""

import re

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters; tab and ends of lines are none of these
    "\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Directions of writing, what is not shown, halves of characters, and tags."""


def hidden_in(text: str) -> str | None:
    """The first character that is not shown as it stands, as U+202E; None without one."""
    found = _HIDDEN.search(text)
    return f"U+{ord(found[0]):04X}" if found else None
