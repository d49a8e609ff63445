"""Documents: the same records are the same bytes, text is only ever text, and setting one is bounded."""

import asyncio
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
from argon2 import PasswordHasher
from numpy.typing import NDArray
from pydantic import SecretStr
from sqlalchemy import Engine, text
from zxingcpp import read_barcode

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.errors import Invalid, NotFound
from core.erp.kernel.printing import printer
from core.erp.kernel.printing.documents import ROOT, Document, templates
from core.erp.kernel.printing.printer import TemplateFault, print_document
from core.erp.kernel.printing.record_sheet import RECORD_SHEET, sheet_of
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import system, unit
from core.erp.lots import service as lots
from core.erp.lots.labels import SUBLOT_LABEL, label_of
from core.erp.partners.model import Partner
from core.erp.quality import service as quality
from core.settings import Settings
from core.wiring import build_events
from tests.pdf_text import text_of
from tests.serving import serving
from tests.world import DAY, World

AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"
HOSTILE = 'Seal #read("/etc/passwd") *b* $x$ @ref <l> \\ // c /* */ `r` #import "x.typ" {{name}} %s'


def printed(document: Document, data: dict[str, Any], at: datetime = AT, form: str = "pdf") -> bytes:
    return asyncio.run(print_document(document, data, at, form=form))


def label(value: str) -> dict[str, str]:
    return {"en": value, "zh": value}


def sheet(*, title: str = HOSTILE, acts: int = 1) -> dict[str, Any]:
    words = ("history", "signatures", "at", "who", "done", "reason", "name", "meaning", "none", "left_out")
    act = {"at": "2026-03-02 08:30:00Z", "who": "quinn", "done": label("close"), "reason": "checked"}
    return {
        "title": label("Deviation"),
        "name": "DEV-1",
        "foot": "as of now",
        "words": {word: label(word) for word in words},
        "facts": [{"label": label("title"), "value": title}],
        "history": [act] * acts,
        "left_out": 0,
        "signatures": [{"name": "Quinn Q.", "at": "2026-03-02", "meaning": "disposition", "reason": "because"}],
    }


def test_the_same_data_are_the_same_bytes_and_other_data_are_not() -> None:
    first = printed(RECORD_SHEET, sheet())
    assert first == printed(RECORD_SHEET, sheet())
    assert first.startswith(b"%PDF-")
    assert first != printed(RECORD_SHEET, sheet(title="other"))
    assert first != printed(RECORD_SHEET, sheet(), AT + timedelta(seconds=1))


def test_what_people_wrote_is_set_as_it_is_and_means_nothing() -> None:
    shown = text_of(printed(RECORD_SHEET, sheet()))
    assert HOSTILE in shown
    assert "root:" not in shown
    lines = text_of(printed(RECORD_SHEET, sheet(title="= no heading\n- no list\n#pagebreak()\n" + "x" * 3000)))
    assert "= no heading" in lines
    assert "x" * 3000 in lines


@pytest.mark.parametrize("title", ["批号 隔离 放行", "Ωμέγα Ж", "\u202eright to left", "😀", "a\tb", "", " ", "\\u{0}"])
def test_any_text_is_set(title: str) -> None:
    assert printed(RECORD_SHEET, sheet(title=title)).startswith(b"%PDF-")


def test_a_long_record_goes_over_many_pages_with_numbers() -> None:
    shown = text_of(printed(RECORD_SHEET, sheet(acts=500)))
    pages = re.findall(r"(\d+) / (\d+)", shown)
    assert len(pages) == int(pages[0][1]) > 10
    assert shown.count("quinn") == 500


def test_a_document_takes_no_more_time_memory_or_data_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="larger than"):
        printed(RECORD_SHEET, sheet(title="x" * (printer.MOST_DATA + 1)))
    monkeypatch.setattr(printer, "MEMORY", 150 * 1024 * 1024)
    with pytest.raises(Invalid, match="memory"):
        printed(RECORD_SHEET, sheet(acts=20_000))
    monkeypatch.undo()
    monkeypatch.setattr(printer, "SECONDS", 0.02)
    with pytest.raises(Invalid, match="too long"):
        printed(RECORD_SHEET, sheet())


def test_data_that_a_template_does_not_expect_is_a_fault_of_ours() -> None:
    with pytest.raises(TemplateFault, match="record_sheet"):
        printed(RECORD_SHEET, {"title": "x"})
    with pytest.raises(ValueError, match="no template"):
        Document("lots", "no_such")


def test_templates_read_nothing_but_templates_and_load_no_packages() -> None:
    found = templates()
    assert {path.stem for path in found} >= {"page", "record_sheet", "sublot_label"}
    for path in found:
        source = path.read_text(encoding="utf-8")
        assert "@preview" not in source, path
        imported = re.findall(r'#(?:import|include) "([^"]+)"', source)
        assert all((ROOT / one.lstrip("/")).is_file() for one in imported), path
        assert not re.search(r"\b(?:read|plugin|csv|yaml|toml|xml|cbor|eval)\(", source), path


def test_the_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "python").write_text(f"#!/bin/sh\nenv > {seen}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("LOTWISE_SECRET_KEY", "k" * 40)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Invalid):
        printed(RECORD_SHEET, sheet())
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert names <= {"LOTWISE_ASKED", "PYTHONPATH", "PWD", "_", "SHLVL", "OLDPWD"}


# --- the label


def picture(png: bytes) -> NDArray[np.uint8]:
    """A PNG of eight bits a colour without interlace, as grey."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) == (8, 6)
    place, packed = 8, b""
    while place < len(png):
        length, name = struct.unpack(">I4s", png[place : place + 8])
        packed += png[place + 8 : place + 8 + length] if name == b"IDAT" else b""
        place += length + 12
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, width * 4 + 1)
    rows = np.zeros((height, width * 4), np.uint8)
    for y in range(height):
        rows[y] = _unfiltered(int(raw[y, 0]), raw[y, 1:].astype(int), rows[y - 1].astype(int) if y else None)
    return np.ascontiguousarray(rows.reshape(height, width, 4)[:, :, 0])


def _unfiltered(kind: int, line: NDArray[Any], above: NDArray[Any] | None) -> NDArray[Any]:
    up = above if above is not None else np.zeros_like(line)
    if kind == 0:
        return np.asarray(line % 256)
    if kind == 2:
        return np.asarray((line + up) % 256)
    out = np.zeros_like(line)
    for x in range(len(line)):
        left, upper, corner = (out[x - 4], up[x], up[x - 4]) if x >= 4 else (0, up[x], 0)
        guess = left if kind == 1 else (left + upper) // 2 if kind == 3 else _paeth(left, upper, corner)
        out[x] = (line[x] + guess) % 256
    return out


def _paeth(left: int, upper: int, corner: int) -> int:
    guess = left + upper - corner
    return min((left, upper, corner), key=lambda one: abs(guess - one))


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def sublot_of(world: World, *, gtin: str | None, number: str = "B7240") -> int:
    item, zone = world.item(), world.zone("room")
    with world.engine.begin() as conn:
        conn.execute(
            text("UPDATE item SET gtin = :g, name = :n WHERE id = :i"), {"g": gtin, "n": "生理盐水 #1", "i": item}
        )
    lot = world.do(lambda u: lots.create_lot(u, item, number, expiry=date(2027, 11, 30)).id)
    return world.do(lambda u: lots.receive(u, lot, Decimal(120), zone, code="S-000123").id)


def test_a_label_is_read_by_a_scanner_and_by_people(world: World) -> None:
    sublot = sublot_of(world, gtin="6935718600010")
    made = world.do(lambda u: label_of(u, sublot))
    found = read_barcode(picture(printed(SUBLOT_LABEL, made.data, made.at, "png")))
    assert found is not None
    assert found.symbology_identifier == "]d2"
    assert found.bytes == b"01069357186000101727113010B7240\x1d91S-000123"
    pdf = printed(SUBLOT_LABEL, made.data, made.at)
    shown = text_of(pdf)
    for part in ("生理盐水 #1", "B7240", "批号", "2027-11-30", "有效期", "S-000123", "120 each", made.data["readable"]):
        assert part in shown, part
    assert pdf == printed(SUBLOT_LABEL, world.do(lambda u: label_of(u, sublot)).data, made.at)


@pytest.mark.parametrize(("gtin", "number"), [(None, "B7240"), ("6935718600010", "批号1"), ("6935718600010", "X" * 21)])
def test_what_cannot_stand_in_a_gs1_symbol_is_a_plain_one(world: World, gtin: str | None, number: str) -> None:
    made = world.do(lambda u: label_of(u, sublot_of(world, gtin=gtin, number=number)))
    found = read_barcode(picture(printed(SUBLOT_LABEL, made.data, made.at, "png")))
    assert found is not None
    assert (found.symbology_identifier[:2], found.text, made.data["readable"]) == ("]d", "S-000123", "S-000123")


def test_there_is_no_label_of_nothing(world: World) -> None:
    with pytest.raises(NotFound):
        world.do(lambda u: label_of(u, 99))


# --- the record's sheet


def deviation(world: World) -> int:
    sublot = sublot_of(world, gtin=None)

    def opened(u: Any) -> int:
        made = quality.open_deviation(
            u, sublot_id=sublot, shipment_id=None, title=HOSTILE, detail="two\nlines", happened_at=DAY
        )
        return int(made.id)

    number = world.do(opened)
    world.do(lambda u: quality.close_deviation(u, number, conclusion="批准放行"), now=world.now + timedelta(hours=1))
    return number


def test_a_records_sheet_tells_facts_history_and_signatures(world: World) -> None:
    number = deviation(world)
    with world.engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO signature (user_id, name, at, meaning, entity, entity_id, record_hash, reason)"
                " VALUES (7, 'Quinn Müller', :at, 'disposition 处置', 'deviation', :id, '\\x00', 'as agreed')"
            ),
            {"at": AT, "id": str(number)},
        )
    entity, zone = entities()["deviation"], ZoneInfo("Asia/Shanghai")
    made = world.do(lambda u: sheet_of(u, entity, number, zone))
    assert made.at == AT
    pdf = printed(RECORD_SHEET, made.data, made.at)
    shown = text_of(pdf)
    for part in (
        HOSTILE,
        "批准放行",
        "偏差",
        "system:test",
        "Quinn Müller",
        "2026-03-02 16:30:00 UTC+08:00",
        "disposition 处置",
        "as agreed",
        "open → closed",
    ):
        assert part in shown, part
    again = world.do(lambda u: sheet_of(u, entity, number, zone), now=world.now + timedelta(days=1))
    assert printed(RECORD_SHEET, again.data, again.at) == pdf


@pytest.fixture
def client(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        u.session.add(Partner(code="clinic", name="Clinic", roles=["customer"], country="DE"))
        u.session.flush()
        create_user(u, "quinn", "Quinn", PASSWORD, ["qa"])
        create_user(u, "carl", "Carl", PASSWORD, ["customer"], place=Place(partner_id=1))
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as found:
        yield found


def test_sheets_and_labels_over_the_api(client: httpx.Client, world: World) -> None:
    number = deviation(world)

    def get(login: str, path: str, status: int) -> httpx.Response:
        token = client.post("/api/v1/token", data={"username": login, "password": PASSWORD}).json()["access_token"]
        answer = client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, answer.text
        return answer

    sheet_answer = get("quinn", f"/deviations/{number}/sheet?timezone=Asia/Shanghai", 200)
    assert sheet_answer.headers["content-type"] == "application/pdf"
    assert sheet_answer.headers["content-disposition"].startswith(f'attachment; filename="deviation-{number}.pdf"')
    assert "批准放行" in text_of(sheet_answer.content)
    assert "S-000123" in text_of(get("quinn", "/sublots/1/label", 200).content)
    get("quinn", "/deviations/99/sheet", 404)
    get("quinn", "/sublots/99/label", 404)
    get("quinn", f"/deviations/{number}/sheet?timezone=Mars", 422)
    get("carl", f"/deviations/{number}/sheet", 403)
    get("carl", "/sublots/1/label", 403)
