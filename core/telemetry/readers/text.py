"""What every recorded file needs: its text whatever the encoding, numbers and times as devices write them."""

import gzip
import io
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.telemetry.catalogue import english
from core.telemetry.message import Message, Parameter

SIMULATED = "simulated by Lotwise"
"""What a file says that no device wrote: its readings carry the mark wherever they go."""
MAX_BYTES = 256 * 1024 * 1024
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_MISSING = re.compile(r"[-–—]+(?:[.,][-–—]+)?|", re.ASCII)
_MISSING_WORDS = frozenset({"na", "n/a", "nan", "null", "none", "err", "error", "inf", "+inf", "-inf", "infinity"})
_FIRST = frozenset("0123456789+-.")
_LINE_END = re.compile(r"\r\n|\n|\r")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LOOKED_AT, _ENOUGH = 4096, 0.3
_CHINESE = re.compile("温度|湿度|时间|日期|序号|上午|下午|[年月]\\d|℃|记录|设备")
"""Words of Chinese loggers. Latin-1 decodes as GBK too (its `°C` as 癈), but never to one of these."""


class Unreadable(ValueError):
    """A text is not what it should be: a number, a time. `said` is for people."""

    def __init__(self, id: str, /, **params: Parameter) -> None:  # noqa: A002 - the word the wire has for it
        super().__init__(id, params)
        self.said = Message(id, **params)

    def __str__(self) -> str:
        return english(self.said)


class BadFile(ValueError):
    """The file cannot be read at all, or not beyond `line` (1 for the first; 0 when no line is to blame).

    `said` is what people are told; the words of others (the operating system's, the command line's) are a str.
    """

    def __init__(self, said: str | Message, line: int = 0) -> None:
        super().__init__(said, line)
        self.said, self.line = said, line

    @property
    def message(self) -> str:
        """What people are told, in English."""
        return english(self.said)

    @property
    def told(self) -> str | Message:
        """The same with its line."""
        return Message("telemetry.in_line", line=self.line, what=self.said) if self.line else self.said

    def __str__(self) -> str:
        return english(self.told)


class NoTable(BadFile):
    """The file holds nothing that is known here: whoever has it must be told what is."""


def what_of(error: ValueError) -> str | Message:
    """What people are told of a text that could not be read."""
    return error.said if isinstance(error, Unreadable) else str(error)


def of_key(key: str, error: ValueError) -> Message:
    """The same of what a report says under a key, or at a time."""
    return Message("telemetry.of_key", key=key, what=what_of(error))


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something in the file that is not as it should be: where, what, and whether the file is damaged by it.

    `kind` is a word for programs: duplicate, conflict, step_back, no_value, absurd_time, malformed, truncated, ….
    `said` is what people are told.
    """

    line: int
    kind: str
    said: str | Message
    damage: bool = False

    @property
    def message(self) -> str:
        """What people are told, in English."""
        return english(self.said)


def read_text(path: Path) -> str:
    """The file's text: UTF-8 or UTF-16 (with or without mark), GBK by its words, else Latin-1; gzip or not.

    Raises BadFile.
    """
    return decode(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """What is in the file. Raises BadFile for one that cannot be read, or is too large; who asked knows its name."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile(Message("telemetry.too_large", most=MAX_BYTES))
        return path.read_bytes()
    except OSError as error:
        raise BadFile(error.strerror or str(error)) from error


def decode(data: bytes) -> str:
    """Bytes as text, as `read_text` does. Raises BadFile when they are no text."""
    data = unpacked(data)
    wide = utf16_form(data)
    if wide is not None:
        try:
            return data.decode(wide)
        except UnicodeDecodeError as error:
            raise BadFile(Message("telemetry.not_text", why=error.reason, place=error.start)) from error
    if b"\0" in data:
        raise BadFile(Message("telemetry.zero_byte"), line=data[: data.index(b"\0")].count(b"\n") + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _gbk(data) or data.decode("latin-1")


def _gbk(data: bytes) -> str | None:
    """The text, if it is Chinese in GBK (GB 18030 contains it)."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    return text if _CHINESE.search(text) else None


def unpacked(data: bytes) -> bytes:
    """What a gzip file holds, at most MAX_BYTES; other bytes as they are."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            found = packed.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(Message("telemetry.gzip_broken", why=str(error))) from error
    if len(found) > MAX_BYTES:
        raise BadFile(Message("telemetry.too_large_unpacked", most=MAX_BYTES))
    return found


def utf16_form(data: bytes) -> str | None:
    """The form of UTF-16 by its mark or, without one, by the zero bytes beside plain letters and what comes out; None
    for no UTF-16.
    """
    if data.startswith(_UTF16):
        return "utf-16"
    head = data[:_LOOKED_AT]
    if 0 not in head:
        return None
    for form in ("utf-16-le", "utf-16-be"):
        text = head.decode(form, "ignore")
        plain = sum(letter.isascii() and (letter.isprintable() or letter in "\r\n\t") for letter in text)
        if "\0" not in text and plain > _ENOUGH * len(text) and all(map(_is_text, text)):
            return form
    return None


def _is_text(letter: str) -> bool:
    return letter.isprintable() or letter in "\r\n\t\ufeff"


def lines_of(text: str) -> list[str]:
    """The lines, whatever ends them (CRLF, LF or CR)."""
    return _LINE_END.split(text)


def first_lines(text: str, count: int) -> list[str]:
    """So many lines from the beginning."""
    return _LINE_END.split(text, maxsplit=count)[:count] if count > 0 else []


def missing(text: str) -> bool:
    """Whether the text stands for no value: empty, dashes such as `--.-`, or a word such as NaN or n/a."""
    bare = text.strip()
    return _MISSING.fullmatch(bare) is not None or bare.lower() in _MISSING_WORDS


def number(text: str) -> float | None:
    """The number, with a decimal point or comma; None where a value is missing. Raises ValueError for anything else."""
    bare = text.strip()
    if bare[:1] in _FIRST and "_" not in bare:  # most cells, and the quickest way
        try:
            value = float(bare)
        except ValueError:
            pass
        else:
            if math.isfinite(value):
                return value
    if missing(bare):
        return None
    if _NUMBER.fullmatch(bare) is None:
        raise Unreadable("telemetry.no_number", text=bare)
    value = float(bare.replace(",", "."))
    if not math.isfinite(value):
        raise Unreadable("telemetry.number_too_large", text=bare)
    return value


def parse_time(text: str, formats: Sequence[str]) -> datetime:
    """The time by the first of the strptime formats that fits (naive unless the text has an offset).

    Raises ValueError when none fits.
    """
    bare = text.strip()
    for form in formats:
        try:
            return datetime.strptime(bare, form)  # noqa: DTZ007 - the caller gives the device's zone
        except ValueError:
            continue
    raise Unreadable("telemetry.no_time_of_this_file", text=bare)
