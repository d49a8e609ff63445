"""What a file holds, by its own bytes: its name and what a browser says of it prove nothing."""

import codecs
import os
import struct
from typing import IO

import msgspec

from core.erp.kernel.attachments.rules import (
    ALLOWED,
    CSV,
    JPEG,
    JSON,
    PDF,
    PNG,
    TXT,
    XLSX,
    XML,
    FileType,
    UnfitFile,
    extension_of,
    office_type,
)
from core.erp.kernel.words import Message

PART = 1024 * 1024
MOST_PARTS, MOST_DIRECTORY, MOST_UNPACKED = 5000, 1024 * 1024, 1024 * 1024 * 1024
"""Of an office file: parts, bytes of their directory, bytes unpacked. What says more is made to choke its reader."""
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f") + b"\x7f"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def identify(file: IO[bytes], name: str) -> FileType:
    """The type of an open file; its name decides only between texts. Raises UnfitFile."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    if size == 0:
        raise UnfitFile(Message("attachments.empty"))
    head = _at(file, 0, 16)
    if head.startswith(PDF.begins):
        return _ends(file, size, PDF, b"%%EOF", 2048)
    if head.startswith(PNG.begins):
        return _ends(file, size, PNG, b"IEND\xaeB`\x82", 64)
    if head.startswith(JPEG.begins):
        return _ends(file, size, JPEG, b"\xff\xd9", 64 * 1024)
    if head.startswith(XLSX.begins):
        return _office(file, size)
    return _text(file, extension_of(name))


def _at(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _ends(file: IO[bytes], size: int, kind: FileType, mark: bytes, within: int) -> FileType:
    """The type, if its end is there too: an upload that broke off is none."""
    if mark not in _at(file, max(0, size - within), within):
        raise UnfitFile(Message("attachments.not_whole"))
    return kind


# --- office files: their directory alone is read, nothing is unpacked


_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_ENCRYPTED = 1


def _office(file: IO[bytes], size: int) -> FileType:
    names = _parts(file, size)
    kind = office_type(names)
    if kind is None:
        raise UnfitFile(Message("attachments.archive"))
    return kind


def _parts(file: IO[bytes], size: int) -> list[str]:
    """The names in an archive's directory (APPNOTE 4.3.12, 4.3.16). Raises UnfitFile where it is not as it says."""
    tail = _at(file, max(0, size - _END.size - 0xFFFF), _END.size + 0xFFFF)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise UnfitFile(Message("attachments.not_whole"))
    _, disk, of, here, count, length, start, comment = _END.unpack_from(tail, found)
    end = size - len(tail) + found
    whole = start + length == end and end + _END.size + comment == size and (disk, of, here) == (0, 0, count)
    if not whole or count > MOST_PARTS or length > MOST_DIRECTORY:
        raise UnfitFile(Message("attachments.office_directory"))
    return _names(_at(file, start, length), count)


def _names(directory: bytes, count: int) -> list[str]:
    names, at, unpacked = [], 0, 0
    for _ in range(count):
        if len(directory) - at < _ENTRY.size:
            raise UnfitFile(Message("attachments.office_directory"))
        entry = _ENTRY.unpack_from(directory, at)
        signature, flags, (name, extra, comment) = entry[0], entry[3], entry[10:13]
        unpacked += entry[9]
        raw = directory[at + _ENTRY.size : at + _ENTRY.size + name]
        if signature != b"PK\x01\x02" or flags & _ENCRYPTED or unpacked > MOST_UNPACKED:
            raise UnfitFile(Message("attachments.office_directory"))
        names.append(raw.decode("utf-8", errors="replace"))
        at += _ENTRY.size + name + extra + comment
    return names


# --- texts


def _text(file: IO[bytes], extension: str) -> FileType:
    """CSV, TXT, XML or JSON. CSV and TXT may be in any 8-bit or multi-byte code: loggers write what they like."""
    coding = next((coding for bom, coding in _BOMS if _at(file, 0, 4).startswith(bom)), None)
    strict = extension in (*XML.extensions, *JSON.extensions)
    _only_text(file, coding or ("utf-8" if strict else None))
    if extension in XML.extensions:
        return _looks_like_xml(file, coding)
    if extension in JSON.extensions:
        return _is_json(file, coding)
    return CSV if extension in CSV.extensions else TXT


def _only_text(file: IO[bytes], coding: str | None) -> None:
    """Raises UnfitFile where a byte is no text's; with a code, where it is not written in it."""
    decoder = codecs.getincrementaldecoder(coding)() if coding else None
    file.seek(0)
    try:
        while part := file.read(PART):
            plain = decoder.decode(part).encode("utf-8", "surrogatepass") if decoder else part
            if len(plain.translate(None, _CONTROLS)) != len(plain):
                raise UnfitFile(Message("attachments.only_these", allowed=ALLOWED))
        if decoder:
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise UnfitFile(Message("attachments.not_in_coding", coding=coding or "")) from error


def _looks_like_xml(file: IO[bytes], coding: str | None) -> FileType:
    begin = _at(file, 0, 4096).decode(coding or "utf-8", errors="ignore").lstrip()
    if not begin.startswith("<"):
        raise UnfitFile(Message("attachments.not_xml"))
    return XML


def _is_json(file: IO[bytes], coding: str | None) -> FileType:
    file.seek(0)
    raw = file.read()
    try:
        msgspec.json.decode(raw.decode(coding) if coding else raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnfitFile(Message("attachments.not_json")) from error
    return JSON
