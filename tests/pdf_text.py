"""The text of a PDF, as far as our documents' own PDFs need it: what each font's letters stand for is in the file."""

import re
import zlib

_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\s")
_LENGTH = re.compile(rb"/Length (\d+)")
_TOKEN = re.compile(rb"/(\w+) [\d.]+ Tf|<([0-9A-Fa-f]+)>|(\()", re.DOTALL)
_REFERENCE = {name: re.compile(rf"/{name} (\d+) 0 R".encode()) for name in ("Resources", "Contents")}
_ESCAPES = {"n": 10, "r": 13, "t": 9, "b": 8, "f": 12}


def objects(pdf: bytes) -> dict[int, bytes]:
    """Every object by its number, those packed into object streams too; streams unpacked."""
    found: dict[int, bytes] = {}
    place = 0
    while (begin := _OBJECT.search(pdf, place)) is not None:
        number, place = int(begin[1]), begin.end()
        stream, ended = pdf.find(b"stream", place), pdf.find(b"endobj", place)
        content = pdf[place:ended]
        if 0 <= stream < ended:
            body = pdf[place:stream]
            start = stream + len(b"stream") + (2 if pdf[stream + 6 : stream + 8] == b"\r\n" else 1)
            place = start + int(_LENGTH.search(body)[1])  # type: ignore[index]  # a stream has a length
            data = pdf[start:place]
            content = body + b"stream\n" + (zlib.decompress(data) if b"FlateDecode" in body else data)
        else:
            body, place = content, ended
        found[number] = content
        if b"/ObjStm" in body:
            head, _, rest = content.partition(b"stream\n")
            first = int(re.search(rb"/First (\d+)", head)[1])  # type: ignore[index]  # an object stream has one
            numbers = [int(one) for one in rest[:first].split()]
            places = [*numbers[1::2], len(rest)]
            for at, one in enumerate(numbers[::2]):
                found[one] = rest[first + places[at] : first + places[at + 1]]
    return found


def text_of(pdf: bytes) -> str:
    """All that is shown, in the order of the file, without spaces between pieces."""
    all_of = objects(pdf)
    return "".join(_page(all_of, body) for body in all_of.values() if re.search(rb"/Type ?/Page\b", body))


def _page(all_of: dict[int, bytes], page: bytes) -> str:
    resources, contents = (int(_REFERENCE[name].search(page)[1]) for name in ("Resources", "Contents"))  # type: ignore[index]  # a page has both
    letters: dict[bytes, dict[int, str]] = {}
    for name, number in re.findall(rb"/(\w+) (\d+) 0 R", all_of[resources]):
        unicode = re.search(rb"/ToUnicode (\d+) 0 R", all_of.get(int(number), b""))
        if unicode is not None:
            letters[name] = _letters(all_of[int(unicode[1])])
    return _shown(all_of[contents], letters)


def _letters(cmap: bytes) -> dict[int, str]:
    found = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            found[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    return found


def _shown(content: bytes, letters: dict[bytes, dict[int, str]]) -> str:
    out: list[str] = []
    font: dict[int, str] = {}
    place = content.index(b"stream\n")
    while (token := _TOKEN.search(content, place)) is not None:
        place = token.end()
        if token[1]:
            font = letters.get(token[1], {})
            continue
        if token[2]:
            data = bytes.fromhex(token[2].decode())
        else:
            data, place = _literal(content, place)
        if content[: token.start()].rstrip().endswith((b"/Lang", b"/ActualText")):
            continue  # said of the text, not shown
        codes = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
        out.append("".join(font.get(code, "") for code in codes))
    return "".join(out).replace("\u200b", "")


def _literal(content: bytes, place: int) -> tuple[bytes, int]:
    """(a string in brackets, which may hold brackets in pairs; the place behind it)."""
    out, depth = bytearray(), 1
    while True:
        sign = content[place : place + 1]
        if sign == b"\\":
            octal = re.match(rb"[0-7]{1,3}", content[place + 1 : place + 4])
            letter = content[place + 1 : place + 2]
            out.append(int(octal[0], 8) & 255 if octal else _ESCAPES.get(letter.decode("latin-1"), letter[0]))
            place += 1 + (len(octal[0]) if octal else 1)
            continue
        depth += (sign == b"(") - (sign == b")")
        place += 1
        if not depth:
            return bytes(out), place
        out += sign
