"""Names and types of files: hostile ones are refused or made safe, whatever they are called and whoever says so."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.attachments import content
from core.erp.kernel.attachments.content import identify
from core.erp.kernel.attachments.rules import (
    CSV,
    DOCX,
    JPEG,
    JSON,
    PDF,
    PNG,
    TXT,
    TYPES,
    XLSX,
    XML,
    FileType,
    UnfitFile,
    fitting_name,
    safe_name,
)

PDF_FILE = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG_FILE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 17 + b"\x00\x00\x00\x00IEND\xaeB`\x82"
JPEG_FILE = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 40 + b"\xff\xd9"


def office(*parts: str, comment: bytes = b"", **contents: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in ("[Content_Types].xml", *parts):
            archive.writestr(part, contents.get(part, b"<x/>"))
        archive.comment = comment
    return made.getvalue()


XLSX_FILE, DOCX_FILE = office("xl/workbook.xml", "xl/worksheets/sheet1.xml"), office("word/document.xml")


def kind(data: bytes, name: str = "file") -> FileType:
    return identify(io.BytesIO(data), name)


SAFE = {
    "certificate.pdf": "certificate.pdf",
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\system32\\evil.pdf": "evil.pdf",
    "C:\\fakepath\\scan.png": "scan.png",
    "/etc/cron.d/": "file",
    "..": "file",
    ".": "file",
    "": "file",
    "   ": "file",
    ".htaccess": "htaccess",
    "~/.ssh/authorized_keys": "authorized_keys",
    "a  b\t.pdf": "a b.pdf",
    'qu"ote<script>.pdf': "qu_ote_script_.pdf",
    "stream.pdf:hidden": "stream.pdf_hidden",
    "CON": "_CON",
    "nul.pdf": "_nul.pdf",
    "com1.txt": "_com1.txt",
    "LPT9 .csv": "_LPT9.csv",
    "console.pdf": "console.pdf",
    "trailing.pdf. . .": "trailing.pdf",
    "检定证书 №7.pdf": "检定证书 №7.pdf",
    "e\u0301tat.pdf": "état.pdf",
    "-rf.pdf": "-rf.pdf",
    "x.tar.gz": "x.tar.gz",
}


@pytest.mark.parametrize(("given_name", "kept"), SAFE.items())
def test_a_name_is_made_safe(given_name: str, kept: str) -> None:
    assert safe_name(given_name) == kept


@pytest.mark.parametrize(
    "name",
    [
        "invoice\u202efdp.exe",  # shown as invoiceexe.pdf
        "a\u2066b.pdf",
        "a\u200bb.pdf",
        "a\x00.pdf",
        "a\x00.exe\x00.pdf",
        "a\x1b[31m.pdf",
        "\ufeffa.pdf",
        "a\u2028.pdf",
        "a\ud800.pdf",
        "a\U000e0041.pdf",
    ],
)
def test_a_name_that_shows_as_another_is_refused(name: str) -> None:
    with pytest.raises(UnfitFile, match="hidden_in_name"):
        safe_name(name)


def test_a_very_long_name_keeps_its_extension() -> None:
    kept = safe_name("证" * 5000 + ".pdf")
    assert kept.endswith("证.pdf")
    assert len(kept.encode()) <= 200
    assert safe_name("x." + "y" * 5000).startswith("x.y")
    assert len(safe_name("x." + "y" * 5000)) == 200
    assert safe_name("a/" * 50_000 + "b.txt") == "b.txt"


@given(st.text(max_size=400))
def test_no_name_is_more_than_a_name(name: str) -> None:
    try:
        kept = safe_name(name)
    except UnfitFile:
        return
    assert kept
    assert not set(kept) & set('/\\<>:"|?*\r\n\t\x00')
    assert len(kept.encode()) <= 200
    assert kept.strip(". ") == kept
    assert safe_name(kept) == kept


WHOLE = [
    (PDF_FILE, "a.pdf", PDF),
    (PNG_FILE, "a.png", PNG),
    (JPEG_FILE, "a.jpg", JPEG),
    (XLSX_FILE, "a.xlsx", XLSX),
    (DOCX_FILE, "a.docx", DOCX),
    (office("xl/workbook.xml", comment=b"made by nobody"), "a.xlsx", XLSX),
    (office("xl/workbook.xml", "xl/printerSettings/printerSettings1.bin"), "a.xlsx", XLSX),
    (office("word/document2.xml"), "a.docx", DOCX),
    (b"a;b\r\n1;2\r\n", "a.csv", CSV),
    ("温度;时间\n4,1;早\n".encode("gb18030"), "a.csv", CSV),
    ("a\tb\n".encode("utf-16"), "a.csv", CSV),
    ("größer\n".encode("latin-1"), "a.txt", TXT),
    (b"\xef\xbb\xbfhello", "a.txt", TXT),
    (b"hello", "nothing", TXT),
    (b"<?xml version='1.0'?><a/>", "a.xml", XML),
    ("<a>ü</a>".encode("utf-16"), "a.xml", XML),
    (b' \n{"a": [1, 2]}\n', "a.json", JSON),
    (b"\xef\xbb\xbf[]", "a.json", JSON),
]


@pytest.mark.parametrize(("data", "name", "wanted"), WHOLE)
def test_a_type_is_told_by_content(data: bytes, name: str, wanted: FileType) -> None:
    assert kind(data, name) is wanted
    assert fitting_name(name, wanted) is not None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.pdf"),
        (b"MZ\x90\x00\x03" + b"\x00" * 100, "a.pdf"),
        (b"\x7fELF\x02\x01\x01", "a.txt"),
        (b"GIF89a\x01\x00", "a.png"),
        (PDF_FILE[:-10], "a.pdf"),
        (PNG_FILE[:-8], "a.png"),
        (JPEG_FILE[:-2], "a.jpg"),
        (XLSX_FILE[:-30], "a.xlsx"),
        (office("a.txt"), "a.xlsx"),
        (office("xl/workbook.xml", "xl/vbaProject.bin"), "a.xlsx"),
        (office("xl/workbook.xml", "xl/VBAPROJECT.BIN"), "a.xlsx"),
        (office("word/document.xml", "word/embeddings/oleObject1.bin"), "a.docx"),
        (office("word/document.xml", "word/embeddings/run.EXE"), "a.docx"),
        (b"MZ" + XLSX_FILE, "a.xlsx"),
        (XLSX_FILE + b"x", "a.xlsx"),
        (b"PK\x03\x04" + b"\x00" * 50, "a.xlsx"),
        (b"PK\x03\x04" + XLSX_FILE, "a.xlsx"),
        (b"a;b\x00\n", "a.csv"),
        (b"a\x08b", "a.txt"),
        (b"text\x1b]0;own\x07", "a.txt"),
        (b"not xml", "a.xml"),
        (b"<a>\xff\xfe</a>", "a.xml"),
        (b'{"a":', "a.json"),
        (b'{"a":1} tail', "a.json"),
        (b'{"a":"\xff"}', "a.json"),
        (b"[" * 200_000 + b"]" * 200_000, "a.json"),
        (b"\xff\xfea\x00b", "a.txt"),
        ("\x00".encode("utf-16"), "a.txt"),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(UnfitFile):
        kind(data, name)


def test_a_bomb_is_told_by_its_directory_and_never_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MOST_UNPACKED", 20 * 1024 * 1024)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<x/>")
        archive.writestr("xl/workbook.xml", b"<x/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=False) as part:
            for _ in range(21):
                part.write(b"\x00" * 1024 * 1024)
    assert len(made.getvalue()) < 50_000
    with pytest.raises(UnfitFile, match="office_directory"):
        kind(made.getvalue(), "a.xlsx")


def test_too_many_parts() -> None:
    with pytest.raises(UnfitFile, match="office_directory"):
        kind(office("xl/workbook.xml", *(f"xl/{n}.xml" for n in range(6000))), "a.xlsx")


@pytest.mark.parametrize(
    ("name", "wanted", "kept"),
    [
        ("scan", PDF, "scan.pdf"),
        ("scan.PDF", PDF, "scan.PDF"),
        ("photo.jpeg", JPEG, "photo.jpeg"),
        ("run.exe", PDF, None),
        ("page.html", TXT, None),
        ("picture.svg", TXT, None),
        ("sheet.xlsm", XLSX, None),
        ("a.pdf.exe", PDF, None),
        ("a.pdf", TXT, None),
        ("version 1.2", TXT, None),
    ],
)
def test_a_name_that_a_program_would_open_as_another_type(name: str, wanted: FileType, kept: str | None) -> None:
    assert fitting_name(name, wanted) == kept


@given(st.binary(max_size=200), st.sampled_from(["a.pdf", "a.xlsx", "a.json", "a.xml", "a.csv", "a"]))
def test_any_bytes_are_a_type_or_refused(data: bytes, name: str) -> None:
    try:
        found = kind(data, name)
    except UnfitFile:
        return
    assert found.begins == b"" or data.startswith(found.begins)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 400))
def test_a_damaged_archive_is_an_office_file_or_refused(noise: bytes, at: int) -> None:
    data = XLSX_FILE[:at] + noise + XLSX_FILE[at + len(noise) :]
    try:
        found = kind(data, "a.xlsx")
    except UnfitFile:
        return
    assert found in TYPES
