"""Which name a file may have, and which types may be attached. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from core.erp.kernel.hidden import hidden_in
from core.erp.kernel.words import Message

LONGEST_NAME, LONGEST_EXTENSION = 200, 10
"""Bytes of a name in UTF-8, so that any file system takes it; characters of an extension."""
_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
"""What Windows takes in no file's name."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
"""Names of devices there, whatever the extension."""


class UnfitFile(ValueError):
    """A file that may not be attached: `message` says why."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


def safe_name(given: str) -> str:
    """The name a file is kept and given back under: no path, nothing that a system would take for more than a name.

    Path parts go, what some system forbids becomes `_`, a long name is shortened before its extension. Safe names stay
    as they are. Raises UnfitFile.
    """
    hidden = hidden_in(given)
    if hidden is not None:
        raise UnfitFile(Message("attachments.hidden_in_name", hidden=hidden))
    name = _SEPARATORS.split(unicodedata.normalize("NFC", given))[-1]
    name = _trimmed(_FORBIDDEN.sub("_", " ".join(name.split())))
    if _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name) or "file"


def _trimmed(name: str) -> str:
    """Without dots and spaces at its ends: hidden files, the folder above, and what Windows drops."""
    return name.strip(". ")


def _shortened(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > LONGEST_EXTENSION:
        stem, extension = name, ""
    end = f".{extension}" if extension else ""
    room = LONGEST_NAME - len(end.encode())
    return _trimmed(stem.encode()[:room].decode(errors="ignore")) + end


def extension_of(name: str) -> str:
    """In small letters, without the dot; "" for a name without one."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


@dataclass(frozen=True, slots=True)
class FileType:
    """A type that may be attached. `begins`: the bytes by which it is known; none for what is text."""

    media: str
    extensions: tuple[str, ...]
    begins: bytes = b""


PDF = FileType("application/pdf", ("pdf",), b"%PDF-")
PNG = FileType("image/png", ("png",), b"\x89PNG\r\n\x1a\n")
JPEG = FileType("image/jpeg", ("jpg", "jpeg"), b"\xff\xd8\xff")
_OFFICE = "application/vnd.openxmlformats-officedocument"
XLSX = FileType(f"{_OFFICE}.spreadsheetml.sheet", ("xlsx",), b"PK\x03\x04")
DOCX = FileType(f"{_OFFICE}.wordprocessingml.document", ("docx",), b"PK\x03\x04")
CSV = FileType("text/csv", ("csv", "tsv"))
TXT = FileType("text/plain", ("txt", "log", "md"))
XML = FileType("application/xml", ("xml",))
JSON = FileType("application/json", ("json",))
TYPES = (PDF, PNG, JPEG, XLSX, DOCX, CSV, TXT, XML, JSON)
"""All that may be attached. Nothing that runs, and no archive that hides what is in it."""
ALLOWED = ", ".join(extension for kind in TYPES for extension in kind.extensions)


def fitting_name(name: str, kind: FileType) -> str | None:
    """The name with an extension of its type: its own, or the first of the type where it has none.

    None where its extension is another type's: a program would open it as that.
    """
    extension = extension_of(name)
    if not extension:
        return safe_name(f"{name}.{kind.extensions[0]}")
    return name if extension in kind.extensions else None


_RUNS = re.compile(r"(vbaproject|vbadata|oleobject\d*|activex\d*)\.bin$|\.(exe|dll|js|vbs)$", re.IGNORECASE)
"""Parts of an office file that run, or hide another file."""
_SHEET, _DOCUMENT = re.compile(r"xl/workbook\d*\.xml"), re.compile(r"word/document\d*\.xml")


def office_type(parts: Sequence[str]) -> FileType | None:
    """XLSX or DOCX by the names of an archive's parts; None for any other archive, and for one with macros."""
    names = set(parts)
    if "[Content_Types].xml" not in names or any(_RUNS.search(name) for name in names):
        return None
    if any(_SHEET.fullmatch(name) for name in names):
        return XLSX
    return DOCX if any(_DOCUMENT.fullmatch(name) for name in names) else None
