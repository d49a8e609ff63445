"""Text that a spreadsheet would take for a formula, and its way out and back. Pure.

A file that says `=HYPERLINK(...)` where people expect a name runs in the program of whoever opens it. Such a text goes
out with an apostrophe before it, which spreadsheets take for "this is text", and comes in without: what is exported and
imported again is what it was. (OWASP, "CSV injection"; a space before the sign is no shelter.)
"""

import re

_RUNS = re.compile("'*\\s*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that may be taken for a formula; one that begins so behind apostrophes needs one more to come back
as it was. The last four are the signs in full width, which some programs fold.
"""


def runs(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula, or for what would become one."""
    return _RUNS.match(text) is not None


def escaped(text: str) -> str:
    """The text as CSV carries it: with an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if runs(text) else text


def unescaped(text: str) -> str:
    """The text that `escaped` was given: one apostrophe less before what a spreadsheet would run."""
    return text[1:] if text.startswith("'") and runs(text[1:]) else text
